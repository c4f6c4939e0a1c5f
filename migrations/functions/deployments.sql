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
-- deployment that is live although another one that brings, or takes back, the same item is not.
create or replace function ratchet.batch_waits(p_batch_id uuid) returns boolean
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select exists (
    select from ratchet.deployments one
    where one.batch_id = p_batch_id and (
      one.state in ('planned', 'publishing', 'published', 'verifying')
      or one.state in ('live', 'seen') and not coalesce(one.rollback ? 'failed', false) and (
        one.rollback is not null
        or exists (select from ratchet.deployments other,
                     jsonb_array_elements_text(other.items || other.undone) as shared (item)
                   where other.batch_id = p_batch_id and other.state in ('failed', 'halted', 'rolled_back')
                     and not coalesce(other.rollback ? 'by', false)
                     and (one.items || one.undone) ? shared.item))));
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

-- The deployments whose place a way back takes are over when it is live, and back where they were when it is taken back.
create or replace function ratchet.deployments_pass(
  p_deployment ratchet.deployments, p_to text, p_actor text, p_reason text, p_at timestamptz) returns void
language plpgsql set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  if p_to = 'live' then
    update ratchet.deployments set state = 'rolled_back', revision = revision + 1, reason = p_reason, ended_at = p_at,
      rollback = jsonb_build_object('actor', p_actor, 'reason', p_reason, 'by', p_deployment.id)
    where agent = p_deployment.agent and p_deployment.passes ? id::text and state in ('live', 'seen');
  elsif p_to = 'rolled_back' then
    update ratchet.deployments set state = case when seen_at is null then 'live' else 'seen' end,
      revision = revision + 1, reason = null, ended_at = null, rollback = null
    where agent = p_deployment.agent and p_deployment.passes ? id::text and state = 'rolled_back'
      and rollback ->> 'by' = p_deployment.id::text;
  end if;
end $$;

