-- Asks one person one question in one chat; what was open there before is no longer.
create or replace function public.ratchet_questions_ask(
  p_id uuid, p_agent text, p_session_id uuid, p_channel text, p_chat text, p_actor text, p_text text, p_plan jsonb,
  p_code text, p_expires_at timestamptz, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.questions set consumed_at = p_at
  where channel = p_channel and chat = p_chat and actor = p_actor and consumed_at is null;
  insert into ratchet.questions (id, agent, session_id, channel, chat, actor, text, plan, code, asked_at, expires_at)
  values (p_id, p_agent, p_session_id, p_channel, p_chat, p_actor, p_text, p_plan, p_code, p_at, p_expires_at);
  return to_jsonb(true);
end $$;

-- The question that is open for this person in this chat; null when there is none.
create or replace function public.ratchet_questions_open(
  p_channel text, p_chat text, p_actor text, p_at timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(question) from ratchet.questions question
  where channel = p_channel and chat = p_chat and actor = p_actor and consumed_at is null and expires_at > p_at
  order by asked_at desc limit 1;
$$;

-- Consumes a question without doing what it asked about; true when it was open.
create or replace function public.ratchet_questions_close(p_id uuid, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  update ratchet.questions set consumed_at = p_at where id = p_id and consumed_at is null;
  return to_jsonb(found);
end $$;
