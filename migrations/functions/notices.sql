-- Adds neutral notices: [{kind, session_id, actor, body}].
create or replace function ratchet.notices_add(p_agent text, p_notices jsonb, p_at timestamptz) returns void
language sql set search_path = pg_catalog, ratchet, pg_temp as $$
  insert into ratchet.notices (agent, kind, session_id, actor, body, created_at)
  select p_agent, kind, session_id, actor, body, p_at
  from jsonb_to_recordset(coalesce(p_notices, '[]'::jsonb)) as (kind text, session_id uuid, actor text, body jsonb);
$$;

-- Notices after an id, oldest first; p_after null answers only the newest id.
create or replace function public.ratchet_notices_after(p_agent text, p_after bigint, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'newest', coalesce((select max(id) from ratchet.notices where agent = p_agent), 0),
    'rows', coalesce((
      select jsonb_agg(to_jsonb(page) - 'agent' order by id)
      from (select * from ratchet.notices where p_after is not null and agent = p_agent and id > p_after
            order by id limit least(p_limit, 500)) page), '[]'::jsonb));
$$;
