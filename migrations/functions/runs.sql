-- Begins a run. A slot runs once, whoever is first; one run of an agent at a time.
-- Answers {started: true} or {started: false, reason: slot | busy, run}.
create or replace function public.ratchet_runs_start(
  p_id uuid, p_agent text, p_slot text, p_since timestamptz, p_until timestamptz, p_worker text,
  p_lease_seconds integer, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  other ratchet.runs;
begin
  update ratchet.runs set state = 'failed', finished_at = p_at,
    result = jsonb_build_object('error', 'the worker went away'), slot = null
  where agent = p_agent and state = 'running' and lease_until < clock_timestamp();  -- lease: server's clock
  -- The run that is in the way may end between two statements: then the place is free, and asked for again.
  for attempt in 1 .. 10 loop
    select * into other from ratchet.runs
    where agent = p_agent and (slot = p_slot or state = 'running') order by (slot = p_slot) desc nulls last limit 1;
    if found then
      return jsonb_build_object('started', false, 'reason', case when other.slot = p_slot then 'slot' else 'busy' end,
                                'run', to_jsonb(other));
    end if;
    insert into ratchet.runs (id, agent, slot, since, until, state, worker, lease_until, started_at)
    values (p_id, p_agent, p_slot, p_since, p_until, 'running', p_worker,
            clock_timestamp() + make_interval(secs => p_lease_seconds), p_at)  -- lease: server's clock
    on conflict do nothing;
    if found then
      return jsonb_build_object('started', true);
    end if;
  end loop;
  raise exception 'a run of % could not be started in ten attempts', p_agent;
end $$;

-- Ends a run that leaves no session: all quiet, or failed (a failed slot may be tried again). What waits for a
-- decision stays: only a new session supersedes it.
create or replace function public.ratchet_runs_finish(
  p_id uuid, p_worker text, p_state text, p_result jsonb, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  run ratchet.runs;
begin
  perform ratchet.audit_lock((select agent from ratchet.runs where id = p_id));
  update ratchet.runs set state = p_state, result = p_result, finished_at = p_at,
    slot = case when p_state = 'failed' then null else slot end
  where id = p_id and worker = p_worker and state = 'running' returning * into run;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'lost');
  end if;
  perform ratchet.notices_add(run.agent, p_notices, p_at);
  perform ratchet.audit_append(run.agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
end $$;

create or replace function public.ratchet_runs_read(p_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(run) from ratchet.runs run where id = p_id;
$$;

-- The run of the agent that ended last, and did not fail; of one moment the one that left a session.
create or replace function public.ratchet_runs_newest(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(run) from ratchet.runs run where agent = p_agent and state = 'done'
  order by finished_at desc, (session_id is not null) desc, lease_until desc limit 1;
$$;
