-- The sessions that wait for a decision: [{id, agent, created_at, expires_at, snoozed_until, reminded_at: [time], told}].
create or replace function public.ratchet_reminders_waiting() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', session.id, 'agent', session.agent, 'created_at', session.created_at, 'expires_at', session.expires_at,
    'snoozed_until', session.snoozed_until,
    'told', exists (select from ratchet.deliveries where session_id = session.id and lists),
    'reminded_at', coalesce((
      select jsonb_agg(first_at order by first_at) from (
        select min(created_at) as first_at from ratchet.deliveries
        where session_id = session.id and body -> 'notice' ->> 'kind' = 'session_reminder'
        group by body -> 'notice' -> 'body' ->> 'n') reminded), '[]'::jsonb)) order by session.agent), '[]'::jsonb)
  from ratchet.sessions session where session.state = 'pending';
$$;

-- Adds reminders of a session, each key once; false when it does not wait any more.
create or replace function public.ratchet_reminders_add(p_session_id uuid, p_deliveries jsonb, p_at timestamptz)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  perform from ratchet.sessions
  where id = p_session_id and state = 'pending' and expires_at > p_at
    and (snoozed_until is null or snoozed_until <= p_at) for share;
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.deliveries_add(p_deliveries, p_at);
  return to_jsonb(true);
end $$;

-- How many sessions in a row before this one (of the newest 100) ended without a word from anybody, and when a list
-- was told last; whether this one was: {ignored, told_at, told}.
create or replace function public.ratchet_reminders_ignored(p_agent text, p_session_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  with before as (
    select row_number() over (order by created_at desc) as place, id, state, snoozed_until, created_at
    from ratchet.sessions
    where agent = p_agent and created_at < (select created_at from ratchet.sessions where id = p_session_id)
    order by created_at desc limit 100
  ), met as (
    select place from before
    where state not in ('expired', 'superseded') or snoozed_until is not null
      or exists (select from ratchet.votes where session_id = before.id)
      or exists (select from ratchet.session_items seat join ratchet.items item on item.id = seat.item_id
                 where seat.session_id = before.id and item.answered_at >= before.created_at)
  )
  select jsonb_build_object(
    'ignored', coalesce((select min(place) - 1 from met), (select count(*) from before)),
    'told', exists (select from ratchet.deliveries where session_id = p_session_id and lists),
    'told_at', (select max(created_at) from ratchet.deliveries
                where agent = p_agent and lists and session_id is distinct from p_session_id
                  and body -> 'notice' ->> 'kind' = 'session_pending'));
$$;

-- What an agent's runs found and what went live in (p_since, p_until]: {runs, quiet, failed, lists, live}.
create or replace function public.ratchet_reminders_week(p_agent text, p_since timestamptz, p_until timestamptz)
returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'runs', count(*) filter (where state in ('done', 'failed')),
    'quiet', count(*) filter (where state = 'done' and result ->> 'status' = 'quiet'),
    'failed', count(*) filter (where state = 'failed'),
    'lists', count(*) filter (where session_id is not null),
    'live', (select count(*) from ratchet.notices
             where agent = p_agent and kind = 'deployment_live' and created_at > p_since and created_at <= p_until))
  from ratchet.runs where agent = p_agent and finished_at > p_since and finished_at <= p_until;
$$;
