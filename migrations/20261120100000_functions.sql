-- Written by scripts/migration from migrations/functions.

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
-- deployment that is live although another one of the same item is not.
create or replace function ratchet.batch_waits(p_batch_id uuid) returns boolean
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select exists (
    select from ratchet.deployments one
    where one.batch_id = p_batch_id and (
      one.state in ('planned', 'publishing', 'published', 'verifying')
      or one.state in ('live', 'seen') and not coalesce(one.rollback ? 'failed', false) and (
        one.rollback is not null
        or exists (select from ratchet.deployments other, jsonb_array_elements_text(other.items) as shared (item)
                   where other.batch_id = p_batch_id and other.state in ('failed', 'halted', 'rolled_back')
                     and one.items ? shared.item))));
$$;

-- Adds neutral notices: [{kind, session_id, actor, body}].
create or replace function ratchet.notices_add(p_agent text, p_notices jsonb, p_at timestamptz) returns void
language sql set search_path = pg_catalog, ratchet, pg_temp as $$
  insert into ratchet.notices (agent, kind, session_id, actor, body, created_at)
  select p_agent, kind, session_id, actor, body, p_at
  from jsonb_to_recordset(coalesce(p_notices, '[]'::jsonb)) as (kind text, session_id uuid, actor text, body jsonb);
$$;

create or replace function ratchet.prompt_version_json(p_agent text, p_prompt text, p_version integer) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(held) from ratchet.prompt_versions held
  where agent = p_agent and prompt = p_prompt and version = p_version;
$$;

