-- How many agent sessions that began in each span named which prompt version, exactly and from the traces themselves:
-- [{span (from 0), prompt (null: all), reference, n, traces, first, last}]. p_spans: [{since, until}]. Of each span the
-- p_limit first traces are looked at, or the last. A session that was under way when the span began says nothing of it.
create or replace function public.ratchet_traces_named(p_agent text, p_spans jsonb, p_newest boolean, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp set jit = off as $$
  with span as (
    select ordinality - 1 as span, (one ->> 'since')::timestamptz as since, (one ->> 'until')::timestamptz as until
    from jsonb_array_elements(p_spans) with ordinality as listed (one, ordinality)
  ),
  looked as materialized (
    select span.span, span.since, trace.* from span cross join lateral (
      (select session_id, prompts, started_at from ratchet.traces
       where not p_newest and agent = p_agent and started_at >= span.since and started_at < span.until
       order by started_at limit least(p_limit, 5000))
      union all
      (select session_id, prompts, started_at from ratchet.traces
       where p_newest and agent = p_agent and started_at >= span.since and started_at < span.until
       order by started_at desc limit least(p_limit, 5000))
    ) as trace
  ),
  begun as materialized (
    -- A look into the index for each trace (limit 1 keeps it so): joined at once, all of history would be read.
    select * from looked where (
      select true from ratchet.traces earlier
      where earlier.agent = p_agent and earlier.session_id = looked.session_id
        and earlier.started_at < looked.since and earlier.started_at >= looked.since - interval '6 hours'
      limit 1) is null
  ),
  counted as (
    select span, named.key as prompt, said.reference, count(distinct session_id) as n, count(*) as traces,
      min(started_at) as first, max(started_at) as last
    from begun
    cross join lateral jsonb_each(prompts) as named
    cross join lateral jsonb_array_elements_text(
      case jsonb_typeof(named.value) when 'array' then named.value else jsonb_build_array(named.value) end
    ) as said (reference)
    group by span, named.key, said.reference
    union all
    select looked.span, null, null,
      (select count(distinct session_id) from begun where begun.span = looked.span), count(*),
      min(started_at), max(started_at)
    from looked group by looked.span
  )
  select coalesce(jsonb_agg(to_jsonb(counted) order by span, n desc, prompt, reference), '[]'::jsonb) from counted;
$$;

-- The first trace under a deployment's version came: told once. Answers whether this call was the one. The revision
-- stays: whoever takes the deployment back meanwhile decides nothing else for it.
create or replace function public.ratchet_deployments_see(
  p_id uuid, p_seen_at timestamptz, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  named text := (select agent from ratchet.deployments where id = p_id);
begin
  perform ratchet.audit_lock(named);
  update ratchet.deployments set state = 'seen', seen_at = p_seen_at
  where id = p_id and state = 'live';
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.notices_add(named, p_notices, p_at);
  perform ratchet.audit_append(named, p_audit, p_at);
  return to_jsonb(true);
end $$;

-- What was noticed about the newest deployments of an agent: [{deployment_id, what, value, body, at}].
create or replace function public.ratchet_sightings_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(sighting) order by sighting.at desc, sighting.what), '[]'::jsonb)
  from ratchet.sightings sighting
  where deployment_id in (select id from ratchet.deployments where agent = p_agent
                          order by planned_at desc limit least(p_limit, 200));
$$;

-- Writes down what was noticed, with its notices, once: where nothing was noticed yet (p_before null), or another value
-- (p_before). Only about a deployment that is as it was read (p_revision), while nothing else is on its way for the
-- prompt and nothing later is live: else our own moves would be taken for somebody's. Answers whether it was written.
create or replace function public.ratchet_sightings_write(
  p_deployment_id uuid, p_revision bigint, p_what text, p_value text, p_before text, p_body jsonb, p_notices jsonb,
  p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  about ratchet.deployments;
begin
  perform ratchet.audit_lock((select agent from ratchet.deployments where id = p_deployment_id));
  select * into about from ratchet.deployments where id = p_deployment_id for share;
  if not found or about.revision <> p_revision or exists (
      select from ratchet.deployments other
      where other.agent = about.agent and other.prompt = about.prompt and other.id <> about.id
        and (other.state in ('planned', 'publishing', 'published', 'verifying')
          or other.state in ('live', 'seen') and (other.live_at > about.live_at
            or other.rollback is not null and not other.rollback ? 'failed'))) then
    return to_jsonb(false);
  end if;
  if p_before is null then
    insert into ratchet.sightings (deployment_id, what, value, body, at)
    values (p_deployment_id, p_what, p_value, p_body, p_at) on conflict do nothing;
  else
    update ratchet.sightings set value = p_value, body = p_body, at = p_at
    where deployment_id = p_deployment_id and what = p_what and value = p_before;
  end if;
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.notices_add(about.agent, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(about.agent, p_audit, p_at);
  end if;
  return to_jsonb(true);
end $$;

-- The calls that are due, of p_wanted ([{deployment_id, event}]), each for one worker at a time; a try is counted before
-- it is made. Answers [{deployment_id, event, tries}].
create or replace function public.ratchet_reloads_claim(
  p_wanted jsonb, p_worker text, p_lease_seconds integer, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  claimed jsonb;
begin
  insert into ratchet.reloads (deployment_id, event, next_try_at)
  select deployment_id, event, p_at from jsonb_to_recordset(p_wanted) as wanted (deployment_id uuid, event text)
  on conflict do nothing;
  with due as (
    select reload.deployment_id, reload.event from ratchet.reloads reload
    join jsonb_to_recordset(p_wanted) as wanted (deployment_id uuid, event text)
      on reload.deployment_id = wanted.deployment_id and reload.event = wanted.event
    where reload.state = 'waiting' and reload.next_try_at <= p_at
      and (reload.lease_until is null or reload.lease_until < clock_timestamp())  -- lease: server's clock
    order by 1, 2 for update of reload skip locked
  ),
  begun as (
    update ratchet.reloads reload set tries = tries + 1, worker = p_worker,
      lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
    from due where reload.deployment_id = due.deployment_id and reload.event = due.event
    returning reload.deployment_id, reload.event, reload.tries
  )
  select coalesce(jsonb_agg(to_jsonb(begun)), '[]'::jsonb) into claimed from begun;
  return claimed;
end $$;

-- How a try ended: taken (p_reason null), to be tried again at p_next_try_at, or (null) failed for good.
-- Answers false where another worker has it by now.
create or replace function public.ratchet_reloads_end(
  p_deployment_id uuid, p_event text, p_worker text, p_reason text, p_next_try_at timestamptz, p_notices jsonb,
  p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  named text := (select agent from ratchet.deployments where id = p_deployment_id);
begin
  perform ratchet.audit_lock(named);
  update ratchet.reloads set
    state = case when p_reason is null then 'taken' when p_next_try_at is null then 'failed' else 'waiting' end,
    next_try_at = coalesce(p_next_try_at, next_try_at), reason = p_reason, worker = null, lease_until = null,
    ended_at = case when p_next_try_at is null then p_at end
  where deployment_id = p_deployment_id and event = p_event and worker = p_worker and state = 'waiting';
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.notices_add(named, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(named, p_audit, p_at);
  end if;
  return to_jsonb(true);
end $$;
