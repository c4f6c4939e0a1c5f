create or replace function ratchet.deployment_json(p_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(deployment) || jsonb_build_object('steps', coalesce((
    select jsonb_agg(to_jsonb(entry) - 'deployment_id' order by entry.seq)
    from ratchet.deployment_steps entry where entry.deployment_id = deployment.id), '[]'::jsonb))
  from ratchet.deployments deployment where deployment.id = p_id;
$$;

create or replace function ratchet.batch_json(p_batch_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by ordinal), '[]'::jsonb)
  from ratchet.deployments where batch_id = p_batch_id;
$$;

-- Whether a worker has something to do in a batch: a deployment under way, a rollback that was decided, or a
-- deployment that is live although another one of the same item is not.
create or replace function ratchet.batch_waits(p_batch_id uuid) returns boolean
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select exists (
    select from ratchet.deployments one
    where one.batch_id = p_batch_id and (
      one.state in ('planned', 'publishing', 'published', 'verifying')
      or one.state in ('live', 'seen') and not coalesce(one.rollback ? 'failed', false) and (
        one.rollback is not null
        or exists (select from ratchet.deployments other, jsonb_array_elements_text(other.items) as shared (item)
                   where other.batch_id = p_batch_id and other.state in ('failed', 'halted', 'rolled_back')
                     and one.items ? shared.item))));
$$;

-- Takes the oldest batch that has work and no living worker. Answers its deployments in order, or null.
-- The first deployment of a batch holds the lease of all of it: one worker has the whole batch.
create or replace function public.ratchet_deployments_claim(
  p_agent text, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  lead ratchet.deployments;
begin
  select * into lead from ratchet.deployments first
  where (p_agent is null or agent = p_agent) and ordinal = 0
    and (lease_until is null or lease_until < clock_timestamp())  -- lease: server's clock
    and ratchet.batch_waits(batch_id)
  order by planned_at, batch_id limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  update ratchet.deployments set worker = p_worker,
    lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where id = lead.id;
  return ratchet.batch_json(lead.batch_id);
end $$;

-- Whether the worker still holds the batch; asked right before each outside call, and extends the lease.
create or replace function public.ratchet_deployments_hold(
  p_batch_id uuid, p_worker text, p_lease_seconds integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.deployments
  set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)  -- lease: server's clock
  where batch_id = p_batch_id and ordinal = 0 and worker = p_worker
    and lease_until >= clock_timestamp();  -- lease: server's clock
  return to_jsonb(found);
end $$;

create or replace function public.ratchet_deployments_release(p_batch_id uuid, p_worker text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.deployments set worker = null, lease_until = null
  where batch_id = p_batch_id and ordinal = 0 and worker = p_worker;
  return to_jsonb(found);
end $$;

-- Records one step, before or after it is done, and moves the state with it.
-- p_set may hold new_version, reason, rollback, live_at, ended_at. p_items: [{id, from, to}], moved where they stand
-- at `from`. Answers {ok: true, revision} or {ok: false, reason: conflict | lease}.
create or replace function public.ratchet_deployments_step(
  p_id uuid, p_revision bigint, p_worker text, p_step text, p_phase text, p_detail jsonb, p_to text, p_set jsonb,
  p_items jsonb, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  deployment ratchet.deployments;
  change record;
begin
  perform ratchet.audit_lock((select agent from ratchet.deployments where id = p_id));
  select * into deployment from ratchet.deployments where id = p_id for update;
  if not found or deployment.revision <> p_revision then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  if not exists (select from ratchet.deployments
                 where batch_id = deployment.batch_id and ordinal = 0 and worker = p_worker
                   and lease_until >= clock_timestamp()) then  -- lease: server's clock
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
    rollback = coalesce(p_set -> 'rollback', rollback),
    live_at = coalesce((p_set ->> 'live_at')::timestamptz, live_at),
    ended_at = coalesce((p_set ->> 'ended_at')::timestamptz, ended_at)
  where id = p_id;
  for change in select * from jsonb_to_recordset(p_items) as (id uuid, "from" text, "to" text) loop
    update ratchet.items item set state = change."to", answered_at = p_at
    where item.id = change.id and item.state = change."from" and deployment.items ? item.id::text
      and exists (select from ratchet.transitions
                  where record = 'item' and from_state = change."from" and to_state = change."to");
  end loop;
  perform ratchet.notices_add(deployment.agent, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(deployment.agent, p_audit, p_at);
  end if;
  return jsonb_build_object('ok', true, 'revision', deployment.revision + 1);
end $$;

-- Decides that live deployments are taken back: [{id, revision}], all or none. A worker does it. One that could not
-- be taken back may be tried again. Answers {ok: true} or {ok: false, reason: conflict | question | busy}.
create or replace function public.ratchet_deployments_take_back(
  p_agent text, p_deployments jsonb, p_rollback jsonb, p_question uuid, p_notices jsonb, p_audit text,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  changed integer;
begin
  perform ratchet.audit_lock(p_agent);
  if p_question is not null then
    update ratchet.questions set consumed_at = p_at where id = p_question and consumed_at is null and expires_at > p_at;
    if not found then
      return jsonb_build_object('ok', false, 'reason', 'question');
    end if;
  end if;
  update ratchet.deployments deployment set rollback = p_rollback, revision = deployment.revision + 1
  from jsonb_to_recordset(p_deployments) as wanted (id uuid, revision bigint)
  where deployment.id = wanted.id and deployment.revision = wanted.revision and deployment.agent = p_agent
    and deployment.state in ('live', 'seen') and (deployment.rollback is null or deployment.rollback ? 'failed');
  get diagnostics changed = row_count;
  if changed = 0 or changed <> jsonb_array_length(p_deployments) then
    raise exception 'conflict' using errcode = 'RT001';
  end if;
  perform ratchet.notices_add(p_agent, p_notices, p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
exception
  when sqlstate 'RT001' then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  when unique_violation then
    return jsonb_build_object('ok', false, 'reason', 'busy');
end $$;

-- Halts what is under way and cannot be live yet; the worker finds out at its next step. Where the agent follows
-- the newest version, publishing is going live. Answers how many were halted.
create or replace function public.ratchet_deployments_halt(
  p_agent text, p_reason text, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  halted uuid[];
begin
  perform ratchet.audit_lock(p_agent);
  with stopped as (
    update ratchet.deployments set state = 'halted', reason = p_reason, ended_at = p_at, revision = revision + 1
    where agent = p_agent and (state = 'planned' or state in ('publishing', 'published') and follow = 'label')
    returning id)
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
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  deployment ratchet.deployments;
begin
  perform ratchet.audit_lock((select agent from ratchet.deployments where id = p_id));
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

-- The newest deployments of the agent, newest first. Of those that were planned at one moment, one without a version
-- is still to be published, and the highest version is the last that was.
create or replace function public.ratchet_deployments_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by planned_at desc, new_version desc nulls first, ordinal),
                  '[]'::jsonb)
  from (select id, planned_at, new_version, ordinal from ratchet.deployments where agent = p_agent
        order by planned_at desc, new_version desc nulls first, ordinal limit least(p_limit, 200)) newest;
$$;

create or replace function public.ratchet_deployments_batch(p_batch_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.batch_json(p_batch_id);
$$;
