-- Written by scripts/migration from migrations/functions.

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

-- A session with its items in the order of their numbers.
create or replace function ratchet.session_json(p_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(session) || jsonb_build_object('items', coalesce((
    select jsonb_agg(to_jsonb(item) || jsonb_build_object('n', seat.n, 'votes', coalesce((
      select jsonb_agg(to_jsonb(vote) - array['item_id', 'session_id'] order by vote.voted_at, vote.person)
      from ratchet.votes vote where vote.item_id = item.id), '[]'::jsonb)) order by seat.n)
    from ratchet.session_items seat join ratchet.items item on item.id = seat.item_id
    where seat.session_id = session.id), '[]'::jsonb))
  from ratchet.sessions session where session.id = p_id;
$$;

-- What was said in a trace's events, each field as text: [{type, name, text, args, error, inputs}].
create or replace function ratchet.said(p_events jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
           'type', event->'type', 'name', event->'name', 'text', left(event->>'text', 100000), 'args', left(event->>'args', 100000),
           'error', left(event->>'error', 100000), 'inputs', left(event->>'inputs', 100000)))), '[]'::jsonb)
  from jsonb_array_elements(p_events) as event
  where event ?| array['text', 'args', 'error', 'inputs'];
$$;

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

-- What the policies of an agent look at: {freeze, deployed_at: [when each decision since p_since was made that deployed
-- something, oldest first]}. One that was taken back counts; one that was halted or failed before it was live does not.
create or replace function public.ratchet_freezes_standing(p_agent text, p_since timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'freeze', (select to_jsonb(held) from ratchet.freezes held where agent = p_agent),
    'deployed_at', coalesce((
      select jsonb_agg(decided.at order by decided.at) from (
        select min(planned_at) as at from ratchet.deployments
        where agent = p_agent and kind = 'change' and planned_at > p_since
          and (live_at is not null or state in ('planned', 'publishing', 'published', 'verifying'))
        group by batch_id) decided), '[]'::jsonb));
$$;

-- Stops all deployments of an agent, until someone lifts it. What is under way is halted; what may be live already is
-- decided to be taken back, and a worker does it. What takes something back goes on.
-- Answers {frozen: false, freeze} where someone has frozen it before, else {frozen: true, halted, decided}: how many.
create or replace function public.ratchet_freezes_begin(
  p_agent text, p_actor text, p_reason text, p_rollback jsonb, p_notices jsonb, p_audit text, p_at timestamptz)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  stopped jsonb;
