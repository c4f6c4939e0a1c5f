-- Binds undecided items to new base texts, or makes them stale where their edits no longer fit.
-- p_items: [{id, base_sha256 | null}]. Whoever approves next has seen the new text: the session's revision moves on.
create or replace function public.ratchet_items_rebase(
  p_session_id uuid, p_revision bigint, p_items jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  session ratchet.sessions;
begin
  perform ratchet.audit_lock((select agent from ratchet.sessions where id = p_session_id));
  update ratchet.sessions set revision = revision + 1
  where id = p_session_id and revision = p_revision and state = 'pending' returning * into session;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'conflict');
  end if;
  update ratchet.items item set
    base_sha256 = coalesce(wanted.base_sha256, item.base_sha256),
    state = case when wanted.base_sha256 is null then 'stale' else item.state end
  from jsonb_to_recordset(p_items) as wanted (id uuid, base_sha256 jsonb)
  where item.id = wanted.id and item.state = 'open' and item.agent = session.agent;
  perform ratchet.audit_append(session.agent, p_audit, p_at);
  return jsonb_build_object('ok', true, 'revision', session.revision);
end $$;
