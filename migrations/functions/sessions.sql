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

create or replace function public.ratchet_sessions_read(p_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.session_json(p_id);
$$;

-- The newest session of the agent, in whatever state; null when there was none.
create or replace function public.ratchet_sessions_newest(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.session_json((select id from ratchet.sessions where agent = p_agent
                               order by created_at desc, (state = 'pending') desc limit 1));
$$;

-- Saves what a run found, in one transaction: the session with its items, the old one superseded, the run done.
-- p_items: rows of items; one with a known id is carried over (its words are brought up to date), unless it was
-- decided while the run was under way: that one is left out.
-- Answers {ok: true} or {ok: false, reason: lost} when the run's lease went to another worker.
create or replace function public.ratchet_sessions_save(
  p_run_id uuid, p_worker text, p_session jsonb, p_items jsonb, p_result jsonb, p_notices jsonb, p_audit text,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  run ratchet.runs;
  saved ratchet.sessions;
begin
  perform ratchet.audit_lock((select agent from ratchet.runs where id = p_run_id));
  update ratchet.runs set state = 'done', finished_at = p_at, result = p_result, session_id = (p_session ->> 'id')::uuid
  where id = p_run_id and worker = p_worker and state = 'running' returning * into run;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'lost');
  end if;
  update ratchet.sessions set state = 'superseded', revision = revision + 1
  where agent = run.agent and state = 'pending';
  update ratchet.items set state = 'stale'
  where agent = run.agent and state = 'open'
    and id not in (select id from jsonb_to_recordset(p_items) as (id uuid));
  insert into ratchet.sessions (id, agent, run_id, environment, since, until, state, created_at, expires_at, facts,
                                header, watching, dropped)
  select id, run.agent, run.id, environment, run.since, run.until, 'pending', p_at, expires_at, facts, header,
         watching, dropped
  from jsonb_to_record(p_session) as (id uuid, environment text, expires_at timestamptz, facts jsonb, header jsonb,
                                      watching jsonb, dropped jsonb)
  returning * into saved;
  insert into ratchet.items (id, agent, key, rule, goal, type, title, detail, facts, edits, base_sha256, requires,
                             content_sha256, state, severity, first_seen_at)
  select id, run.agent, key, rule, goal, type, title, detail, facts, edits, base_sha256, requires, content_sha256,
         'open', severity, p_at
  from jsonb_to_recordset(p_items) as (id uuid, key text, rule text, goal text, type text, title text, detail text,
    facts jsonb, edits jsonb, base_sha256 jsonb, requires jsonb, content_sha256 text, severity double precision)
  on conflict (id) do update set title = excluded.title, detail = excluded.detail, facts = excluded.facts,
    severity = excluded.severity, base_sha256 = excluded.base_sha256, requires = excluded.requires
    where items.state = 'open';
  insert into ratchet.session_items (session_id, n, item_id)
  select saved.id, wanted.n, wanted.id from jsonb_to_recordset(p_items) as wanted (n integer, id uuid)
  join ratchet.items item on item.id = wanted.id and item.state = 'open';
  perform ratchet.notices_add(run.agent, p_notices, p_at);
  perform ratchet.audit_append(run.agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
end $$;

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

-- Marks the pending session of the agent expired when its time is over; true when it did.
create or replace function public.ratchet_sessions_expire(p_agent text, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  expired uuid;
begin
  perform ratchet.audit_lock(p_agent);
  update ratchet.sessions set state = 'expired', revision = revision + 1
  where agent = p_agent and state = 'pending' and expires_at <= p_at returning id into expired;
  if not found then
    return to_jsonb(false);
  end if;
  perform ratchet.notices_add(p_agent, jsonb_build_array(
    jsonb_build_object('kind', 'session_expired', 'session_id', expired, 'body', '{}'::jsonb)), p_at);
  perform ratchet.audit_append(p_agent, p_audit, p_at);
  return to_jsonb(true);
end $$;

-- The last answer to each key: what was proposed before, how it was answered and how bad it was then.
create or replace function public.ratchet_items_answered(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(item)), '[]'::jsonb) from (
    select distinct on (key) id, key, state, severity, answered_at, answered_severity, content_sha256, first_seen_at
    from ratchet.items where agent = p_agent and state <> 'stale'
    order by key, coalesce(answered_at, first_seen_at) desc, first_seen_at desc) item;
$$;
