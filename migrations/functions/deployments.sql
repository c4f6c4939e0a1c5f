create or replace function ratchet.deployment_json(p_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet as $$
  select to_jsonb(deployment) || jsonb_build_object('steps', coalesce((
    select jsonb_agg(to_jsonb(step) - 'deployment_id' order by step.seq)
    from ratchet.deployment_steps step where step.deployment_id = deployment.id), '[]'::jsonb))
  from ratchet.deployments deployment where deployment.id = p_id;
$$;

create or replace function ratchet.batch_json(p_batch_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by ordinal), '[]'::jsonb)
  from ratchet.deployments where batch_id = p_batch_id;
$$;

-- Takes the oldest batch that has work and no living worker: a deployment under way, or a rollback to be done.
-- Answers its deployments in order, or null.
create or replace function public.ratchet_deployments_claim(
  p_agent text, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
declare
  lead ratchet.deployments;
begin
  -- The first deployment of a batch stands for all of it: one worker has the whole batch.
  select * into lead from ratchet.deployments first
  where (p_agent is null or agent = p_agent) and ordinal = 0
    and (lease_until is null or lease_until < clock_timestamp())  -- lease: server's clock
    and exists (select from ratchet.deployments other where other.batch_id = first.batch_id
                  and (other.state in ('planned', 'publishing', 'published', 'verifying')
                       or (other.rollback is not null and other.state in ('live', 'seen'))))
  order by planned_at limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  update ratchet.deployments set worker = p_worker,
    lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where batch_id = lead.batch_id;
  return ratchet.batch_json(lead.batch_id);
end $$;

-- Whether the worker still holds the batch; asked right before each outside call, and extends the lease.
create or replace function public.ratchet_deployments_hold(
  p_batch_id uuid, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
begin
  update ratchet.deployments
  set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where batch_id = p_batch_id and worker = p_worker and lease_until >= clock_timestamp();  -- lease: server's clock
  return to_jsonb(found);
end $$;

create or replace function public.ratchet_deployments_release(p_batch_id uuid, p_worker text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
begin
  update ratchet.deployments set worker = null, lease_until = null where batch_id = p_batch_id and worker = p_worker;
  return to_jsonb(found);
end $$;

-- Records one step, before or after it is done, and moves the state with it.
-- p_set may hold new_version, reason, live_at, seen_at, ended_at. p_items: [{from, to}] for all items of the deployment.
-- Answers {ok: true, revision} or {ok: false, reason: conflict | lease}.
create or replace function public.ratchet_deployments_step(
  p_id uuid, p_revision bigint, p_worker text, p_step text, p_phase text, p_detail jsonb, p_to text, p_set jsonb,
  p_items jsonb, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
declare
  deployment ratchet.deployments;
  change record;
begin
  select * into deployment from ratchet.deployments where id = p_id for update;
  if not found or deployment.revision <> p_revision then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  if deployment.worker is distinct from p_worker or deployment.lease_until < clock_timestamp() then  -- lease: server's clock
    return jsonb_build_object('ok', false, 'reason', 'lease');
  end if;
  if p_to is not null and not exists (select from ratchet.transitions
      where record = 'deployment' and from_state = deployment.state and to_state = p_to) then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  insert into ratchet.deployment_steps (deployment_id, seq, at, step, phase, detail)
  select p_id, coalesce(max(seq), 0) + 1, p_at, p_step, p_phase, p_detail
  from ratchet.deployment_steps where deployment_id = p_id;
  update ratchet.deployments set
    state = coalesce(p_to, state),
    revision = revision + 1,
    new_version = coalesce((p_set ->> 'new_version')::integer, new_version),
    reason = coalesce(p_set ->> 'reason', reason),
    live_at = coalesce((p_set ->> 'live_at')::timestamptz, live_at),
    seen_at = coalesce((p_set ->> 'seen_at')::timestamptz, seen_at),
    ended_at = coalesce((p_set ->> 'ended_at')::timestamptz, ended_at)
  where id = p_id;
  for change in select * from jsonb_to_recordset(p_items) as ("from" text, "to" text) loop
    update ratchet.items item set state = change."to", answered_at = p_at
    where item.state = change."from" and deployment.items ? item.id::text
      and exists (select from ratchet.transitions
                  where record = 'item' and from_state = change."from" and to_state = change."to");
  end loop;
  perform ratchet.notices_add(deployment.agent, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(deployment.agent, p_audit, p_at);
  end if;
  return jsonb_build_object('ok', true, 'revision', deployment.revision + 1);
end $$;

-- Decides that live deployments are taken back: [{id, revision}], all or none. A worker does it.
create or replace function public.ratchet_deployments_take_back(
  p_agent text, p_deployments jsonb, p_rollback jsonb, p_question uuid, p_notices jsonb, p_audit text,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
declare
  changed integer;
begin
  if p_question is not null then
    update ratchet.questions set consumed_at = p_at where id = p_question and consumed_at is null and expires_at > p_at;
    if not found then
      return jsonb_build_object('ok', false, 'reason', 'question');
    end if;
  end if;
  update ratchet.deployments deployment set rollback = p_rollback, revision = deployment.revision + 1
  from jsonb_to_recordset(p_deployments) as wanted (id uuid, revision bigint)
  where deployment.id = wanted.id and deployment.revision = wanted.revision and deployment.agent = p_agent
    and deployment.state in ('live', 'seen') and deployment.rollback is null;
  get diagnostics changed = row_count;
  if changed <> jsonb_array_length(p_deployments) then
    raise exception 'conflict' using errcode = 'RT001';
  end if;
  perform ratchet.notices_add(p_agent, p_notices, p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
exception when sqlstate 'RT001' then
  return jsonb_build_object('ok', false, 'reason', 'conflict');
end $$;

-- Halts what is under way and not live yet; the worker finds out at its next step. Answers how many were halted.
create or replace function public.ratchet_deployments_halt(
  p_agent text, p_reason text, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
declare
  halted uuid[];
begin
  with stopped as (
    update ratchet.deployments set state = 'halted', reason = p_reason, ended_at = p_at, revision = revision + 1
    where agent = p_agent and state in ('planned', 'publishing', 'published') returning id)
  select array_agg(id) into halted from stopped;
  if halted is null then
    return to_jsonb(0);
  end if;
  update ratchet.items item set state = 'failed', answered_at = p_at
  from ratchet.deployments deployment
  where deployment.id = any (halted) and deployment.items ? item.id::text and item.state = 'approved';
  perform ratchet.notices_add(p_agent, p_notices, p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return to_jsonb(cardinality(halted));
end $$;

-- A live deployment was seen in traffic (its first trace), or got its verdict.
-- p_severities: how bad the facts of its items are at the verdict ([{id, severity}]): coming back is measured from there.
create or replace function public.ratchet_deployments_observe(
  p_id uuid, p_seen_at timestamptz, p_verdict jsonb, p_severities jsonb, p_notices jsonb, p_audit text,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet as $$
declare
  deployment ratchet.deployments;
begin
  update ratchet.deployments set
    state = case when state = 'live' and p_seen_at is not null then 'seen' else state end,
    seen_at = coalesce(seen_at, p_seen_at), verdict = coalesce(p_verdict, verdict), revision = revision + 1
  where id = p_id and state in ('live', 'seen') returning * into deployment;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  update ratchet.items item set answered_severity = wanted.severity
  from jsonb_to_recordset(p_severities) as wanted (id uuid, severity double precision)
  where item.id = wanted.id and item.state = 'deployed' and deployment.items ? item.id::text;
  perform ratchet.notices_add(deployment.agent, p_notices, p_at);
  perform ratchet.audit_append(deployment.agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
end $$;

-- The newest deployments of the agent, newest first.
create or replace function public.ratchet_deployments_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by planned_at desc, ordinal), '[]'::jsonb)
  from (select id, planned_at, ordinal from ratchet.deployments where agent = p_agent
        order by planned_at desc, ordinal limit least(p_limit, 200)) newest;
$$;

create or replace function public.ratchet_deployments_batch(p_batch_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet as $$
  select ratchet.batch_json(p_batch_id);
$$;
