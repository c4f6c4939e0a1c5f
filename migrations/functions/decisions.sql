-- Locks the head of the agent's chain. Whatever changes the state of an agent begins with this lock and ends with
-- an append, so that two changes wait for each other here and never in a circle.
create or replace function ratchet.audit_lock(p_agent text) returns ratchet.decision_heads
language plpgsql set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  head ratchet.decision_heads;
begin
  if p_agent is null then
    return null;  -- what is to be changed does not exist: the caller says so
  end if;
  insert into ratchet.decision_heads (agent, seq, sha256) values (p_agent, 0, repeat('0', 64))
  on conflict do nothing;
  select * into head from ratchet.decision_heads where agent = p_agent for update;
  return head;
end $$;

-- Appends one row to the agent's chain, under a lock on its head. Every state change calls this in its transaction.
create or replace function ratchet.audit_append(p_agent text, p_body text, p_at timestamptz) returns jsonb
language plpgsql set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  head ratchet.decision_heads := ratchet.audit_lock(p_agent);
  digest text;
begin
  digest := encode(sha256(convert_to(head.sha256 || p_body, 'UTF8')), 'hex');
  insert into ratchet.decisions (agent, seq, at, body, sha256, prev_sha256)
  values (p_agent, head.seq + 1, p_at, p_body, digest, head.sha256);
  update ratchet.decision_heads set seq = head.seq + 1, sha256 = digest where agent = p_agent;
  return jsonb_build_object('seq', head.seq + 1, 'sha256', digest);
end $$;

-- A page of the chain after a sequence number, and its head.
create or replace function public.ratchet_decisions_page(p_agent text, p_after bigint, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'head', (select jsonb_build_object('seq', seq, 'sha256', sha256) from ratchet.decision_heads where agent = p_agent),
    'rows', coalesce((
      select jsonb_agg(jsonb_build_object('seq', seq, 'at', at, 'body', body, 'sha256', sha256,
                                          'prev_sha256', prev_sha256) order by seq)
      from (select * from ratchet.decisions where agent = p_agent and seq > p_after
            order by seq limit least(p_limit, 1000)) page), '[]'::jsonb));
$$;

-- The agents that have a chain: [agent], also those that were never registered.
create or replace function public.ratchet_decisions_agents() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(agent order by agent), '[]'::jsonb) from ratchet.decision_heads;
$$;

-- The newest rows, newest first.
create or replace function public.ratchet_decisions_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('seq', seq, 'at', at, 'body', body) order by seq desc), '[]'::jsonb)
  from (select * from ratchet.decisions where agent = p_agent order by seq desc limit least(p_limit, 200)) newest;
$$;

-- What came of one message of a chat, oldest first: [understood]. A refusal is nothing that came of it.
create or replace function public.ratchet_decisions_of_message(p_agent text, p_message text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(said ->> 'understood' order by seq), '[]'::jsonb)
  from (select seq, body::jsonb as said from ratchet.decisions
        where agent = p_agent) about
  where said ->> 'message' = p_message and said ->> 'kind' not in ('refused', 'rebased');
$$;

-- The decision that closed a session, since it was last open; while it is open, the newest one. Null: there is none.
create or replace function public.ratchet_decisions_closing(p_agent text, p_session_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  with about as materialized (
    select seq, at, body, body::jsonb as said from ratchet.decisions
    where agent = p_agent and position(p_session_id::text in body) > 0
  ),
  decision as (
    select seq, at, body, said ->> 'session_state' in ('decided', 'skipped') as closed from about
    where said ->> 'kind' = 'decision' and said ->> 'session_id' = p_session_id::text
  ),
  after as (select coalesce(max(seq), 0) as seq from decision where not closed)
  select jsonb_build_object('seq', decision.seq, 'at', at, 'body', body) from decision, after
  where decision.seq >= after.seq
  order by closed desc, decision.seq limit 1;
$$;

-- Writes a row that changes no other state (a refusal, a registration).
create or replace function public.ratchet_decisions_write(p_agent text, p_body text, p_at timestamptz) returns jsonb
language sql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.audit_append(p_agent, p_body, p_at);
$$;
