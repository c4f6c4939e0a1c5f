-- The daily questions over one span, answered in one plain pass over the traces: the yardstick of the fold, and the
-- figures that the snapshot must give. In this traffic a trace is an agent session.
with event as materialized (
  select trace.trace_id as session, e.type, e.name, e.call_id, e.t_ms, e.tokens_in, e.tokens_out, e.cost_usd,
         case when e.type = 'tool_call' then coalesce(e.args::text, '{}') end as args,
         case when e.type = 'tool_result' and not e.ok then coalesce(e.error, e.text, '') end as error
  from ratchet.traces trace
  cross join lateral jsonb_to_recordset(trace.events) as e (
    type text, name text, call_id text, t_ms bigint, ok boolean, text text, error text, args jsonb,
    tokens_in bigint, tokens_out bigint, cost_usd numeric)
  where trace.agent = %(agent)s and trace.started_at >= %(since)s and trace.started_at < %(until)s
),
call as materialized (
  select session, call_id, min(name) as tool, min(args) as args, min(error) as error,
         max(t_ms) filter (where type = 'tool_result') - min(t_ms) filter (where type = 'tool_call') as latency_ms
  from event where type in ('tool_call', 'tool_result') group by session, call_id
),
by_tool as (
  select tool, count(distinct session) as sessions, count(*) as calls, count(error) as errors,
         count(latency_ms) as latencies,
         percentile_disc(0.5) within group (order by latency_ms) as p50,
         percentile_disc(0.95) within group (order by latency_ms) as p95
  from call group by tool
),
by_text as (
  select tool, ratchet.masked(error) as signature, count(*) as errors from call where error is not null group by 1, 2
),
repeat as (
  select session, tool, args, count(*) as times from call group by session, tool, args having count(*) > 1
),
repeats as (
  select count(distinct session) filter (where times >= 3) as loop_sessions, coalesce(max(times), 1) as loop_longest,
         coalesce(sum(times - 1), 0)::bigint as redundant_calls
  from repeat
),
summed as (
  select session, sum(cost_usd) as cost_usd, sum(tokens_in) as tokens_in, sum(tokens_out) as tokens_out,
         count(*) filter (where type in ('tool_call', 'assistant_message')) as steps,
         count(*) filter (where type = 'user_message') as user_messages,
         bool_or(type = 'tool_call' and starts_with(name, 'transfer_to_human')) as escalated
  from event group by session
),
by_label as (
  select trace.model, trace.task_category, 'system@' || (trace.prompts ->> 'system') as prompt_version,
         count(*) as sessions, count(success) as rated, count(*) filter (where success) as successes,
         count(*) filter (where escalated) as escalations,
         avg(cost_usd)::float8 as cost_usd_mean, var_samp(cost_usd)::float8 as cost_usd_variance,
         avg(tokens_in)::float8 as tokens_in_mean, var_samp(tokens_in)::float8 as tokens_in_variance,
         avg(tokens_out)::float8 as tokens_out_mean, var_samp(tokens_out)::float8 as tokens_out_variance,
         avg(steps)::float8 as steps_mean, var_samp(steps)::float8 as steps_variance,
         avg(user_messages)::float8 as user_messages_mean, var_samp(user_messages)::float8 as user_messages_variance
  from ratchet.traces trace join summed on summed.session = trace.trace_id
  where trace.agent = %(agent)s and trace.started_at >= %(since)s and trace.started_at < %(until)s
  group by grouping sets ((), (model), (task_category), (3))
)
select jsonb_build_object(
  'tools', (select jsonb_agg(by_tool) from by_tool),
  'signatures', (select jsonb_agg(by_text) from by_text),
  'repeats', (select to_jsonb(repeats) from repeats),
  'labels', (select jsonb_agg(by_label) from by_label),
  'never_called', (
    select jsonb_agg(declared.tool) from ratchet.agents
    cross join lateral jsonb_array_elements_text(tools) as declared (tool)
    where agent = %(agent)s and declared.tool not in (select tool from by_tool)))
