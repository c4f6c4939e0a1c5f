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
