-- Written by scripts/migration from migrations/functions.

-- Adds deliveries; one whose key is there already was added before.
create or replace function ratchet.deliveries_add(p_deliveries jsonb, p_at timestamptz) returns void
language sql set search_path = pg_catalog, ratchet, pg_temp as $$
  insert into ratchet.deliveries (id, key, agent, channel, chat, thread, person, body, session_id, lists, shown, created_at,
                                  next_at)
  select id, key, agent, channel, chat, thread, person, body, session_id, coalesce(lists, false), shown, p_at, coalesce(next_at, p_at)
  from rows from (jsonb_to_recordset(p_deliveries) as (id uuid, key text, agent text, channel text, chat text,
    thread text, person text, body jsonb, session_id uuid, lists boolean, shown jsonb, next_at timestamptz)) with ordinality
  order by ordinality
  on conflict (key) do nothing;
$$;

-- What came of one message of a chat, oldest first: [understood]. A refusal is nothing that came of it.
create or replace function public.ratchet_decisions_of_message(p_agent text, p_message text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(said ->> 'understood' order by seq), '[]'::jsonb)
  from (select seq, body::jsonb as said from ratchet.decisions
        where agent = p_agent) about
  where said ->> 'message' = p_message and said ->> 'kind' not in ('refused', 'rebased');
$$;

