-- Agents, as imports and settings declare them.

create or replace function public.ratchet_agents_read(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(a) from ratchet.agents a where a.agent = p_agent
$$;

create or replace function public.ratchet_agents_list() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(a) order by a.agent), '[]') from ratchet.agents a
$$;

-- Adds or changes an agent; null leaves a field as it is. Returns the agent with its revision, which
-- rises only when something changed. Other escalation tools change the past too: all hours fold again.
create or replace function public.ratchet_agents_register(
  p_agent text, p_environment text, p_tools jsonb, p_prompts jsonb, p_escalation_tools jsonb, p_at timestamptz
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  before ratchet.agents;
  result ratchet.agents;
begin
  insert into ratchet.agents (agent, registered_at) values (p_agent, p_at) on conflict do nothing;
  select * into before from ratchet.agents where agent = p_agent for update;
  result := before;
  result.environment := coalesce(p_environment, before.environment);
  result.tools := coalesce(p_tools, before.tools);
  result.prompts := coalesce(p_prompts, before.prompts);
  result.escalation_tools := coalesce(p_escalation_tools, before.escalation_tools);
  if result is distinct from before then
    result.revision := before.revision + 1;
    update ratchet.agents set
      environment = result.environment, tools = result.tools, prompts = result.prompts,
      escalation_tools = result.escalation_tools, revision = result.revision
    where agent = p_agent;
  end if;
  if result.escalation_tools <> before.escalation_tools then
    insert into ratchet.fold_queue (agent, hour, queued_at)
    select p_agent, h.hour, p_at
    from (select distinct date_trunc('hour', started_at, 'UTC') as hour from ratchet.traces where agent = p_agent) as h
    order by h.hour
    on conflict (agent, hour) do update set queued_at = excluded.queued_at;
  end if;
  return to_jsonb(result);
end $$;