-- Records one step, before or after it is done, and moves the state with it.
-- p_set may hold new_version, reason, rollback, live_at, ended_at, and passed: why those whose place it takes are over.
-- p_items: [{id, from, to}], moved where they stand
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
    where item.id = change.id and item.state = change."from"
      and (deployment.items || deployment.undone) ? item.id::text
      and exists (select from ratchet.transitions
                  where record = 'item' and from_state = change."from" and to_state = change."to");
  end loop;
  perform ratchet.deployments_pass(deployment, p_to, deployment.actor, p_set ->> 'passed', p_at);
  perform ratchet.notices_add(deployment.agent, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(deployment.agent, p_audit, p_at);
  end if;
  return jsonb_build_object('ok', true, 'revision', deployment.revision + 1);
end $$;

-- Decides that live deployments are taken back: [{id, revision}], all or none. A worker does it. One that could not
-- be taken back may be tried again. Taking back what took something back brings text live again, which a freeze
-- stops. Answers {ok: true} or {ok: false, reason: conflict | question | busy | frozen}.
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
  if exists (select from ratchet.freezes where agent = p_agent) and exists (
      select from ratchet.deployments deployment, jsonb_to_recordset(p_deployments) as wanted (id uuid)
      where deployment.id = wanted.id and deployment.kind <> 'change') then
    raise exception 'frozen' using errcode = 'RT002';
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
  when sqlstate 'RT002' then
    return jsonb_build_object('ok', false, 'reason', 'frozen');
  when unique_violation then
    return jsonb_build_object('ok', false, 'reason', 'busy');
end $$;

-- Decides a way back that is a deployment of its own (kind without or to_version): planned here, done by a worker.
-- p_deployments: one for each prompt, in their order. What it takes back must be live, and what it takes the place of
-- must stand. Answers {ok: true} or {ok: false, reason: conflict | question | busy}.
create or replace function public.ratchet_deployments_go_back(
  p_agent text, p_deployments jsonb, p_question uuid, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  perform ratchet.audit_lock(p_agent);
  if p_question is not null then
    update ratchet.questions set consumed_at = p_at where id = p_question and consumed_at is null and expires_at > p_at;
    if not found then
      return jsonb_build_object('ok', false, 'reason', 'question');
    end if;
  end if;
  insert into ratchet.deployments (id, agent, session_id, batch_id, ordinal, prompt, label, follow, state, items, actor,
                                   base_version, base_sha256, text, sha256, planned_at, provenance, kind,
                                   target_version, undone, passes)
  select id, p_agent, session_id, batch_id, ordinal, prompt, label, follow, 'planned', '[]', actor,
         base_version, base_sha256, text, sha256, p_at, provenance, kind, target_version, undone, passes
  from jsonb_to_recordset(p_deployments) as (id uuid, session_id uuid, batch_id uuid, ordinal integer, prompt text,
    label text, follow text, actor text, base_version integer, base_sha256 text, text text, sha256 text,
    provenance jsonb, kind text, target_version integer, undone jsonb, passes jsonb);
  if exists (
      select from jsonb_to_recordset(p_deployments) as planned (prompt text, kind text, undone jsonb, passes jsonb)
      where kind = 'change'
        or exists (
          select from jsonb_array_elements_text(undone) as gone (id)
          where not exists (select from ratchet.items item
                            where item.id = gone.id::uuid and item.agent = p_agent and item.state = 'deployed'))
        or exists (
          select from jsonb_array_elements_text(passes) as passed (id)
          where not exists (select from ratchet.deployments over
                            where over.id = passed.id::uuid and over.agent = p_agent and over.prompt = planned.prompt
                              and over.state in ('live', 'seen')
                              and (over.rollback is null or over.rollback ? 'failed')))) then
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

-- The way to halt of the release before: leaves alone what may be live already. Answers how many were halted.
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

-- Halts the agent's deployments of these kinds that are under way and not live, and decides the rollback of what may be
-- live already. Under a lock of the audit; answers {halted, decided}: how many of each.
create or replace function ratchet.deployments_halted(
  p_agent text, p_kinds text[], p_rollback jsonb, p_at timestamptz) returns jsonb
language plpgsql set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  halted uuid[];
  decided integer;
begin
  with stopped as (
    update ratchet.deployments set state = 'halted', reason = p_rollback ->> 'reason', ended_at = p_at,
      revision = revision + 1
    where agent = p_agent and kind = any (p_kinds)
      and (state = 'planned' or state in ('publishing', 'published') and follow = 'label')
    returning id)
  select coalesce(array_agg(id), '{}') into halted from stopped;
  update ratchet.deployments set rollback = p_rollback, revision = revision + 1
  where agent = p_agent and kind = any (p_kinds) and state in ('publishing', 'published', 'verifying')
    and rollback is null;
  get diagnostics decided = row_count;
  update ratchet.items item set state = 'failed', answered_at = p_at
  from ratchet.deployments deployment
  where deployment.id = any (halted) and deployment.items ? item.id::text and item.state = 'approved';
  return jsonb_build_object('halted', cardinality(halted), 'decided', decided);
end $$;

-- Stops what is under way. What cannot be live yet is halted at once. Of what may be live already - the label is about
-- to move, or the agent follows the newest version, where publishing is going live - the rollback is decided: the
-- worker halts it, or takes it back. Either way the worker finds out before its next outside call.
-- Answers {halted, decided}: how many of each; p_notices are for the first, p_decided_notices for the second.
create or replace function public.ratchet_deployments_stop(
  p_agent text, p_rollback jsonb, p_notices jsonb, p_decided_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  stopped jsonb;
  halted integer;
  decided integer;
begin
  perform ratchet.audit_lock(p_agent);
  stopped := ratchet.deployments_halted(p_agent, array['change', 'without', 'to_version'], p_rollback, p_at);
  halted := (stopped ->> 'halted')::integer;
  decided := (stopped ->> 'decided')::integer;
  if halted > 0 then
    perform ratchet.notices_add(p_agent, p_notices, p_at);
  end if;
  if decided > 0 then
    perform ratchet.notices_add(p_agent, p_decided_notices, p_at);
  end if;
  if halted > 0 or decided > 0 then
    perform ratchet.audit_append(p_agent, p_audit, p_at);
  end if;
  return stopped;
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
-- is still to be published, and the highest version is the last that was; what went back stands over it.
create or replace function public.ratchet_deployments_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by at), '[]'::jsonb)
  from (select id, row_number() over (order by planned_at desc, new_version is null desc,
                                      greatest(new_version, base_version) desc, base_version desc, ordinal) as at
        from ratchet.deployments where agent = p_agent order by at limit least(p_limit, 200)) newest;
$$;

-- Those of one prompt, newest first, without their texts.
create or replace function public.ratchet_deployments_of_prompt(p_agent text, p_prompt text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) || '{"text": ""}'
                            order by planned_at desc, new_version desc nulls first), '[]'::jsonb)
  from (select id, planned_at, new_version from ratchet.deployments where agent = p_agent and prompt = p_prompt
        order by planned_at desc, new_version desc nulls first limit least(p_limit, 500)) newest;
$$;

create or replace function public.ratchet_deployments_batch(p_batch_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.batch_json(p_batch_id);
$$;