-- The template of an error text: quotes, ids, hex and numbers masked, HTTP classes kept.
create or replace function ratchet.masked(p_text text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  with quoted as (
    select regexp_replace(
             regexp_replace(left(p_text, 2000), '(^|\W)"[^"]*"', '\1''...''', 'g'),
             '(^|\W)''[^'']*''(?!\w)', '\1''...''', 'g') as t
  ),
  status as (
    select regexp_replace(t, '\m(HTTP|status|code)([ :=]*)([45])\d\d\M', '\1\2\3xx', 'gi') as t from quoted
  ),
  numbered as (
    select regexp_replace(t, '\m(?![45]xx\M)[\w-]*\d(?:[\w.,:-]*\w)?', 'N', 'g') as t from status
  )
  select coalesce(nullif(left(btrim(regexp_replace(t, '\s+', ' ', 'g')), 120), ''), '(no text)') from numbered
$$;

-- Whether a tool is one of the agent's escalation tools: `*` and `?` as in a shell.
create or replace function ratchet.is_escalation(p_tool text, p_patterns jsonb) returns boolean
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from jsonb_array_elements_text(p_patterns) as pattern
    where p_tool like replace(replace(replace(replace(replace(
            pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
  )
$$;

-- The measures of each span [p_from[i], p_until[i]) of one agent, straight from its traces.
-- The spans are in ascending order and do not overlap. An agent session is the traces of one
-- session_id without an idle gap of more than six hours; it belongs to the span in which it began.
-- Sums are made over `numeric`, so that the order of rows cannot show in the last digit.
create or replace function ratchet.fold(p_agent text, p_from timestamptz[], p_until timestamptz[])
returns table (
  span integer, name text, labels jsonb,
  n bigint, total double precision, total_sq double precision, largest double precision,
  buckets jsonb, samples jsonb
)
language sql stable
set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set work_mem = '64MB'
set enable_nestloop = off                          -- estimates over jsonb are poor; joins here are of thousands of rows
as $$
with touched as materialized (
  select distinct t.session_id
  from unnest(p_from, p_until) as s (from_at, until_at)
  cross join lateral (
    select session_id from ratchet.traces
    where agent = p_agent and started_at >= s.from_at and started_at < s.until_at
    offset 0
  ) as t
),
piece as (
  select t.session_id, t.trace_id, t.started_at,
         max(t.ended_at) over (
           partition by t.session_id order by t.started_at, t.trace_id
           rows between unbounded preceding and 1 preceding) as ended_before
  from touched
  cross join lateral (
    select session_id, trace_id, started_at, ended_at from ratchet.traces
    where agent = p_agent and session_id = touched.session_id
    offset 0
  ) as t
),
numbered as materialized (
  select session_id, trace_id, started_at,
         count(*) filter (where started_at - ended_before > interval '6 hours') over (
           partition by session_id order by started_at, trace_id rows unbounded preceding) as part
  from piece
),
began as (
  select session_id, part, min(started_at) as started_at,
         width_bucket(min(started_at), p_from) as span
  from numbered group by session_id, part
),
session as materialized (
  select row_number() over (order by started_at, session_id) as sk, span, session_id, part
  from began where span > 0 and started_at < p_until[span]
),
run as materialized (
  select m.sk, row_number() over (order by m.sk, m.started_at, m.trace_id) as tk, t.*
  from (select s.sk, d.trace_id, d.started_at from session s join numbered d using (session_id, part)) as m
  cross join lateral (
    select model, environment, release, task_category, prompts, success, events from ratchet.traces
    where agent = p_agent and trace_id = m.trace_id
    offset 0
  ) as t
),
event as materialized (
  select run.sk, run.tk, run.tk * 100000000 + e.ordinality as at,
         e.type, e.name, e.call_id, e.t_ms, e.ok, e.model,
         e.tokens_in, e.tokens_out, e.tokens_cached, e.cost_usd,
         case e.type when 'user_message' then length(e.text) end as characters,
         case when e.type = 'tool_result' and not e.ok then coalesce(e.error, e.text, '') end as error,
         case when e.type = 'tool_call'
           then encode(sha256(convert_to(coalesce(e.args::text, '{}'), 'UTF8')), 'base64') end as args,
         case when e.type = 'tool_call' and length(e.args::text) >= 500 then e.args end as long_args
  from run
  cross join lateral rows from (jsonb_to_recordset(run.events) as (
    type text, name text, call_id text, t_ms bigint, ok boolean, model text, text text, error text, args jsonb,
    tokens_in numeric, tokens_out numeric, tokens_cached numeric, cost_usd numeric
  )) with ordinality as e
),
call as materialized (                            -- a call with its result; either may be missing
  select sk, tk, call_id, left(min(name), 200) as tool,
         min(at) filter (where type = 'tool_call') as called_at,
         max(at) filter (where type = 'tool_result') as answered_at,
         coalesce(bool_or(not ok) filter (where type = 'tool_result'), false) as failed,
         max(t_ms) filter (where type = 'tool_result') - min(t_ms) filter (where type = 'tool_call') as latency_ms,
         min(args) as args, min(error) as error
  from event where type in ('tool_call', 'tool_result') group by sk, tk, call_id
),
tool as materialized (
  select sk, tool, count(called_at) as calls, count(*) filter (where failed) as errors,
         max(called_at) as called_at, max(answered_at) as answered_at,
         max(answered_at) filter (where failed) as failed_at
  from call group by sk, tool
),
repeat as materialized (                          -- the same tool with the same arguments
  select sk, tool, count(*) as times, count(*) filter (where failed) as errors
  from call where called_at is not null group by sk, tool, args
),
escalation as materialized (
  select t.tool from (select distinct tool from tool) as t join ratchet.agents a on a.agent = p_agent
  where ratchet.is_escalation(t.tool, a.escalation_tools)
),
passed as (                                       -- one long text as one argument of several calls
  select e.sk, left(a.key, 200) as argument, length(a.value) as characters, count(*) as times
  from event e
  cross join lateral (
    select key, value #>> '{}' as value
    from jsonb_each(case jsonb_typeof(e.long_args) when 'object' then e.long_args else '{}' end)
    where jsonb_typeof(value) = 'string'
  ) as a
  where e.long_args is not null and length(a.value) >= 500
  group by e.sk, left(a.key, 200), a.value having count(*) >= 3
),
first_response as (
  select distinct on (sk) sk, at, tokens_in from event where tokens_in is not null order by sk, at
),
summed as (
  select sk,
         sum(cost_usd) as cost_usd, sum(tokens_in) as tokens_in, sum(tokens_out) as tokens_out,
         sum(tokens_cached) as tokens_cached,
         count(*) filter (where type in ('tool_call', 'assistant_message')) as steps,
         count(*) filter (where type = 'user_message') as user_messages
  from event group by sk
),
used as (
  select sk, nullif(sum(calls), 0) as calls, nullif(sum(errors), 0) as errors,
         bool_or(calls > 0 and tool in (select tool from escalation)) as escalated
  from tool group by sk
),
ended as (
  select sk, (array_agg(success order by tk desc) filter (where success is not null))[1] as success
  from run group by sk
),
whole as materialized (                           -- one row per agent session
  select s.sk, s.span, s.session_id, ended.success,
         m.cost_usd, m.tokens_in, m.tokens_out, m.tokens_cached,
         case when m.cost_usd > 0 then ln(m.cost_usd::double precision)::numeric end as cost_log,
         coalesce(m.steps, 0)::numeric as steps, coalesce(m.user_messages, 0)::numeric as user_messages,
         u.calls, u.errors, u.escalated
  from session s join ended using (sk) left join summed m using (sk) left join used u using (sk)
),
label as (                                        -- a session carries each value that one of its traces has
  select sk, null::text as key, null::text as value from session
  union
  select sk, l.key, left(l.value, 200)
  from run cross join lateral (values ('model', model), ('environment', environment), ('release', release),
                                      ('task_category', task_category)) as l (key, value)
  where l.value is not null
  union
  select sk, 'model', left(model, 200) from event where type = 'llm_call' and model is not null
  union
  select sk, 'prompt_version', left(p.key || '@' || v.value, 200)
  from run
  cross join lateral jsonb_each(prompts) as p
  cross join lateral jsonb_array_elements_text(
    case jsonb_typeof(p.value) when 'array' then p.value else jsonb_build_array(p.value) end) as v (value)
),
split as (
  select w.span, l.key, l.value,
         count(*) as sessions,
         count(success) as rated, count(*) filter (where success) as successes,
         (array_agg(session_id order by sk) filter (where not success))[1:5] as unsuccessful,
         count(cost_usd) as cost_n, sum(cost_usd) as cost, sum(cost_usd * cost_usd) as cost_sq, max(cost_usd) as cost_max,
         count(cost_log) as log_n, sum(cost_log) as log, sum(cost_log * cost_log) as log_sq, max(cost_log) as log_max,
         count(tokens_in) as in_n, sum(tokens_in) as ins, sum(tokens_in * tokens_in) as in_sq, max(tokens_in) as in_max,
         count(tokens_out) as out_n, sum(tokens_out) as outs, sum(tokens_out * tokens_out) as out_sq, max(tokens_out) as out_max,
         sum(steps) as steps, sum(steps * steps) as steps_sq, max(steps) as steps_max,
         sum(user_messages) as messages, sum(user_messages * user_messages) as messages_sq, max(user_messages) as messages_max,
         count(calls) as calls_n, sum(calls) as calls, sum(calls * calls) as calls_sq, max(calls) as calls_max,
         count(errors) as errors_n, sum(errors) as errors, sum(errors * errors) as errors_sq, max(errors) as errors_max,
         (array_agg(session_id order by errors desc, sk) filter (where errors > 0))[1:5] as failing,
         count(*) filter (where escalated) as escalations,
         (array_agg(session_id order by sk) filter (where escalated))[1:5] as escalating
  from label l join whole w using (sk) group by w.span, l.key, l.value
),
signed as (                                       -- the 50 most frequent error texts of a tool, the rest as one
  select e.sk, e.tool, e.errors,
         case when dense_rank() over (partition by e.span, e.tool order by e.often desc, e.signature) <= 50
           then e.signature else 'other' end as signature
  from (
    select c.sk, s.span, c.tool, c.signature, c.errors,
           sum(c.errors) over (partition by s.span, c.tool, c.signature) as often
    from (select sk, tool, ratchet.masked(error) as signature, count(*) as errors from call
          where failed group by sk, tool, ratchet.masked(error)) as c
    join session s using (sk)
  ) as e
),
observed as (                                     -- what one session adds to a measure that is not split
  select sk, 'tokens_cached' as name, null::text as tool, null::text as signature, null::text as argument,
         true as counted, tokens_cached as value, tokens_cached as peak
  from whole where tokens_cached is not null
  union all
  select sk, 'tool.calls', tool, null, null, true, calls, calls from tool where calls > 0
  union all
  select sk, 'tool.errors', tool, null, null, true, errors, errors from tool where errors > 0
  union all
  select sk, 'tool.abandoned', tool, null, null, true, 1, 1 from tool
  where failed_at = answered_at and (called_at is null or called_at < failed_at)
  union all
  select sk, 'tool.error_signature', tool, signature, null, true, sum(errors), sum(errors) from signed
  group by sk, tool, signature
  union all
  select sk, 'loop', null, null, null, max(times) >= 3,
         coalesce(sum(times - 1) filter (where times >= 3), 0), max(times) from repeat group by sk
  union all
  select sk, 'loop', tool, null, null, true, sum(times - 1), max(times) from repeat where times >= 3 group by sk, tool
  union all
  select sk, 'error_loop', tool, null, null, true, sum(times - 1), max(times) from repeat
  where times >= 3 and errors >= 2 group by sk, tool
  union all
  select sk, 'redundant_calls', null, null, null, true, sum(times - 1), sum(times - 1) from repeat
  where times > 1 group by sk
  union all
  select sk, 'redundant_calls', tool, null, null, true, sum(times - 1), sum(times - 1) from repeat
  where times > 1 group by sk, tool
  union all
  select sk, 'repeated_text', null, null, argument, true, sum(characters::numeric * (times - 1)), max(times) from passed
  group by sk, argument
  union all
  select sk, 'first_tokens_in', null, null, null, true, tokens_in, tokens_in from first_response
  union all
  select f.sk, 'first_characters', null, null, null, true, coalesce(sum(e.characters), 0), coalesce(sum(e.characters), 0)
  from first_response f left join event e on e.sk = f.sk and e.at < f.at group by f.sk
),
latency as (
  select span, tool, sum(count) as n, sum(total) as total, sum(total_sq) as total_sq, max(largest) as largest,
         jsonb_object_agg(bucket, count) as buckets
  from (
    select s.span, c.tool, case when c.latency_ms < 1 then 0 else floor(ln(c.latency_ms) / ln(1.04::double precision))::integer end as bucket,
           count(*) as count, sum(c.latency_ms) as total, sum(c.latency_ms::numeric * c.latency_ms) as total_sq,
           max(c.latency_ms) as largest
    from call c join session s using (sk) where c.latency_ms >= 0 group by 1, 2, 3
  ) as b
  group by span, tool
)
select s.span, v.name, case when s.key is null then '{}' else jsonb_build_object(s.key, s.value) end,
       v.n, v.total::double precision, v.total_sq::double precision, v.largest::double precision,
       null::jsonb, case when s.key is null then to_jsonb(v.samples) end
from split s
cross join lateral (values
  ('sessions', s.sessions, s.sessions::numeric, s.sessions::numeric, 1::numeric, null::text[]),
  ('success', rated, successes, successes, sign(successes::numeric), unsuccessful),
  ('cost_usd', cost_n, cost, cost_sq, cost_max, null),
  ('cost_usd_log', log_n, log, log_sq, log_max, null),
  ('tokens_in', in_n, ins, in_sq, in_max, null),
  ('tokens_out', out_n, outs, out_sq, out_max, null),
  ('steps', s.sessions, steps, steps_sq, steps_max, null),
  ('user_messages', s.sessions, messages, messages_sq, messages_max, null),
  ('tool.calls', calls_n, calls, calls_sq, calls_max, null),
  ('tool.errors', errors_n, errors, errors_sq, errors_max, failing),
  ('escalations', escalations, escalations, escalations, 1, escalating)
) as v (name, n, total, total_sq, largest, samples)
where v.n > 0
union all
select s.span, o.name, jsonb_strip_nulls(jsonb_build_object('tool', o.tool, 'signature', o.signature, 'argument', o.argument)),
       count(*) filter (where o.counted),
       coalesce(sum(o.value) filter (where o.counted), 0)::double precision,
       coalesce(sum(o.value * o.value) filter (where o.counted), 0)::double precision,
       max(o.peak)::double precision,
       null,
       case when o.name in ('tokens_cached', 'tool.calls', 'first_tokens_in', 'first_characters') then null
         else to_jsonb((array_agg(s.session_id order by o.peak desc, o.sk) filter (where o.counted))[1:5]) end
from observed o join session s using (sk)
group by s.span, o.name, o.tool, o.signature, o.argument
union all
select span, 'tool.latency_ms', jsonb_build_object('tool', tool),
       n, total::double precision, total_sq::double precision, largest::double precision, buckets, null
from latency
$$;

-- A session with its items in the order of their numbers.
create or replace function ratchet.session_json(p_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(session) || jsonb_build_object('items', coalesce((
    select jsonb_agg(to_jsonb(item) || jsonb_build_object('n', seat.n) order by seat.n)
    from ratchet.session_items seat join ratchet.items item on item.id = seat.item_id
    where seat.session_id = session.id), '[]'::jsonb))
  from ratchet.sessions session where session.id = p_id;
$$;

-- Queues every hour in which a trace of these session ids begins: a new trace may join or part agent sessions.
-- Sorted, so that two writers cannot wait for each other; `do update`, so that a folder that holds the
-- hour makes the writer wait and the mark outlives the fold.
create or replace function ratchet.queue_hours(p_agent text, p_session_ids text[], p_starts timestamptz[], p_at timestamptz)
returns void language sql set search_path = pg_catalog, ratchet, pg_temp as $$
  insert into ratchet.fold_queue (agent, hour, queued_at)
  select p_agent, h.hour, p_at
  from (
    select date_trunc('hour', started_at, 'UTC') as hour from ratchet.traces
    where agent = p_agent and session_id = any (p_session_ids)
    union
    select date_trunc('hour', started_at, 'UTC') from unnest(p_starts) as started_at
  ) as h
  order by h.hour
  on conflict (agent, hour) do update set queued_at = excluded.queued_at
$$;

-- The lines of a batch as rows, the longest of each trace; an outcome that only a shorter one brings is kept.
create or replace function ratchet.lines(p_traces jsonb)
returns table (
  trace_id text, session_id text, environment text, release text, model text, task_category text,
  started_at timestamptz, ended_at timestamptz, prompts jsonb,
  success boolean, reward double precision, outcome_end text, events jsonb, event_count integer, extra jsonb
)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with line as (
    select * from rows from (jsonb_to_recordset(p_traces) as (
      trace_id text, session_id text, environment text, release text, model text, task_category text,
      started_at timestamptz, ended_at timestamptz, prompts jsonb,
      success boolean, reward double precision, outcome_end text, events jsonb, event_count integer, extra jsonb
    )) with ordinality
  )
  select distinct on (trace_id)
         trace_id, session_id, environment, release, model, task_category, started_at, ended_at, prompts,
         coalesce(success, bool_or(success) over same), coalesce(reward, max(reward) over same),
         coalesce(outcome_end, max(outcome_end) over same), events, event_count, extra
  from line
  window same as (partition by trace_id)
  order by trace_id, event_count desc, ended_at desc, ordinality
$$;

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

-- The newest rows, newest first.
create or replace function public.ratchet_decisions_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('seq', seq, 'at', at, 'body', body) order by seq desc), '[]'::jsonb)
  from (select * from ratchet.decisions where agent = p_agent order by seq desc limit least(p_limit, 200)) newest;
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

-- Records one step, before or after it is done, and moves the state with it.
-- p_set may hold new_version, reason, rollback, live_at, ended_at. p_items: [{id, from, to}], moved where they stand
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
    where item.id = change.id and item.state = change."from" and deployment.items ? item.id::text
      and exists (select from ratchet.transitions
                  where record = 'item' and from_state = change."from" and to_state = change."to");
  end loop;
  perform ratchet.notices_add(deployment.agent, p_notices, p_at);
  if p_audit is not null then
    perform ratchet.audit_append(deployment.agent, p_audit, p_at);
  end if;
  return jsonb_build_object('ok', true, 'revision', deployment.revision + 1);
end $$;

-- Decides that live deployments are taken back: [{id, revision}], all or none. A worker does it. One that could not
-- be taken back may be tried again. Answers {ok: true} or {ok: false, reason: conflict | question | busy}.
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
  when unique_violation then
    return jsonb_build_object('ok', false, 'reason', 'busy');
end $$;

-- Halts what is under way and cannot be live yet; the worker finds out at its next step. Where the agent follows
-- the newest version, publishing is going live. Answers how many were halted.
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
-- is still to be published, and the highest version is the last that was.
create or replace function public.ratchet_deployments_newest(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(ratchet.deployment_json(id) order by planned_at desc, new_version desc nulls first, ordinal),
                  '[]'::jsonb)
  from (select id, planned_at, new_version, ordinal from ratchet.deployments where agent = p_agent
        order by planned_at desc, new_version desc nulls first, ordinal limit least(p_limit, 200)) newest;
$$;

create or replace function public.ratchet_deployments_batch(p_batch_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.batch_json(p_batch_id);
$$;

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

-- The version that a label points at, with how often the label has moved (label null: the newest version);
-- null when there is none.
create or replace function public.ratchet_prompts_current(p_agent text, p_prompt text, p_label text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select case when p_label is null then
    ratchet.prompt_version_json(p_agent, p_prompt,
      (select max(version) from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt))
  else
    (select ratchet.prompt_version_json(p_agent, p_prompt, version) || jsonb_build_object('label_moves', moves)
     from ratchet.prompt_labels where agent = p_agent and prompt = p_prompt and label = p_label)
  end;
$$;

create or replace function public.ratchet_prompts_read(p_agent text, p_prompt text, p_version integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.prompt_version_json(p_agent, p_prompt, p_version);
$$;

-- Publishes a version without a label. The same deployment publishes once: asked again, it gets the same version.
create or replace function public.ratchet_prompts_publish(
  p_agent text, p_prompt text, p_text text, p_sha256 text, p_commit_message text, p_metadata jsonb,
  p_deployment_id uuid, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  held integer;
begin
  -- One publisher of a prompt at a time: the next number is the newest plus one.
  perform pg_advisory_xact_lock(hashtextextended(p_agent || chr(31) || p_prompt, 0));
  select version into held from ratchet.prompt_versions
  where deployment_id = p_deployment_id and agent = p_agent and prompt = p_prompt;
  if not found then
    select coalesce(max(version), 0) + 1 into held from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt;
    insert into ratchet.prompt_versions (agent, prompt, version, text, sha256, commit_message, metadata, created_at, deployment_id)
    values (p_agent, p_prompt, held, p_text, p_sha256, p_commit_message, p_metadata, p_at, p_deployment_id);
  end if;
  return ratchet.prompt_version_json(p_agent, p_prompt, held);
end $$;

-- Moves a label if it stands where the caller thinks (p_expected null: if it does not exist yet).
-- Answers {ok: true}, {ok: false, version: where it stands} or {ok: false, missing: true} for an unknown version.
create or replace function public.ratchet_prompts_move_label(
  p_agent text, p_prompt text, p_label text, p_version integer, p_expected integer, p_after_moves bigint,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  stands integer;
begin
  if not exists (select from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt and version = p_version) then
    return jsonb_build_object('ok', false, 'missing', true);
  end if;
  if p_expected is null then
    insert into ratchet.prompt_labels (agent, prompt, label, version, moved_at)
    values (p_agent, p_prompt, p_label, p_version, p_at) on conflict do nothing;
  else
    update ratchet.prompt_labels set version = p_version, moves = moves + 1, moved_at = p_at
    where agent = p_agent and prompt = p_prompt and label = p_label and version = p_expected
      and (p_after_moves is null or moves = p_after_moves);
  end if;
  if found then
    return jsonb_build_object('ok', true);
  end if;
  select version into stands from ratchet.prompt_labels where agent = p_agent and prompt = p_prompt and label = p_label;
  return jsonb_build_object('ok', false, 'version', stands);
end $$;

-- Every version of every prompt of the agent, newest first, without the texts; p_prompt null: all prompts.
create or replace function public.ratchet_prompts_history(p_agent text, p_prompt text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(held) - 'text' order by created_at desc, version desc, prompt), '[]'::jsonb)
  from (select * from ratchet.prompt_versions where agent = p_agent and (p_prompt is null or prompt = p_prompt)
        order by created_at desc, version desc limit least(p_limit, 1000)) held;
$$;

-- Labels of a prompt: {label: version}.
create or replace function public.ratchet_prompts_labels(p_agent text, p_prompt text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_object_agg(label, version), '{}'::jsonb) from ratchet.prompt_labels
  where agent = p_agent and prompt = p_prompt;
$$;

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

-- Folds hours that are queued, newest first: {"hours": folded now, "left": still queued}.
-- The lock on the queue's row keeps every other folder from the hour, and makes an import that touches
-- it wait and queue it again.
create or replace function public.ratchet_rollups_fold(p_agent text, p_hours_max integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  taken jsonb;
  one record;
begin
  with picked as (
    select agent, hour from ratchet.fold_queue where p_agent is null or agent = p_agent
    order by hour desc, agent limit p_hours_max for update skip locked
  ),
  gone as (
    delete from ratchet.fold_queue q using picked p where q.agent = p.agent and q.hour = p.hour returning q.agent, q.hour
  )
  select coalesce(jsonb_agg(to_jsonb(gone)), '[]') into taken from gone;

  for one in
    select t.agent, array_agg(t.hour order by t.hour) as hours, array_agg(t.hour + interval '1 hour' order by t.hour) as ends
    from jsonb_to_recordset(taken) as t (agent text, hour timestamptz) group by t.agent order by t.agent
  loop
    delete from ratchet.rollups r where r.agent = one.agent and r.hour = any (one.hours);
    insert into ratchet.rollups (agent, hour, name, labels, n, total, total_sq, largest, buckets, samples)
    select one.agent, one.hours[f.span], f.name, f.labels, f.n, f.total, f.total_sq, f.largest, f.buckets, f.samples
    from ratchet.fold(one.agent, one.hours, one.ends) as f;
  end loop;

  return jsonb_build_object(
    'hours', jsonb_array_length(taken),
    'left', (select count(*) from ratchet.fold_queue where p_agent is null or agent = p_agent));
end $$;

-- The measures of [p_since, p_until): whole hours from the rollups, the edges straight from the traces.
create or replace function public.ratchet_rollups_read(p_agent text, p_since timestamptz, p_until timestamptz) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set work_mem = '64MB'
as $$
declare
  first_hour timestamptz := date_trunc('hour', p_since, 'UTC');
  last_hour timestamptz := date_trunc('hour', p_until, 'UTC');
  edge_from timestamptz[] := '{}';
  edge_until timestamptz[] := '{}';
begin
  if first_hour < p_since then
    first_hour := first_hour + interval '1 hour';
  end if;
  if first_hour > last_hour then                  -- within one hour
    edge_from := array[p_since];
    edge_until := array[p_until];
  else
    if p_since < first_hour then
      edge_from := edge_from || p_since;
      edge_until := edge_until || first_hour;
    end if;
    if last_hour < p_until then
      edge_from := edge_from || last_hour;
      edge_until := edge_until || p_until;
    end if;
  end if;

  return (
    with part as materialized (
      select r.hour as at, r.name, r.labels, r.n, r.total, r.total_sq, r.largest, r.buckets, r.samples
      from ratchet.rollups r where r.agent = p_agent and r.hour >= first_hour and r.hour < last_hour
      union all
      select edge_from[f.span], f.name, f.labels, f.n, f.total, f.total_sq, f.largest, f.buckets, f.samples
      from ratchet.fold(p_agent, edge_from, edge_until) as f
    ),
    summed as (
      select name, labels, sum(n)::bigint as n, sum(total::numeric)::double precision as total,
             sum(total_sq::numeric)::double precision as total_sq, max(largest) as largest
      from part group by name, labels
    ),
    bucketed as (
      select name, labels, jsonb_object_agg(bucket, count) as buckets
      from (
        select p.name, p.labels, b.key as bucket, sum(b.value::bigint) as count
        from part p cross join lateral jsonb_each_text(p.buckets) as b
        where p.buckets is not null group by p.name, p.labels, b.key
      ) as by_bucket
      group by name, labels
    ),
    sampled as (
      select name, labels, jsonb_agg(session_id order by at, ordinality) as samples
      from (
        select *, row_number() over (partition by name, labels order by at, ordinality) as place
        from (
          select distinct on (p.name, p.labels, s.session_id) p.name, p.labels, s.session_id, p.at, s.ordinality
          from part p cross join lateral jsonb_array_elements_text(p.samples) with ordinality as s (session_id, ordinality)
          where p.samples is not null
          order by p.name, p.labels, s.session_id, p.at, s.ordinality
        ) as once
      ) as placed
      where place <= 5 group by name, labels
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'name', s.name, 'labels', s.labels, 'n', s.n, 'total', s.total, 'total_sq', s.total_sq,
      'largest', s.largest, 'buckets', b.buckets, 'samples', a.samples) order by s.name, s.labels), '[]')
    from summed s
    left join bucketed b using (name, labels)
    left join sampled a using (name, labels));
end $$;

-- How many hours of the span are out of date.
create or replace function public.ratchet_rollups_queued(p_agent text, p_since timestamptz, p_until timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(count(*)) from ratchet.fold_queue
  where agent = p_agent and hour > p_since - interval '1 hour' and hour < p_until
$$;

-- Begins a run. A slot runs once, whoever is first; one run of an agent at a time.
-- Answers {started: true} or {started: false, reason: slot | busy, run}.
create or replace function public.ratchet_runs_start(
  p_id uuid, p_agent text, p_slot text, p_since timestamptz, p_until timestamptz, p_worker text,
  p_lease_seconds integer, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  other ratchet.runs;
begin
  update ratchet.runs set state = 'failed', finished_at = p_at,
    result = jsonb_build_object('error', 'the worker went away'), slot = null
  where agent = p_agent and state = 'running' and lease_until < clock_timestamp();  -- lease: server's clock
  -- The run that is in the way may end between two statements: then the place is free, and asked for again.
  for attempt in 1 .. 10 loop
    select * into other from ratchet.runs
    where agent = p_agent and (slot = p_slot or state = 'running') order by (slot = p_slot) desc nulls last limit 1;
    if found then
      return jsonb_build_object('started', false, 'reason', case when other.slot = p_slot then 'slot' else 'busy' end,
                                'run', to_jsonb(other));
    end if;
    insert into ratchet.runs (id, agent, slot, since, until, state, worker, lease_until, started_at)
    values (p_id, p_agent, p_slot, p_since, p_until, 'running', p_worker,
            clock_timestamp() + make_interval(secs => p_lease_seconds), p_at)  -- lease: server's clock
    on conflict do nothing;
    if found then
      return jsonb_build_object('started', true);
    end if;
  end loop;
  raise exception 'a run of % could not be started in ten attempts', p_agent;
end $$;

-- Ends a run that leaves no session: all quiet, or failed (a failed slot may be tried again). What waits for a
-- decision stays: only a new session supersedes it.
create or replace function public.ratchet_runs_finish(
  p_id uuid, p_worker text, p_state text, p_result jsonb, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  run ratchet.runs;
begin
  perform ratchet.audit_lock((select agent from ratchet.runs where id = p_id));
  update ratchet.runs set state = p_state, result = p_result, finished_at = p_at,
    slot = case when p_state = 'failed' then null else slot end
  where id = p_id and worker = p_worker and state = 'running' returning * into run;
  if not found then
    return jsonb_build_object('ok', false, 'reason', 'lost');
  end if;
  perform ratchet.notices_add(run.agent, p_notices, p_at);
  perform ratchet.audit_append(run.agent, p_audit, p_at);
  return jsonb_build_object('ok', true);
end $$;

create or replace function public.ratchet_runs_read(p_id uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(run) from ratchet.runs run where id = p_id;
$$;

-- The run of the agent that ended last, and did not fail; of one moment the one that left a session.
create or replace function public.ratchet_runs_newest(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(run) from ratchet.runs run where agent = p_agent and state = 'done'
  order by finished_at desc, (session_id is not null) desc, lease_until desc limit 1;
$$;

-- What the ledger holds: versions, oldest first.
create or replace function public.ratchet_schema_versions() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(version order by version), '[]'::jsonb) from ratchet.schema_migrations;
$$;

-- The one table of transitions: [{record, from, to}].
create or replace function public.ratchet_schema_transitions() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_agg(jsonb_build_object('record', record, 'from', from_state, 'to', to_state)
                   order by record, from_state, to_state)
  from ratchet.transitions;
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
-- p_question: one that this consumes.
-- Answers {ok: true, revision} or {ok: false, reason: unknown | conflict | superseded | busy | question}.
create or replace function public.ratchet_sessions_decide(
  p_session_id uuid, p_revision bigint, p_state text, p_items jsonb, p_deployments jsonb, p_question uuid,
  p_snoozed_until timestamptz, p_notices jsonb, p_audit text, p_at timestamptz) returns jsonb
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
                                   base_version, base_sha256, text, sha256, planned_at)
  select id, session.agent, session.id, batch_id, ordinal, prompt, label, follow, 'planned', items, actor,
         base_version, base_sha256, text, sha256, p_at
  from jsonb_to_recordset(p_deployments) as (id uuid, batch_id uuid, ordinal integer, prompt text, label text,
    follow text, items jsonb, actor text, base_version integer, base_sha256 text, text text, sha256 text);
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

-- Writes a batch. A trace that is known is replaced when its last event is later or it has more events
-- (what the new line says nothing about of the outcome stays), and takes an outcome where it had none.
-- Of one trace twice in a batch the longer line counts, the other is known.
-- Returns {"new", "grown", "rated", "known"}.
create or replace function public.ratchet_traces_put(p_agent text, p_traces jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  fresh text[];
  touched text[];
  starts timestamptz[];
  grown integer := 0;
  rated integer := 0;
begin
  insert into ratchet.agents (agent, registered_at) values (p_agent, p_at) on conflict do nothing;
  -- A change of the agent's escalation tools queues all hours: it waits for us, or we for it.
  perform from ratchet.agents where agent = p_agent for share;

  with added as (
    insert into ratchet.traces (agent, trace_id, session_id, environment, release, model, task_category, started_at, ended_at,
                        prompts, success, reward, outcome_end, events, event_count, extra, received_at)
    select p_agent, l.trace_id, l.session_id, l.environment, l.release, l.model, l.task_category, l.started_at, l.ended_at,
           l.prompts, l.success, l.reward, l.outcome_end, l.events, l.event_count, l.extra, p_at
    from ratchet.lines(p_traces) as l order by l.trace_id
    on conflict (agent, trace_id) do nothing
    returning trace_id, session_id
  )
  select coalesce(array_agg(trace_id), '{}'), coalesce(array_agg(distinct session_id), '{}') into fresh, touched from added;

  if cardinality(fresh) < jsonb_array_length(p_traces) then
    perform from ratchet.traces t
    where t.agent = p_agent and t.trace_id in (select x.trace_id from jsonb_to_recordset(p_traces) as x (trace_id text))
    order by t.trace_id for update;

    with line as (
      select l.*, t.session_id as old_session_id, t.started_at as old_started_at,
             l.ended_at > t.ended_at or l.event_count > t.event_count as grows,
             t.success is null and l.success is not null
               or t.reward is null and l.reward is not null
               or t.outcome_end is null and l.outcome_end is not null as rates
      from ratchet.lines(p_traces) as l
      join ratchet.traces t on t.agent = p_agent and t.trace_id = l.trace_id
      where l.trace_id <> all (fresh)
    ),
    replaced as (
      update ratchet.traces t set
        session_id = l.session_id, environment = l.environment, release = l.release, model = l.model,
        task_category = l.task_category, started_at = l.started_at, ended_at = l.ended_at, prompts = l.prompts,
        success = coalesce(l.success, t.success), reward = coalesce(l.reward, t.reward),
        outcome_end = coalesce(l.outcome_end, t.outcome_end),
        events = l.events, event_count = l.event_count, extra = l.extra, received_at = p_at
      from line l where l.grows and t.agent = p_agent and t.trace_id = l.trace_id
      returning l.session_id, l.old_session_id, l.old_started_at
    ),
    judged as (
      update ratchet.traces t set
        success = coalesce(t.success, l.success), reward = coalesce(t.reward, l.reward),
        outcome_end = coalesce(t.outcome_end, l.outcome_end), received_at = p_at
      from line l where l.rates and not l.grows and t.agent = p_agent and t.trace_id = l.trace_id
      returning l.old_session_id as session_id
    )
    select (select count(*) from replaced), (select count(*) from judged),
           touched || array(select session_id from replaced union select old_session_id from replaced
                            union select session_id from judged),
           array(select old_started_at from replaced)
    into grown, rated, touched, starts;
  end if;

  perform ratchet.queue_hours(p_agent, touched, coalesce(starts, '{}'), p_at);
  return jsonb_build_object(
    'new', cardinality(fresh), 'grown', grown, 'rated', rated,
    'known', jsonb_array_length(p_traces) - cardinality(fresh) - grown - rated);
end $$;

-- When each version of each prompt first ran in [p_since, p_until): [{prompt, reference, at}], as the traces name it.
create or replace function public.ratchet_traces_first(p_agent text, p_since timestamptz, p_until timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('prompt', prompt, 'reference', reference, 'at', at)), '[]'::jsonb)
  from (
    select named.key as prompt, said.reference, min(trace.started_at) as at
    from ratchet.traces trace
    cross join lateral jsonb_each(trace.prompts) as named
    cross join lateral jsonb_array_elements_text(
      case jsonb_typeof(named.value) when 'array' then named.value else jsonb_build_array(named.value) end
    ) as said (reference)
    where trace.agent = p_agent and trace.started_at >= p_since and trace.started_at < p_until
    group by named.key, said.reference) first;
$$;

-- When the newest trace of the agent began; null where there is none.
create or replace function public.ratchet_traces_newest(p_agent text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(max(started_at)) from ratchet.traces where agent = p_agent;
$$;

-- Nobody but the service role calls our functions; roles are touched only where they exist.
do $$
declare
  ours regprocedure;
  role_name text;
begin
  for ours in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\_%')
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

insert into ratchet.schema_migrations (version, name) values ('20261120100000', 'functions')
  on conflict do nothing;