begin
  perform ratchet.audit_lock(p_agent);
  insert into ratchet.freezes (agent, actor, reason, frozen_at) values (p_agent, p_actor, p_reason, p_at)
  on conflict do nothing;
  if not found then
    return jsonb_build_object(
      'frozen', false, 'freeze', (select to_jsonb(held) from ratchet.freezes held where agent = p_agent));
  end if;
  stopped := ratchet.deployments_halted(p_agent, array['change'], p_rollback, p_at);
  perform ratchet.notices_add(p_agent, p_notices, p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return jsonb_build_object('frozen', true) || stopped;
end $$;

-- Deployments of the agent are possible again; false when they were all the time.
create or replace function public.ratchet_freezes_lift(
  p_agent text, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  perform ratchet.audit_lock(p_agent);
  delete from ratchet.freezes where agent = p_agent;
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.notices_add(p_agent, p_notices, p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return to_jsonb(true);
end $$;

-- What became of versions that somebody knows, p_known: [{agent, prompt, label (null: the newest version), version,
-- sha256}] (both null: nothing is known yet). Of each that is another one now its place in the list, from 0, and the
-- version: [{place, held (null: there is none any more)}], p_limit of them at most. What did not change costs an index
-- read, and no text.
create or replace function public.ratchet_prompts_changes(p_known jsonb, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  with known as (
    select place - 1 as place, one ->> 'agent' as agent, one ->> 'prompt' as prompt, one ->> 'label' as label,
      (one ->> 'version')::integer as version, one ->> 'sha256' as sha256
    from jsonb_array_elements(p_known) with ordinality as listed (one, place)
  ),
  standing as (
    select known.*, case when label is null then
        (select max(v.version) from ratchet.prompt_versions v where v.agent = known.agent and v.prompt = known.prompt)
      else
        (select l.version from ratchet.prompt_labels l
         where l.agent = known.agent and l.prompt = known.prompt and l.label = known.label)
      end as stands
    from known
  ),
  changed as (
    select * from standing
    where stands is distinct from version
      or sha256 is distinct from (select v.sha256 from ratchet.prompt_versions v
                                  where v.agent = standing.agent and v.prompt = standing.prompt and v.version = stands)
    order by place limit least(p_limit, 100)
  )
  select coalesce(jsonb_agg(jsonb_build_object('place', place,
                                               'held', ratchet.prompt_version_json(agent, prompt, stands))
                            order by place), '[]'::jsonb)
  from changed;
$$;

-- One decision: compares the revision, then changes session, items and deployments together with audit and notices.
-- p_items: [{id, from, to, severity}] in order; p_deployments: rows of deployments, of items that p_items approves;
-- p_question: one that this consumes. p_votes: [{item_id, person, actor, content_sha256, base_sha256, words}], each in
-- the place of that person's earlier one; without a content_sha256 the earlier one is withdrawn.
-- Answers {ok: true, revision} or {ok: false, reason: unknown | conflict | superseded | busy | question | frozen}.
create or replace function public.ratchet_sessions_settle(
  p_session_id uuid, p_revision bigint, p_state text, p_items jsonb, p_votes jsonb, p_deployments jsonb,
  p_question uuid, p_snoozed_until timestamptz, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  session ratchet.sessions;
  change record;
begin
  perform ratchet.audit_lock((select agent from ratchet.sessions where id = p_session_id));
  select * into session from ratchet.sessions where id = p_session_id for update;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'unknown');
  end if;
  if session.revision <> p_revision then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  if p_state is not null and not exists (
      select from ratchet.transitions where record = 'session' and from_state = session.state and to_state = p_state) then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  if p_state = 'pending' and exists (
      select from ratchet.sessions other where other.agent = session.agent and other.id <> session.id
        and (other.state = 'pending' or other.created_at > session.created_at)) then
    return jsonb_build_object('ok', false, 'reason', 'superseded');
  end if;
  if jsonb_array_length(p_deployments) > 0 and exists (select from ratchet.freezes where agent = session.agent) then
    return jsonb_build_object('ok', false, 'reason', 'frozen');
  end if;
  if p_question is not null then
    update ratchet.questions set consumed_at = p_at where id = p_question and consumed_at is null and expires_at > p_at;
    if not found then
      return jsonb_build_object('ok', false, 'reason', 'question');
    end if;
  end if;
  for change in
    select * from jsonb_to_recordset(p_items) as (id uuid, "from" text, "to" text, severity double precision)
  loop
    update ratchet.items item set state = change."to", answered_at = p_at,
      answered_severity = coalesce(change.severity, item.severity)
    where item.id = change.id and item.state = change."from"
      and exists (select from ratchet.session_items seat where seat.session_id = session.id and seat.item_id = item.id)
      and exists (select from ratchet.transitions
                  where record = 'item' and from_state = change."from" and to_state = change."to");
    if not found then
      raise exception 'conflict' using errcode = 'RT001';
    end if;
  end loop;
  delete from ratchet.votes held using jsonb_to_recordset(p_votes) as given (item_id uuid, person text)
  where held.item_id = given.item_id and held.person = given.person;
  insert into ratchet.votes (item_id, person, session_id, actor, content_sha256, base_sha256, words, voted_at)
  select given.item_id, given.person, session.id, given.actor, given.content_sha256, given.base_sha256, given.words, p_at
  from jsonb_to_recordset(p_votes) as given (item_id uuid, person text, actor text, content_sha256 text, base_sha256 jsonb,
    words text)
  join ratchet.session_items seat on seat.session_id = session.id and seat.item_id = given.item_id
  where given.content_sha256 is not null;
  -- Nothing goes live but what this decision approves.
  if exists (
      select from jsonb_to_recordset(p_deployments) as planned (items jsonb)
      where jsonb_array_length(planned.items) = 0 or exists (
        select from jsonb_array_elements_text(planned.items) as held (id)
        where not exists (
          select from jsonb_to_recordset(p_items) as moved (id uuid, "to" text)
          join ratchet.items item on item.id = moved.id and item.state = 'approved'
          where moved.id = held.id::uuid and moved."to" = 'approved'))) then
    raise exception 'conflict' using errcode = 'RT001';
  end if;
  insert into ratchet.deployments (id, agent, session_id, batch_id, ordinal, prompt, label, follow, state, items, actor,
                                   base_version, base_sha256, text, sha256, planned_at, provenance)
  select id, session.agent, session.id, batch_id, ordinal, prompt, label, follow, 'planned', items, actor,
         base_version, base_sha256, text, sha256, p_at, coalesce(provenance, '{}'::jsonb)
  from jsonb_to_recordset(p_deployments) as (id uuid, batch_id uuid, ordinal integer, prompt text, label text,
    follow text, items jsonb, actor text, base_version integer, base_sha256 text, text text, sha256 text,
    provenance jsonb);
  update ratchet.sessions set state = coalesce(p_state, state), revision = revision + 1,
    decided_at = case when p_state is null then decided_at when p_state <> 'pending' then p_at end,
    snoozed_until = coalesce(p_snoozed_until, snoozed_until)
  where id = session.id;
  perform ratchet.notices_add(session.agent, p_notices, p_at);
  perform ratchet.audit_append(session.agent, p_audit, p_at);
  return jsonb_build_object('ok', true, 'revision', session.revision + 1);
exception
  when sqlstate 'RT001' then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  when unique_violation then
    return jsonb_build_object('ok', false, 'reason', 'busy');
end $$;

-- As the release before called it: without votes.
create or replace function public.ratchet_sessions_decide(
  p_session_id uuid, p_revision bigint, p_state text, p_items jsonb, p_deployments jsonb, p_question uuid,
  p_snoozed_until timestamptz, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language sql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select public.ratchet_sessions_settle(p_session_id, p_revision, p_state, p_items, '[]'::jsonb, p_deployments, p_question,
                                        p_snoozed_until, p_notices, p_audit, p_at);
$$;

-- What the newest traces since p_since say, of those before (p_until, p_before_id): [{trace_id, session_id, started_at, said}],
-- newest first; p_before_id null: up to p_until. At most p_limit, and no more once they have p_bytes_max as they are stored.
create or replace function public.ratchet_traces_said(
  p_agent text, p_since timestamptz, p_until timestamptz, p_before_id text, p_limit integer, p_bytes_max integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('trace_id', trace_id, 'session_id', session_id, 'started_at', started_at,
                                               'said', ratchet.said(events)) order by started_at desc, trace_id desc), '[]'::jsonb)
  from (
    select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
    from (
      select trace_id, session_id, started_at, events
      from ratchet.traces
      where agent = p_agent and started_at >= p_since and started_at <= p_until
        and (p_before_id is null or (started_at, trace_id) < (p_until, p_before_id))
      order by started_at desc, trace_id desc
      limit p_limit
    ) as newest
  ) as page
  where above is null or above < p_bytes_max;
$$;

-- What the traces of these sessions say, in the same form and within the same bounds.
create or replace function public.ratchet_traces_said_in(p_agent text, p_session_ids jsonb, p_limit integer, p_bytes_max integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('trace_id', trace_id, 'session_id', session_id, 'started_at', started_at,
                                               'said', ratchet.said(events)) order by started_at desc, trace_id desc), '[]'::jsonb)
  from (
    select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
    from (
      select trace_id, session_id, started_at, events
      from ratchet.traces
      where agent = p_agent and session_id = any (array(select jsonb_array_elements_text(p_session_ids)))
      order by started_at desc, trace_id desc
      limit p_limit
    ) as newest
  ) as page
  where above is null or above < p_bytes_max;
$$;

-- The inputs of recent requests, each once, newest first: [{session_id, prompts, inputs}]. `prompts` are the names that the
-- request, else its trace, gives. Looked for in the newest p_traces_max traces since p_since, within p_bytes_max as they are stored.
create or replace function public.ratchet_traces_inputs(
  p_agent text, p_since timestamptz, p_traces_max integer, p_bytes_max integer, p_limit integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('session_id', session_id, 'prompts', prompts, 'inputs', inputs) order by started_at desc, place), '[]'::jsonb)
  from (
    select *
    from (
      select distinct on (event->'inputs')
             page.session_id, page.started_at, place, event->'inputs' as inputs,
             array(select jsonb_object_keys(case jsonb_typeof(event->'prompts') when 'object' then event->'prompts' else page.prompts end)) as prompts
      from (
        select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
        from (
          select trace_id, session_id, started_at, prompts, events
          from ratchet.traces
          where agent = p_agent and started_at >= p_since
          order by started_at desc, trace_id desc
          limit p_traces_max
        ) as newest
      ) as page
      cross join lateral jsonb_array_elements(page.events) with ordinality as request (event, place)
      where (above is null or above < p_bytes_max)
        and event->>'type' = 'llm_call' and jsonb_typeof(event->'inputs') = 'object' and pg_column_size(event->'inputs') <= 100000
      order by event->'inputs', page.started_at desc, place
    ) as distinct_inputs
    order by started_at desc, place
    limit p_limit
  ) as recent;
$$;

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

insert into ratchet.schema_migrations (version, name) values ('20261120211416', 'deployments_that_survive')
  on conflict do nothing;
