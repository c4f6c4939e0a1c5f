-- Rollups: one hour of one agent, folded whole from its traces.

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