-- Keeps what arrived, once: [{channel, vendor_id, chat, actor, message}]. A second arrival of the same message answers
-- {new: false}. Where 500 of a chat wait already, one more is kept as refused ({full: true}): nobody is answered five
-- hundred times. Answers [{id, new, full}].
create or replace function public.ratchet_inbound_put(p_messages jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  one record;
  kept bigint;
  is_full boolean;
  answers jsonb := '[]'::jsonb;
begin
  for one in
    select row.channel, row.vendor_id, row.chat, row.actor, row.message
    from rows from (jsonb_to_recordset(p_messages) as (channel text, vendor_id text, chat text, actor text, message jsonb))
      with ordinality as row (channel, vendor_id, chat, actor, message, ordinal)
    order by ordinal
  loop
    is_full := exists (select from ratchet.inbound
                       where state = 'waiting' and channel = one.channel and chat = one.chat offset 499);
    insert into ratchet.inbound (channel, vendor_id, chat, actor, message, received_at, state, done_at, error)
    values (one.channel, one.vendor_id, one.chat, one.actor, one.message, p_at,
            case when is_full then 'failed' else 'waiting' end, case when is_full then p_at end,
            case when is_full then 'too many messages of this chat wait' end)
    on conflict (channel, vendor_id) do nothing returning id into kept;
    if kept is not null then
      answers := answers || jsonb_build_object('id', kept, 'new', true, 'full', is_full);
    else
      answers := answers || (select jsonb_build_object('id', id, 'new', false, 'full', false) from ratchet.inbound
                             where channel = one.channel and vendor_id = one.vendor_id);
    end if;
  end loop;
  return answers;
end $$;

-- Whether this message arrived before.
create or replace function public.ratchet_inbound_is_kept(p_channel text, p_vendor_id text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(exists (select from ratchet.inbound where channel = p_channel and vendor_id = p_vendor_id));
$$;

-- When the newest message of a chat arrived; null where none did.
create or replace function public.ratchet_inbound_newest_at(p_channel text, p_chat text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(max(received_at)) from ratchet.inbound where channel = p_channel and chat = p_chat;
$$;

-- Takes the oldest message that waits and has no living worker, in a chat where none before it waits. Null: none.
create or replace function public.ratchet_inbound_claim(p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  taken ratchet.inbound;
begin
  select * into taken from ratchet.inbound one
  where state = 'waiting'
    and (lease_until is null or lease_until < clock_timestamp())  -- lease: server's clock
    and not exists (select from ratchet.inbound before
                    where before.state = 'waiting' and before.channel = one.channel and before.chat = one.chat
                      and before.id < one.id)
  order by id limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  update ratchet.inbound set worker = p_worker, attempts = attempts + 1,
    lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where id = taken.id returning * into taken;
  return to_jsonb(taken);
end $$;

-- Holds a message for longer. False: another worker has it.
create or replace function public.ratchet_inbound_renew(p_id bigint, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.inbound
  set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where id = p_id and worker = p_worker and state = 'waiting';
  return to_jsonb(found);
end $$;

-- Hands a message back, to be taken again after a while. False: another worker has it.
create or replace function public.ratchet_inbound_release(p_id bigint, p_worker text, p_wait_seconds double precision)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.inbound set worker = null,
    lease_until = clock_timestamp() + make_interval(secs => p_wait_seconds)  -- lease: server's clock
  where id = p_id and worker = p_worker and state = 'waiting';
  return to_jsonb(found);
end $$;

-- Ends the work on a message, and writes what is answered to it, in one. False: another worker has it.
create or replace function public.ratchet_inbound_done(
  p_id bigint, p_worker text, p_error text, p_deliveries jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.inbound set state = case when p_error is null then 'done' else 'failed' end, error = p_error,
    done_at = p_at, worker = null, lease_until = null
  where id = p_id and worker = p_worker and state = 'waiting';
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.deliveries_add(p_deliveries, p_at);
  return to_jsonb(true);
end $$;

-- Fans notices out: the deliveries that follow from those after p_after up to p_upto, once. False: someone was faster.
create or replace function public.ratchet_notices_fan_out(
  p_agent text, p_after bigint, p_upto bigint, p_deliveries jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  insert into ratchet.notice_cursors (agent, notice_id) values (p_agent, p_after) on conflict do nothing;
  update ratchet.notice_cursors set notice_id = p_upto where agent = p_agent and notice_id = p_after;
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.deliveries_add(p_deliveries, p_at);
  return to_jsonb(true);
end $$;

-- Up to which notice the agent's were fanned out. Before the first time those older than p_since count as told: who
-- starts the service after months is not told months.
create or replace function public.ratchet_notices_fanned(p_agent text, p_since timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(coalesce((select notice_id from ratchet.notice_cursors where agent = p_agent),
                           (select max(id) from ratchet.notices where agent = p_agent and created_at < p_since), 0));
$$;

-- The agents that have notices which were not fanned out: [agent].
create or replace function public.ratchet_notices_unfanned(p_since timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(named.agent order by named.agent), '[]'::jsonb) from ratchet.agents named
  where exists (
    select from ratchet.notices notice
    left join ratchet.notice_cursors done on done.agent = notice.agent
    where notice.agent = named.agent and notice.id > coalesce(done.notice_id, 0)
      and (done.agent is not null or notice.created_at >= p_since));
$$;

-- Takes the oldest delivery of these channels that is due and has no living worker, in a chat where none before it
-- waits: a chat is told in order. Whose worker died may have been sent: `doubt`. Null: none.
create or replace function public.ratchet_deliveries_claim(
  p_channels jsonb, p_worker text, p_lease_seconds integer, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  taken ratchet.deliveries;
begin
  select * into taken from ratchet.deliveries one
  where state = 'waiting' and p_channels ? channel and next_at <= p_at
    and (lease_until is null or lease_until < clock_timestamp())  -- lease: server's clock
    and not exists (select from ratchet.deliveries before
                    where before.state = 'waiting' and before.channel = one.channel and before.chat = one.chat
                      and before.position < one.position)
  order by position limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  update ratchet.deliveries set worker = p_worker, attempts = attempts + 1, doubt = doubt or worker is not null,
    lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where id = taken.id returning * into taken;
  return to_jsonb(taken);
end $$;

-- Holds a delivery for longer. False: another worker has it.
create or replace function public.ratchet_deliveries_renew(p_id uuid, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.deliveries
  set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where id = p_id and worker = p_worker and state = 'waiting';
  return to_jsonb(found);
end $$;

-- Writes down what became of a claimed delivery: p_set may hold state, vendor_ids, next_at, error, sent_at, shown,
-- session_id, doubt, plain_from; with p_done the claim ends. False: another worker has it.
create or replace function public.ratchet_deliveries_record(
  p_id uuid, p_worker text, p_set jsonb, p_done boolean, p_deliveries jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.deliveries set
    state = coalesce(p_set ->> 'state', state),
    vendor_ids = coalesce(p_set -> 'vendor_ids', vendor_ids),
    next_at = coalesce((p_set ->> 'next_at')::timestamptz, next_at),
    error = case when p_set ? 'error' then p_set ->> 'error' else error end,
    sent_at = coalesce((p_set ->> 'sent_at')::timestamptz, sent_at),
    shown = coalesce(p_set -> 'shown', shown),
    session_id = coalesce((p_set ->> 'session_id')::uuid, session_id),
    doubt = coalesce((p_set ->> 'doubt')::boolean, doubt),
    plain_from = coalesce((p_set ->> 'plain_from')::integer, plain_from),
    worker = case when p_done then null else worker end,
    lease_until = case when p_done then null else lease_until end
  where id = p_id and worker = p_worker and state = 'waiting';
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.deliveries_add(p_deliveries, p_at);
  return to_jsonb(true);
end $$;

-- What the vendor says of a message that was sent; a lower rank than the last is old news. With news of a failure come
-- the deliveries that are tried instead, and what was not delivered was not shown. Null when it was no news.
create or replace function public.ratchet_deliveries_status(
  p_channel text, p_vendor_id text, p_status text, p_rank integer, p_error text, p_deliveries jsonb,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  told ratchet.deliveries;
begin
  update ratchet.deliveries set status = p_status, status_rank = p_rank, error = coalesce(p_error, error),
    shown = case when p_error is null then shown end
  where channel = p_channel and vendor_ids @> jsonb_build_array(p_vendor_id) and status_rank < p_rank
  returning * into told;
  if told.id is null then
    return null;
  end if;
  perform ratchet.deliveries_add(p_deliveries, p_at);
  return to_jsonb(told);
end $$;

-- One delivery; null where there is none.
create or replace function public.ratchet_deliveries_get(p_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(one) from ratchet.deliveries one where id = p_id;
$$;

-- The delivery that a vendor's message belongs to; null where it is not ours.
create or replace function public.ratchet_deliveries_find(p_channel text, p_chat text, p_vendor_id text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(one) from ratchet.deliveries one
  where channel = p_channel and chat = p_chat and vendor_ids @> jsonb_build_array(p_vendor_id) limit 1;
$$;

-- The newest message in a chat whose numbers mean a session; null where there was none.
create or replace function public.ratchet_deliveries_newest_list(p_channel text, p_chat text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(one) from ratchet.deliveries one
  where channel = p_channel and chat = p_chat and session_id is not null and state = 'sent'
  order by position desc limit 1;
$$;

-- Every message that lists a session, on all surfaces.
create or replace function public.ratchet_deliveries_of_session(p_session_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(one) order by position), '[]'::jsonb) from ratchet.deliveries one
  where session_id = p_session_id and lists and state = 'sent';
$$;

-- How the deliveries of an agent stand: those that failed or wait longest, newest first.
create or replace function public.ratchet_deliveries_troubled(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(one) order by position desc), '[]'::jsonb) from (
    select * from ratchet.deliveries
    where agent = p_agent and (state = 'failed' or state = 'waiting' and attempts > 1 or status in ('failed', 'undelivered'))
    order by position desc limit least(p_limit, 200)) one;
$$;

-- How far the service is behind: since when the oldest message waits to be answered, and per channel since when the
-- oldest delivery is due: {inbound: time | null, deliveries: {channel: time}}.
create or replace function public.ratchet_messages_behind(p_at timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'inbound', (select min(received_at) from ratchet.inbound where state = 'waiting'),
    'deliveries', (select coalesce(jsonb_object_agg(channel, due_at), '{}'::jsonb)
                   from (select channel, min(next_at) as due_at from ratchet.deliveries
                         where state = 'waiting' and next_at <= p_at group by channel) due));
$$;

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

-- Nobody but the service role calls our functions; roles are touched only where they exist.
do $$
declare
  ours regprocedure;
  role_name text;
begin
  for ours in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\_%'
      -- Ours pin their search path to our schema; another function of that name is the owner's.
      and 'search_path=pg_catalog, ratchet, pg_temp' = any (p.proconfig))
  loop
    execute format('revoke all on function %s from public', ours);
    foreach role_name in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = role_name) then
        execute format('revoke all on function %s from %I', ours, role_name);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant execute on function %s to service_role', ours);
    end if;
  end loop;
end $$;

insert into ratchet.schema_migrations (version, name) values ('20261120220108', 'what_is_said')
  on conflict do nothing;
