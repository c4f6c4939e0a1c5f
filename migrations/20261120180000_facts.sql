-- Written by scripts/migration from migrations/functions.

-- The table that may be read, or null. Schemas that hold secrets, or are the server's or ours, are never read.
create or replace function ratchet.owner_table(p_schema text, p_name text) returns oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = p_schema and c.relname = p_name and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname <> all (array['ratchet', 'information_schema', 'auth', 'vault', 'pgsodium', 'storage', 'cron', 'net'])
    and n.nspname !~ '^(pg_|supabase_)'
$$;

-- The pieces of SQL that read one table: {table, id, id_type, key, key_type, columns, doc, size}. `p_table` is
-- {schema, name, id, key?, key_or?, columns}; `key_or` stands in where `key` is null, and `columns` holds all of
-- them. Raises where the catalogue does not know what it names.
create or replace function ratchet.owner_pieces(p_table jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  relation oid := ratchet.owner_table(p_table ->> 'schema', p_table ->> 'name');
  wanted text[] := array(select jsonb_array_elements_text(p_table -> 'columns'));
  types jsonb;
  pieces jsonb;
begin
  if relation is null then
    raise exception 'the table %.% cannot be read', p_table ->> 'schema', p_table ->> 'name';
  end if;
  -- A type without its modifier: `character` alone would be one character.
  select jsonb_object_agg(attname, format_type(atttypid, -1)) into types
  from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped;
  if not types ?& wanted or not wanted @> array_remove(array[p_table ->> 'id', p_table ->> 'key', p_table ->> 'key_or'], null) then
    raise exception 'a column of %.% is gone', p_table ->> 'schema', p_table ->> 'name';
  end if;
  select jsonb_build_object(
    'table', format('%I.%I', p_table ->> 'schema', p_table ->> 'name'),
    'id', format('t.%I', p_table ->> 'id'),
    'id_type', types ->> (p_table ->> 'id'),
    'key', case when p_table ? 'key_or' then format('coalesce(t.%I, t.%I)', p_table ->> 'key', p_table ->> 'key_or')
                when p_table ? 'key' then format('t.%I', p_table ->> 'key') end,
    'key_type', types ->> (p_table ->> 'key'),
    -- json as text: it may hold escapes that jsonb has no place for.
    'doc', 'jsonb_build_object(' || string_agg(
      format(case types ->> name when 'json' then '%L, t.%I::text' else '%L, t.%I' end, name, name), ', ' order by name) || ')',
    'columns', string_agg(format('t.%I', name), ', '),
    'size', string_agg(format('coalesce(pg_column_size(t.%I), 0)', name), ' + ')
  ) into pieces from (select distinct unnest(wanted) as name) as named;
  return pieces;
end $$;

-- The traces of the agent sessions that begin in each span [p_from[i], p_until[i]) (ascending, apart): the number of the
-- session within the call (`sk`), the trace's place in it (`tk`), and where its row lies (`tid`: good
-- for the statement that asks). An agent session is the traces of one session_id without an idle gap of more
-- than six hours; it belongs to the span in which it began, its later traces too.
-- A session_id may be in use for months: only what can matter is read. A trace of up to six hours reaches at most
-- twelve hours on; the few longer ones have an index of their own; and past the span it goes on from trace to
-- trace until the gap. Most session ids have one trace, and need one look.
create or replace function ratchet.spans_traces(p_agent text, p_from timestamptz[], p_until timestamptz[])
returns table (span integer, session_id text, sk integer, tk integer, tid tid)
language sql stable
set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set work_mem = '64MB'
set enable_nestloop = off
set enable_sort = off
set max_parallel_workers_per_gather = 0
as $$
with recursive touched as (          -- the session ids of a span
  select s.span::integer, t.session_id, min(t.started_at) as first_at, max(t.started_at) as last_at,
         max(t.ended_at) + interval '6 hours' as alive_until, min(t.tid) as tid
  from unnest(p_from, p_until) with ordinality as s (from_at, until_at, span)
  cross join lateral (
    select session_id, started_at, ended_at, ctid as tid from ratchet.traces
    where agent = p_agent and started_at >= s.from_at and started_at < s.until_at
    offset 0
  ) as t
  group by s.span, t.session_id
),
near as materialized (
  select t.*, n.traces = 1 and not exists (
           select from ratchet.traces where agent = p_agent and ended_at - started_at > interval '6 hours') as alone
  from touched t
  cross join lateral (
    select count(*) as traces from ratchet.traces
    where agent = p_agent and session_id = t.session_id
      and started_at >= t.first_at - interval '12 hours' and started_at <= t.alive_until
  ) as n
),
reach as (                                        -- how far the agent session that is open at the span's end goes on
  select span, session_id, first_at, last_at, alive_until from near where not alone
  union all
  select r.span, r.session_id, r.first_at, later.last_at, greatest(r.alive_until, later.alive_until)
  from reach r
  cross join lateral (
    select max(started_at) as last_at, max(ended_at) + interval '6 hours' as alive_until from ratchet.traces
    where agent = p_agent and session_id = r.session_id and started_at > r.last_at and started_at <= r.alive_until
  ) as later
  where later.last_at is not null
),
bound as (
  select span, session_id, first_at, max(last_at) as last_at from reach group by span, session_id, first_at
),
piece as (
  select b.span, b.session_id, t.started_at, t.trace_id, t.tid,
         coalesce(t.started_at - greatest(long.ended_at, max(t.ended_at) over (
           partition by b.span, b.session_id order by t.started_at, t.trace_id
           rows between unbounded preceding and 1 preceding)) > interval '6 hours', true) as first
  from bound b
  cross join lateral (
    select max(ended_at) as ended_at from ratchet.traces
    where agent = p_agent and session_id = b.session_id and started_at < b.first_at - interval '12 hours'
      and ended_at - started_at > interval '6 hours'
  ) as long
  cross join lateral (
    select ctid as tid, trace_id, started_at, ended_at from ratchet.traces
    where agent = p_agent and session_id = b.session_id
      and started_at >= b.first_at - interval '12 hours' and started_at <= b.last_at
    offset 0
  ) as t
),
part as (
  select *, count(*) filter (where first) over (
           partition by span, session_id order by started_at, trace_id rows unbounded preceding) as part
  from piece
),
began as (
  select span, session_id, trace_id, started_at, tid, min(started_at) over (partition by span, session_id, part) as began_at
  from part where part > 0                        -- 0: a long trace from before reaches it
  union all
  select span, session_id, '', first_at, tid, first_at from near where alone
)
select span, session_id, dense_rank() over (order by began_at, session_id)::integer,
       row_number() over (partition by began_at, session_id order by started_at, trace_id)::integer, tid
from began where began_at >= p_from[span] and began_at < p_until[span]
order by 3, 4
$$;

-- The measures of each span [p_from[i], p_until[i]) of one agent, straight from its traces; `docs/adr/0008` names them.
-- The rows of events are met once: a group by call gives one row for each call with its result, for each user message,
-- and for the rest of a trace; everything else counts those. Sums are over whole numbers or `numeric`, so that the
-- order of rows cannot show in the last digit; what is packed into one number needs one aggregate instead of two.
-- `sk` numbers the agent sessions, above 26 bits the span; `trace` adds 22 bits for the trace within its session.
-- A combination is what all labels of a session say.
create or replace function ratchet.measured(p_agent text, p_from timestamptz[], p_until timestamptz[])
returns table (
  span integer, name text, labels jsonb,
  n bigint, total double precision, total_sq double precision, largest double precision,
  bucket_ids integer[], bucket_counts integer[], samples jsonb
)
language sql stable
set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set work_mem = '64MB'
set enable_nestloop = off                         -- estimates over jsonb are poor; joins here are of thousands of rows
set enable_sort = off
set max_parallel_workers_per_gather = 0           -- several folders share the machine
as $$
with run as materialized (
  select r.span::bigint << 26 | r.sk as sk, (r.span::bigint << 26 | r.sk) << 22 | r.tk as trace, r.session_id, t.*
  from ratchet.spans_traces(p_agent, p_from, p_until) as r
  cross join lateral (
    select model, environment, release, task_category, prompts, success, events from ratchet.traces
    where ctid = r.tid
    offset 0
  ) as t
),
event as (                                        -- 1 call, 2 result, 3 user message, 4 model response, 5 reply
  select run.trace, x.at, x.e, x.e ->> 'tokens_in' as tokens_in,
         case x.e ->> 'type' when 'tool_call' then 1 when 'tool_result' then 2 when 'user_message' then 3
           when 'llm_call' then 4 when 'assistant_message' then 5 else 6 end as kind
  from run cross join lateral jsonb_array_elements(run.events) with ordinality as x (e, at)
  offset 0
),
-- `id` says which events are met in one row. `place` packs the kind (3 bits), the number in the trace (25), and milliseconds
-- or characters (35): of a call with its result the least is the call, the greatest the result. `at << 40` leaves room for tokens.
field as (
  select trace,
         case when kind <= 2 then hashtextextended(e ->> 'call_id', trace) when kind = 3 then hashint8extended(at, trace)
           when kind = 4 then coalesce(hashtextextended(e ->> 'model', trace), trace) else trace end as id,
         case when kind <= 2 then e ->> 'name' when kind = 4 then e ->> 'model' end as name,
         (kind::bigint << 60) | (at << 35) | case when kind <= 2 then (e ->> 't_ms')::bigint
                                           when kind = 3 then coalesce(length(e ->> 'text'), 0) else 0 end as place,
         case when kind = 1 then hashtextextended(coalesce((e -> 'args')::text, '{}'), hashtextextended(e ->> 'name', 0)) end as args,
         case when kind = 2 and e ->> 'ok' = 'false' then coalesce(e ->> 'error', e ->> 'text', '') end as error,
         case when kind = 5 or kind = 1 and pg_column_size(e) >= 500 then true end as marked,  -- a reply, or a long call
         at << 40 | tokens_in::bigint as first_in, tokens_in::double precision as tokens_in,
         (e ->> 'tokens_out')::double precision as tokens_out, (e ->> 'tokens_cached')::double precision as tokens_cached,
         (e ->> 'cost_usd')::double precision as cost
  from event
  offset 0
),
met as (                                          -- a varchar of 200 is cut to it; it costs less than left()
  select min(trace) as trace, min(name)::varchar(200)::text as name, min(place) as opened, max(place) as closed, min(args) as args, min(error) as error,
         count(marked)::integer as marked, sum(cost) as cost, sum(tokens_in) as tokens_in, sum(tokens_out) as tokens_out,
         sum(tokens_cached) as tokens_cached, min(first_in) as first_in
  from field group by id
  offset 0
),
unit as materialized (                            -- a call with its result, a user message, the responses of a model, or the rest
  select trace >> 22 as sk, trace, opened >> 60 as kind, name, args, error, marked, cost, tokens_in, tokens_out, tokens_cached, first_in,
         case when opened >> 60 = 3 then opened end as said,
         case when opened >> 60 <= 2 then         -- where in the session, and in the last bit whether it failed
           (trace & ((1 << 22) - 1)) << 26
             | greatest((opened >> 34) & ((1 << 26) - 2), (closed >> 34) & ((1 << 26) - 2) | (error is not null)::integer)
         end as last,
         case when opened >> 60 = 1 and closed >> 60 = 2 then
           ((closed & ((1::bigint << 35) - 1)) - (opened & ((1::bigint << 35) - 1)))::double precision end as latency_ms
  from met
),
call as (
  select sk, name as tool, case when latency_ms >= 0 then latency_ms end as latency_ms, kind, error, last, args
  from unit where kind <= 2
),
tool as materialized (
  select sk, tool, count(*) filter (where kind = 1) as calls, count(error) as errors, max(last) as last,
         sum(round(ln(1 + latency_ms) * 1e10)) / count(latency_ms) as log_latency
  from call group by sk, tool
),
repeat as materialized (                          -- the same tool with the same arguments
  select sk, min(tool) as tool, count(*) as times, count(error) as errors
  from call where kind = 1 group by sk, args having count(*) > 1
),
escalation as materialized (
  select t.tool from (select distinct tool from tool) as t join ratchet.agents a on a.agent = p_agent
  where ratchet.is_escalation(t.tool, a.escalation_tools)
),
session as (
  select sk, (sk >> 26)::integer as span, min(session_id) as session_id,
         max(trace << 1 | success::integer) & 1 = 1 as success
  from run group by sk
),
summed as materialized (
  select *, first_in[1] as first_trace, first_in[2] >> 40 as first_at, first_in[2] & ((1::bigint << 40) - 1) as first_tokens_in
  from (
    select sk, sum(cost::numeric) as cost_usd,
           sum(tokens_in)::numeric as tokens_in, sum(tokens_out)::numeric as tokens_out, sum(tokens_cached)::numeric as tokens_cached,
           count(*) filter (where kind = 1) + coalesce(sum(marked) filter (where kind > 3), 0) as steps, count(said) as user_messages,
           nullif(count(*) filter (where kind = 1), 0) as calls, nullif(count(error), 0) as errors,
           bool_or(kind = 1 and name in (select tool from escalation)) as escalated,
           sum(marked) filter (where kind = 1) as long,
           min(array[trace, first_in]) filter (where first_in is not null) as first_in
    from unit group by sk
  ) as s
),
before as (                                       -- what the user had said before the first response
  select m.sk, sum(u.said & ((1::bigint << 35) - 1))::bigint as characters
  from unit u join summed m using (sk)
  where u.said is not null and (u.trace, (u.said >> 35) & ((1 << 25) - 1)) < (m.first_trace, m.first_at)
  group by m.sk
),
repeated as (
  select sk, max(times) as longest, (sum(times - 1) filter (where times >= 3))::bigint as looped,
         nullif(sum(times - 1), 0)::bigint as redundant
  from repeat group by sk
),
profile as materialized (                         -- what traces say of themselves
  select row_number() over () as trait, prompts, model, environment, release, task_category, array_agg(sk) as sks
  from run group by prompts, model, environment, release, task_category
),
responder as materialized (
  select -row_number() over () as trait, name as model, array_agg(sk) as sks
  from unit where kind >= 4 and name is not null group by name
),
said as (                                         -- each value of each label that a trait stands for
  select trait, l.key, left(l.value, 200) as value
  from profile cross join lateral (values ('model', model), ('environment', environment), ('release', release),
                                          ('task_category', task_category)) as l (key, value)
  where l.value is not null
  union
  select trait, 'model', model from responder
  union
  select trait, 'prompt_version', unnest(array(  -- an array, because millions of rows would be expected of a join
    select left(p.key || '@' || v.value, 200)
    from jsonb_each(prompts) as p
    cross join lateral jsonb_array_elements_text(
      case jsonb_typeof(p.value) when 'array' then p.value else jsonb_build_array(p.value) end) as v (value)))
  from profile
),
combination as materialized (                     -- sessions that have the same traits
  select row_number() over () as combination, traits, array_agg(sk) as sks
  from (
    select sk, array_agg(distinct trait) as traits
    from (
      select trait, unnest(sks) as sk from profile
      union all
      select trait, unnest(sks) from responder
    ) as t
    group by sk
  ) as s
  group by traits
),
own as (
  select distinct c.combination, s.key, s.value
  from combination c cross join lateral unnest(c.traits) as t (trait) join said s using (trait)
),
label as materialized (                           -- the labels that a combination counts under
  select combination, depth, labels, dense_rank() over (order by depth, labels) as label
  from (
    select combination, 0 as depth, '{}'::jsonb as labels from combination
    union all
    select combination, 1, jsonb_build_object(key, value) from own
    union all                                     -- of a session with several models it is unknown which one did it
    select combination, 2, jsonb_build_object('model', min(value) filter (where key = 'model'),
                                              'task_category', min(value) filter (where key = 'task_category'))
    from own group by combination
    having count(*) filter (where key = 'model') = 1 and count(*) filter (where key = 'task_category') = 1
  ) as l
),
whole as materialized (                           -- one row per agent session
  select s.sk, s.span, s.session_id, s.success, c.combination,
         m.cost_usd, case when m.cost_usd > 0 then ln(m.cost_usd::double precision)::numeric end as cost_log,
         m.tokens_in, m.tokens_out, m.tokens_cached,
         coalesce(m.steps, 0)::bigint as steps, ln(1 + coalesce(m.steps, 0)::double precision)::numeric as steps_log,
         coalesce(m.user_messages, 0) as messages,
         ln(1 + coalesce(m.user_messages, 0)::double precision)::numeric as messages_log,
         m.calls, m.errors, m.escalated, m.long, m.first_tokens_in,
         case when m.first_tokens_in is not null then coalesce(b.characters, 0) end as first_characters,
         coalesce(r.longest, sign(m.calls)::bigint) as longest, r.looped, r.redundant,
         case when m.tokens_in - coalesce(m.tokens_cached, 0) >= 10000
               and m.tokens_in - coalesce(m.tokens_cached, 0) > 50 * m.tokens_out
           then (m.tokens_in - coalesce(m.tokens_cached, 0))::bigint end as heavy
  from session s
  join (select combination, unnest(sks) as sk from combination) as c using (sk)
  left join summed m using (sk) left join before b using (sk) left join repeated r using (sk)
),
again as materialized (                           -- messages that the user sent before in the same session
  select sk, sum(times - 1)::bigint as times
  from (
    select w.sk, count(*) as times
    from (select sk from whole where messages > 1) as w
    join run using (sk)
    cross join lateral jsonb_array_elements(run.events) as e
    cross join lateral (
      select left(btrim(regexp_replace(lower(left(e ->> 'text', 5000)), '[[:space:][:punct:]]+', ' ', 'g')), 500) as text
      where e ->> 'type' = 'user_message'
      offset 0
    ) as said
    where length(said.text) >= 12
    group by w.sk, said.text having count(*) > 1
  ) as m
  group by sk
),
combined as (                                     -- columns per measure: sessions that carry it, total, squares, largest
  select span, combination, count(*) as sessions,
         count(success) as rated, count(*) filter (where success) as successes,
         count(cost_usd) as cost_n, sum(cost_usd) as cost, sum(cost_usd * cost_usd) as cost_sq, max(cost_usd) as cost_max,
         count(cost_log) as log_n, sum(cost_log) as log, sum(cost_log * cost_log) as log_sq, max(cost_log) as log_max,
         count(tokens_in) as in_n, sum(tokens_in) as ins, sum(tokens_in * tokens_in) as in_sq, max(tokens_in) as in_max,
         count(tokens_out) as out_n, sum(tokens_out) as outs, sum(tokens_out * tokens_out) as out_sq, max(tokens_out) as out_max,
         count(tokens_cached) as cached_n, sum(tokens_cached) as cached, sum(tokens_cached * tokens_cached) as cached_sq,
         max(tokens_cached) as cached_max,
         sum(steps) as steps, sum(steps * steps) as steps_sq, max(steps) as steps_max,
         sum(steps_log) as steps_log, sum(steps_log * steps_log) as steps_log_sq, max(steps_log) as steps_log_max,
         sum(messages) as messages, sum(messages * messages) as messages_sq, max(messages) as messages_max,
         sum(messages_log) as messages_log, sum(messages_log * messages_log) as messages_log_sq,
         max(messages_log) as messages_log_max,
         count(calls) as calls_n, sum(calls) as calls, sum(calls * calls) as calls_sq, max(calls) as calls_max,
         count(errors) as errors_n, sum(errors) as errors, sum(errors * errors) as errors_sq, max(errors) as errors_max,
         count(*) filter (where escalated) as escalations,
         count(looped) as loop_n, coalesce(sum(looped), 0) as loops, coalesce(sum(looped * looped), 0) as loops_sq,
         max(longest) as loop_max,
         count(redundant) as redundant_n, sum(redundant) as redundants, sum(redundant * redundant) as redundant_sq,
         max(redundant) as redundant_max,
         count(first_tokens_in) as first_n, sum(first_tokens_in) as firsts,
         sum(first_tokens_in::numeric * first_tokens_in) as first_sq, max(first_tokens_in) as first_max,
         sum(first_characters) as characters, sum(first_characters::numeric * first_characters) as characters_sq,
         max(first_characters) as characters_max,
         count(*) filter (where messages >= 10) as many,
         count(heavy) as heavy_n, sum(heavy) as heavies, sum(heavy::numeric * heavy) as heavy_sq, max(heavy) as heavy_max
  from whole group by span, combination
),
measure as (                                      -- depth 0: of all sessions; 1: also by each label; 2: also by model and category
  select c.span, c.combination, m.* from combined c
  cross join lateral (values
    ('sessions', 2, sessions, sessions::numeric, sessions::numeric, 1::numeric),
    ('success', 2, rated, successes, successes, sign(successes::numeric)),
    ('cost_usd', 2, cost_n, cost, cost_sq, cost_max),
    ('cost_usd_log', 2, log_n, log, log_sq, log_max),
    ('tokens_in', 1, in_n, ins, in_sq, in_max),
    ('tokens_out', 1, out_n, outs, out_sq, out_max),
    ('tokens_cached', 0, cached_n, cached, cached_sq, cached_max),
    ('steps', 1, sessions, steps, steps_sq, steps_max),
    ('steps_log', 0, sessions, steps_log, steps_log_sq, steps_log_max),
    ('user_messages', 1, sessions, messages, messages_sq, messages_max),
    ('user_messages_log', 0, sessions, messages_log, messages_log_sq, messages_log_max),
    ('many_messages', 0, many, many, many, 1),
    ('tool.calls', 2, calls_n, calls, calls_sq, calls_max),
    ('tool.errors', 2, errors_n, errors, errors_sq, errors_max),
    ('escalations', 1, escalations, escalations, escalations, 1),
    ('loop', 0, loop_n, loops, loops_sq, loop_max),
    ('redundant_calls', 0, redundant_n, redundants, redundant_sq, redundant_max),
    ('first_tokens_in', 0, first_n, firsts, first_sq, first_max),
    ('first_characters', 0, first_n, characters, characters_sq, characters_max),
    ('input_heavy', 0, heavy_n, heavies, heavy_sq, heavy_max)
  ) as m (name, depth, n, total, total_sq, largest)
  where m.n > 0 or m.name = 'loop' and m.largest is not null
),
dear as (                                         -- five sessions of the span cost as much, or more: of 64 parts, the fifth costliest
  select span, (array_agg(most order by most desc))[5] as cost_usd
  from (select span, max(cost_usd) as most from whole where cost_usd > 0 group by span, sk & 63) as part
  group by span
),
sample as (                                       -- session ids to look at, for measures of all sessions
  select span, name, to_jsonb(array_agg(session_id order by place)) as samples
  from (
    select span, name, session_id, row_number() over (partition by span, name order by peak desc, sk) as place
    from (
      select span, sk, session_id, 'success' as name, 1 as peak from whole where not success
      union all
      select w.span, w.sk, w.session_id, 'cost_usd', w.cost_usd
      from whole w join dear d on d.span = w.span and w.cost_usd >= coalesce(d.cost_usd, 0)
      where w.cost_usd > 0
      union all
      select span, sk, session_id, 'tool.errors', errors from whole where errors > 0
      union all
      select span, sk, session_id, 'escalations', 1 from whole where escalated
      union all
      select span, sk, session_id, 'loop', longest from whole where longest >= 3
      union all
      select span, sk, session_id, 'redundant_calls', redundant from whole where redundant > 0
      union all
      select span, sk, session_id, 'many_messages', messages from whole where messages >= 10
      union all
      select span, sk, session_id, 'input_heavy', heavy from whole where heavy > 0
    ) as s
  ) as ranked
  where place <= 5 group by span, name
),
signed as (                                       -- the 50 most frequent error texts of a tool, the rest as one
  select span, sk, session_id, tool, sum(errors)::bigint as errors,
         case when rank <= 50 then signature else 'other' end as signature
  from (
    select e.*, dense_rank() over (partition by span, tool order by often desc, signature) as rank
    from (
      select w.span, w.sk, w.session_id, f.tool, m.signature, f.errors,
             sum(f.errors) over (partition by w.span, f.tool, m.signature) as often
      from (select sk, name as tool, error, count(*) as errors from unit where error is not null group by sk, name, error) as f
      join (select error, ratchet.masked(error) as signature
            from (select distinct error from unit where error is not null) as d) as m using (error)
      join whole w using (sk)
    ) as e
  ) as r
  group by span, sk, session_id, tool, 6
),
passed as (                                       -- one long text as one argument of several calls
  select w.sk, left(a.key, 200) as argument, length(a.value) as characters, count(*) as times
  from (select sk from whole where long >= 3) as w
  join run using (sk)
  cross join lateral jsonb_array_elements(run.events) as e
  cross join lateral (
    select key, value #>> '{}' as value
    from jsonb_each(case when e ->> 'type' = 'tool_call' and jsonb_typeof(e -> 'args') = 'object' then e -> 'args' else '{}' end)
    where jsonb_typeof(value) = 'string'
  ) as a
  where length(a.value) >= 500
  group by w.sk, left(a.key, 200), a.value having count(*) >= 3
),
observed as (                                     -- what one session adds to a measure of a tool or an argument
  select sk, 'tool.errors' as name, tool, null::text as argument, errors::numeric as value, errors as peak from tool where errors > 0
  union all
  select sk, 'tool.abandoned', tool, null, 1, 1 from tool where last & 1 = 1
  union all
  select sk, 'loop', tool, null, sum(times - 1), max(times) from repeat where times >= 3 group by sk, tool
  union all
  select sk, 'error_loop', tool, null, sum(errors), max(times) from repeat where times >= 3 and errors >= 2 group by sk, tool
  union all
  select sk, 'redundant_calls', tool, null, sum(times - 1), sum(times - 1) from repeat group by sk, tool
  union all
  select sk, 'repeated_text', null, argument, sum(characters::numeric * (times - 1)), max(times) from passed group by sk, argument
),
bucketed as materialized (                        -- latencies by tool, and once more by combination
  select span, tool, combination, bucket,
         count(*)::integer as count, sum(latency_ms) as total, sum(latency_ms * latency_ms) as total_sq, max(latency_ms) as largest
  from (
    select sk, name as tool, latency_ms,
           case when latency_ms < 1 then 0 else floor(ln(latency_ms) / ln(1.04::double precision))::integer end as bucket
    from unit where latency_ms >= 0
    offset 0
  ) as c
  join whole w using (sk)
  group by grouping sets ((span, tool, bucket), (span, combination, bucket))
),
used as (
  select (t.sk >> 26)::integer as span, t.tool,
         count(nullif(t.calls, 0)) as calls_n, sum(t.calls) as calls, sum(t.calls * t.calls) as calls_sq, max(t.calls) as calls_max,
         count(t.log_latency) as slow_n, sum(round(t.log_latency)) / 1e10 as slow,
         sum(round(t.log_latency * t.log_latency / 1e10)) / 1e10 as slow_sq, max(t.log_latency) / 1e10 as slowest
  from tool t group by (t.sk >> 26)::integer, t.tool
),
slow as (                                         -- the slowest sessions of a tool: within a tenth of the slowest
  select span, tool, to_jsonb(array_agg(session_id order by place)) as samples
  from (
    select w.span, t.tool, w.session_id, row_number() over (partition by w.span, t.tool order by t.log_latency desc, w.sk) as place
    from tool t join used u on u.span = (t.sk >> 26)::integer and u.tool = t.tool and t.log_latency >= 9e9 * u.slowest
    join whole w using (sk)
  ) as ranked
  where place <= 5 group by span, tool
)
select m.span, m.name, l.labels, m.n, m.total::double precision, m.total_sq::double precision, m.largest::double precision,
       null::integer[], null::integer[], s.samples
from (
  select m.span, m.name, l.label, sum(m.n::integer) as n, sum(m.total) as total, sum(m.total_sq) as total_sq, max(m.largest) as largest
  from measure m join label l on l.combination = m.combination and l.depth <= m.depth
  group by m.span, m.name, l.label
) as m
join (select distinct label, depth, labels from label) as l using (label)
left join sample s on s.span = m.span and s.name = m.name and l.depth = 0
union all
select w.span, 'repeated_request', '{}', count(*), sum(a.times)::double precision, sum(a.times * a.times)::double precision,
       max(a.times), null, null, to_jsonb((array_agg(w.session_id order by a.times desc, w.sk))[1:5])
from again a join whole w using (sk) group by w.span
union all
select w.span, o.name, jsonb_strip_nulls(jsonb_build_object('tool', o.tool, 'argument', o.argument)),
       count(*), sum(o.value)::double precision, sum(o.value * o.value)::double precision, max(o.peak)::double precision,
       null, null, to_jsonb((array_agg(w.session_id order by o.peak desc, w.sk))[1:5])
from observed o join whole w using (sk) group by w.span, o.name, o.tool, o.argument
union all
select span, 'tool.error_signature', jsonb_build_object('tool', tool, 'signature', signature),
       count(*), sum(errors)::double precision, sum(errors * errors)::double precision, max(errors),
       null, null, to_jsonb((array_agg(session_id order by errors desc, sk))[1:5])
from signed group by span, tool, signature
union all
select u.span, v.name, jsonb_build_object('tool', u.tool), v.n, v.total, v.total_sq, v.largest, null, null, v.samples
from used u left join slow s using (span, tool)
cross join lateral (values
  ('tool.calls', calls_n, calls::double precision, calls_sq::double precision, calls_max::double precision, null::jsonb),
  ('tool.latency_log', slow_n, slow, slow_sq, slowest, s.samples)
) as v (name, n, total, total_sq, largest, samples)
where v.n > 0
union all
select b.span, 'tool.latency_ms', case when b.tool is null then l.labels else jsonb_build_object('tool', b.tool) end,
       b.n, b.total, b.total_sq, b.largest, b.bucket_ids, b.bucket_counts, null
from (
  select span, tool, label, sum(count) as n, sum(total) as total, sum(total_sq) as total_sq, max(largest) as largest,
         array_agg(bucket) as bucket_ids, array_agg(count) as bucket_counts
  from (
    select span, tool, null as label, bucket, count, total, total_sq, largest from bucketed where tool is not null
    union all
    select b.span, null, l.label, b.bucket, sum(b.count)::integer, sum(b.total), sum(b.total_sq), max(b.largest)
    from bucketed b join label l using (combination)
    where b.tool is null and l.depth = 1
    group by b.span, l.label, b.bucket
  ) as l
  group by span, tool, label
) as b
left join (select distinct label, labels from label) as l using (label)
$$;

-- The measures of the segments between neighbours of `p_cuts` (ascending), merged: whole days (with `p_days`) and whole
-- hours as they were folded, partial hours straight from the traces. A day counts only while it is no older than
-- its hours: else they are read. What a whole day or hour lacks, had no agent session.
create or replace function ratchet.merged(p_agent text, p_cuts timestamptz[], p_days boolean)
returns table (
  segment integer, name text, labels jsonb,
  n bigint, total double precision, total_sq double precision, largest double precision,
  bucket_ids integer[], bucket_counts integer[], samples jsonb
)
language sql stable
set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set work_mem = '64MB'
set enable_nestloop = off
set enable_sort = off
set max_parallel_workers_per_gather = 0
as $$
with segment as materialized (
  select c.number::integer as segment, c.since, c.until,
         c.hour + case when c.hour < c.since then interval '1 hour' else interval '0' end as first_hour,
         date_trunc('hour', c.until, 'UTC') as last_hour
  from (
    select number, cut as since, lead(cut) over (order by number) as until, date_trunc('hour', cut, 'UTC') as hour
    from unnest(p_cuts) with ordinality as u (cut, number)
  ) as c
  where c.until is not null
),
edge as materialized (
  select row_number() over (order by since) as span, segment, since, until
  from (
    select segment, since, until from segment where first_hour > last_hour
    union all
    select segment, since, first_hour from segment where first_hour <= last_hour and since < first_hour
    union all
    select segment, last_hour, until from segment where first_hour <= last_hour and last_hour < until
  ) as e
),
day as materialized (
  select s.segment, d.day, s.first_hour, s.last_hour,
         p_days and d.day >= s.first_hour and d.day + interval '24 hours' <= s.last_hour
           and not exists (select from ratchet.day_queue q where q.agent = p_agent and q.day = d.day)
           and not exists (select from ratchet.fold_queue q where q.agent = p_agent
                           and q.hour >= d.day and q.hour < d.day + interval '24 hours') as usable
  from segment s
  cross join (
    select min(hour) as oldest, max(hour) as newest from ratchet.rollups where agent = p_agent
  ) as known
  cross join lateral generate_series(
    date_trunc('day', greatest(s.first_hour, known.oldest), 'UTC'),
    least(s.last_hour - interval '1 hour', known.newest), interval '24 hours') as d (day)
),
part as materialized (
  select d.segment, r.*
  from day d
  cross join lateral (
    select day as at, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples
    from ratchet.rollup_days where agent = p_agent and day = d.day offset 0
  ) as r
  where d.usable
  union all
  select d.segment, r.*
  from day d
  cross join lateral (
    select hour, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples
    from ratchet.rollups
    where agent = p_agent and hour >= greatest(d.day, d.first_hour) and hour < least(d.day + interval '24 hours', d.last_hour)
    offset 0
  ) as r
  where not d.usable
  union all
  select e.segment, e.since, m.name, m.labels, m.n, m.total, m.total_sq, m.largest, m.bucket_ids, m.bucket_counts, m.samples
  from (select array_agg(since order by span) as since, array_agg(until order by span) as until from edge having count(*) > 0) as s
  cross join lateral ratchet.measured(p_agent, s.since, s.until) as m
  join edge e on e.span = m.span
),
summed as materialized (
  select row_number() over () as id, segment, name, labels, sum(n)::bigint as n,
         sum(total::numeric)::double precision as total, sum(total_sq::numeric)::double precision as total_sq,
         max(largest) as largest,
         array_agg(at) filter (where samples is not null) as sampled_at,
         jsonb_agg(samples) filter (where samples is not null) as sampled
  from part group by segment, name, labels
),
bucketed as (
  select id, array_agg(bucket) as bucket_ids, array_agg(count::integer) as bucket_counts
  from (
    select s.id, b.bucket, sum(b.count) as count
    from part p join summed s using (segment, name, labels)
    cross join lateral unnest(p.bucket_ids, p.bucket_counts) as b (bucket, count)
    where p.bucket_ids is not null group by s.id, b.bucket
  ) as b
  group by id
)
select s.segment, s.name, s.labels, s.n, s.total, s.total_sq, s.largest, b.bucket_ids, b.bucket_counts,
       case when s.sampled is not null then (
         select jsonb_agg(session_id order by place) from (
           select i.session_id, row_number() over (order by min(a.at), min(i.number)) as place
           from unnest(s.sampled_at) with ordinality as a (at, part)
           cross join lateral jsonb_array_elements_text(s.sampled -> (a.part - 1)::integer) with ordinality as i (session_id, number)
           group by i.session_id
         ) as once where place <= 5
       ) end
from summed s left join bucketed b using (id)
$$;

-- Leaves a day the 50 most frequent error texts of each tool; the rest stand together as `other`.
create or replace function ratchet.cap_signatures(p_agent text, p_day timestamptz) returns void
language sql set search_path = pg_catalog, ratchet, pg_temp as $$
  with gone as (
    delete from ratchet.rollup_days r using (
      select labels, row_number() over (
               partition by labels ->> 'tool' order by total desc, labels ->> 'signature') as place
      from ratchet.rollup_days
      where agent = p_agent and day = p_day and name = 'tool.error_signature' and labels ->> 'signature' <> 'other'
    ) as ranked
    where ranked.place > 50 and r.agent = p_agent and r.day = p_day and r.name = 'tool.error_signature'
      and r.labels = ranked.labels
    returning r.labels ->> 'tool' as tool, r.n, r.total, r.total_sq, r.largest
  )
  insert into ratchet.rollup_days as other (agent, day, name, labels, n, total, total_sq, largest)
  select p_agent, p_day, 'tool.error_signature', jsonb_build_object('tool', tool, 'signature', 'other'),
         sum(n), sum(total), sum(total_sq), max(largest)
  from gone group by tool
  on conflict (agent, day, name, labels) do update set
    n = other.n + excluded.n, total = other.total + excluded.total, total_sq = other.total_sq + excluded.total_sq,
    largest = greatest(other.largest, excluded.largest)
$$;

-- Queues the hours that changes of traces can touch: of each the session_id, the start and the end of what was written or
-- taken away; a trace that was replaced is named as it was and as it is. An agent session is counted in the hour in which
-- it began, and a change joins or parts agent sessions nearby only. Until it begins, the traces are what they were: of
-- those, only the agent session that was open then changes, whose beginning is found by walking back while traces
-- reach the one after. Six hours after it ended, a trace begins an agent session with it or without: what begins
-- from then on, stays. Changes of a session_id that are near each other are looked at as one, and a walk ends
-- where it meets those before: of a session_id that is in use for months, each call reads no trace twice.
-- Sorted, so that two writers cannot wait for each other; `do update`, so that a folder that holds the
-- hour makes the writer wait and the mark outlives the fold.
create or replace function ratchet.queue_changes(
  p_agent text, p_session_ids text[], p_starts timestamptz[], p_ends timestamptz[], p_at timestamptz
) returns void language sql set search_path = pg_catalog, ratchet, pg_temp
set jit = off
set enable_seqscan = off                          -- statistics may be older than most of the traces
as $$
  with recursive change as (
    select session_id, started_at, ended_at,
           started_at - max(ended_at) over earlier <= interval '6 hours' as near
    from unnest(p_session_ids, p_starts, p_ends) as c (session_id, started_at, ended_at)
    window earlier as (partition by session_id order by started_at rows between unbounded preceding and 1 preceding)
  ),
  numbered as (
    select *, count(*) filter (where near is not true) over (partition by session_id order by started_at rows unbounded preceding) as number
    from change
  ),
  stretch as materialized (
    select session_id, min(started_at) as since, max(ended_at) + interval '6 hours' as until,
           lag(max(ended_at) + interval '6 hours') over (partition by session_id order by number) as met_at
    from numbered group by session_id, number
  ),
  open as (
    select session_id, since as at, met_at from stretch
    union all
    select o.session_id, reaching.at, o.met_at
    from open o
    cross join lateral (
      select min(started_at) as at
      from (
        select started_at from ratchet.traces
        where agent = p_agent and session_id = o.session_id
          and (session_id, started_at) < (o.session_id, o.at)
          and (session_id, started_at) >= (o.session_id, o.at - interval '12 hours') and ended_at >= o.at - interval '6 hours'
        union all
        select started_at from ratchet.traces
        where agent = p_agent and session_id = o.session_id and ended_at - started_at > interval '6 hours'
          and (session_id, started_at) < (o.session_id, o.at) and ended_at >= o.at - interval '6 hours'
      ) as t
    ) as reaching
    where reaching.at is not null and (o.met_at is null or o.at > o.met_at)
  )
  insert into ratchet.fold_queue (agent, hour, queued_at)
  select p_agent, h.hour, p_at
  from (
    select date_trunc('hour', min(at), 'UTC') as hour from open group by session_id, met_at
    union
    select date_trunc('hour', t.started_at, 'UTC')
    from stretch s
    cross join lateral (
      select started_at from ratchet.traces
      where agent = p_agent and session_id = s.session_id
        and (session_id, started_at) > (s.session_id, s.since) and (session_id, started_at) <= (s.session_id, s.until)
      offset 0
    ) as t
    union
    select date_trunc('hour', started_at, 'UTC') from unnest(p_starts) as started_at
  ) as h
  order by h.hour
  on conflict (agent, hour) do update set queued_at = excluded.queued_at
$$;

-- The agents that have a chain: [agent], also those that were never registered.
create or replace function public.ratchet_decisions_agents() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(agent order by agent), '[]'::jsonb) from ratchet.decision_heads;
$$;

-- One page of a table in the order of (key, id), of rows that have both: forwards from (p_from, p_from_id), exclusive, or from p_from
-- itself where p_from_id is null; backwards from just below it, down to p_until. Nothing is longer than
-- `p_rows_max` rows or much more than `p_bytes_max`; a row of more than `p_row_bytes_max` comes without its
-- content. Only rows whose hash is not the one that was kept come along, as {id, key, sha256, doc (text), bytes,
-- was_agent, was_trace_id (what it became when it was read before)}.
-- `gone`: rows that were kept for this stretch and are no longer there, as {id, agent, trace_id, session_id}; where
-- there may be more of them, `last` is null, so that the page is read again.
-- `last` is the position after this page; `ended` whether there is nothing beyond.
create or replace function public.ratchet_owner_rows_page(
  p_source text, p_table jsonb, p_digest text, p_from timestamptz, p_from_id text, p_backwards boolean, p_until timestamptz,
  p_rows_max integer, p_bytes_max integer, p_row_bytes_max integer
) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, ratchet, pg_temp set timezone = 'UTC'
set lock_timeout = '3s' as $$
declare
  pieces jsonb := ratchet.owner_pieces(p_table);
  moment text := case pieces ->> 'key_type' when 'timestamp with time zone' then '%s' else '(%s at time zone ''UTC'')' end;
  key_sql text := pieces ->> 'key';
  bounds text;
  page jsonb;
  gone_max constant integer := 10 * p_rows_max;
  gone_sql text;
  gone jsonb;
begin
  if pieces ->> 'key_type' not in ('timestamp with time zone', 'timestamp without time zone') then
    raise exception 'the column % is no time', p_table ->> 'key';
  end if;
  bounds := format('%s > %s and %s < %s and %s is not null', key_sql, format(moment, '$8::timestamptz'), key_sql,
                   format(moment, '$9::timestamptz'), pieces ->> 'id');
  if p_from is not null and p_from_id is null then
    bounds := bounds || format(case when p_backwards then ' and %s < %s' else ' and %s >= %s' end, key_sql, format(moment, '$1'));
  elsif p_from is not null then
    bounds := bounds || format(case when p_backwards then ' and (%s, %s) < (%s, $2::%s)' else ' and (%s, %s) > (%s, $2::%s)' end,
                               key_sql, pieces ->> 'id', format(moment, '$1'), pieces ->> 'id_type');
  end if;
  if p_backwards and p_until is not null then
    bounds := bounds || format(' and %s >= %s', key_sql, format(moment, '$3'));
  end if;

  execute format($sql$
    with page as materialized (
      select %9$s, %1$s as ratchet_key, %2$s as ratchet_size
      from %3$s as t where %4$s order by %1$s %5$s, %6$s %5$s limit $4
    ),
    counted as (
      select t.*, row_number() over walk as ratchet_n, sum(t.ratchet_size) over walk as ratchet_sum from page as t
      window walk as (order by t.ratchet_key %5$s, %6$s %5$s)
    ),
    row as materialized (
      select %6$s::text as id, %7$s as key, t.ratchet_n as n,
             case when t.ratchet_size <= $6 then (%8$s)::text end as doc, t.ratchet_size as size
      from counted as t where t.ratchet_n = 1 or t.ratchet_sum <= $5
    ),
    hashed as (
      select r.*, sha256(convert_to($10 || coalesce(r.doc, r.size::text), 'UTF8')) as sha256, octet_length(r.doc) as bytes from row as r
    ),
    fresh as (
      select h.*, k.agent, k.trace_id
      from hashed as h left join ratchet.owner_rows k on k.source = $7 and k.row_id = h.id
      where k.sha256 is distinct from h.sha256
    )
    select jsonb_build_object(
      'rows', (select coalesce(jsonb_agg(jsonb_build_object(
                 'id', id, 'key', key, 'sha256', encode(sha256, 'hex'), 'bytes', coalesce(bytes, size),
                 'doc', case when bytes <= $6 then doc end, 'was_agent', agent, 'was_trace_id', trace_id) order by n), '[]')
                from fresh),
      'last', (select jsonb_build_object('key', key, 'id', id) from row order by n desc limit 1),
      'ids', (select coalesce(jsonb_agg(id), '[]') from row),
      'ended', (select count(*) from page) < $4 and (select count(*) from row) = (select count(*) from page))
    $sql$,
    key_sql, pieces ->> 'size', pieces ->> 'table', bounds, case when p_backwards then 'desc' else 'asc' end,
    pieces ->> 'id', format(case pieces ->> 'key_type' when 'timestamp with time zone' then '%s' else '(%s at time zone ''UTC'')' end,
                            't.ratchet_key'), pieces ->> 'doc', pieces ->> 'columns')
  into page
  using p_from, p_from_id, p_until, p_rows_max, p_bytes_max, p_row_bytes_max, p_source,
        timestamptz '1900-01-01', timestamptz '9000-01-01', p_digest;

  -- What was kept for this stretch, did not come, and cannot be found by its id: one that only moved is still there.
  if not p_backwards then
    gone_sql := $sql$
      select jsonb_agg(jsonb_build_object('id', row_id, 'agent', agent, 'trace_id', trace_id, 'session_id', session_id))
      from (
        select k.* from ratchet.owner_rows k
        where k.source = $1 and ($2 is null or k.key >= $2) and ($3 or k.key <= $4)
          and k.row_id not in (select jsonb_array_elements_text($5))
          and not exists (select from %s as t where %s = %s)
        limit $6) as missing
      $sql$;
    begin
      execute format(gone_sql, pieces ->> 'table', pieces ->> 'id', 'k.row_id::' || (pieces ->> 'id_type')) into gone
      using p_source, p_from, (page ->> 'ended')::boolean, (page #>> '{last,key}')::timestamptz, page -> 'ids', gone_max;
    exception when data_exception then
      -- Kept when the id was of another type.
      execute format(gone_sql, pieces ->> 'table', (pieces ->> 'id') || '::text', 'k.row_id') into gone
      using p_source, p_from, (page ->> 'ended')::boolean, (page #>> '{last,key}')::timestamptz, page -> 'ids', gone_max;
    end;
    if jsonb_array_length(gone) = gone_max then
      page := page || '{"last": null, "ended": false}';
    end if;
  end if;
  return page - 'ids' || jsonb_build_object('seen', jsonb_array_length(page -> 'ids'), 'gone', coalesce(gone, '[]'));
end $$;

-- Some rows whose column `p_by` is one of `p_values` and whose key lies in [p_since, p_until), in the order of
-- (key, id), after (p_from, p_from_id): [{id, key, doc}], at most `p_rows_max`.
create or replace function public.ratchet_owner_rows_of(
  p_table jsonb, p_by text, p_values jsonb, p_since timestamptz, p_until timestamptz, p_from timestamptz, p_from_id text,
  p_rows_max integer, p_row_bytes_max integer
) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, ratchet, pg_temp set timezone = 'UTC'
set lock_timeout = '3s' as $$
declare
  pieces jsonb := ratchet.owner_pieces(p_table || jsonb_build_object('columns', (p_table -> 'columns') || to_jsonb(p_by)));
  moment text := case pieces ->> 'key_type' when 'timestamp with time zone' then '%s' else '(%s at time zone ''UTC'')' end;
  key_sql text := pieces ->> 'key';
  found jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'key', key, 'doc', doc) order by n), '[]')
    from (
      select %1$s::text as id, %2$s as key, row_number() over (order by %3$s, %1$s) as n,
             case when %4$s <= $7 then (%5$s)::text end as doc
      from %6$s as t
      where t.%7$I::text in (select jsonb_array_elements_text($1))
        and %1$s is not null and %3$s >= %8$s and %3$s < %9$s and ($4 is null or (%3$s, %1$s) > (%10$s, $5::%11$s))
      order by %3$s, %1$s limit $6
    ) as page
    $sql$,
    pieces ->> 'id', format(moment, key_sql), key_sql, pieces ->> 'size', pieces ->> 'doc', pieces ->> 'table', p_by,
    format(moment, '$2'), format(moment, '$3'), format(moment, '$4'), pieces ->> 'id_type')
  into found using p_values, p_since, p_until, p_from, p_from_id, p_rows_max, p_row_bytes_max;
  return found;
end $$;

-- The first rows of a small table (settings of an agent), in the order of their ids: [{id, doc}].
create or replace function public.ratchet_owner_rows_all(p_table jsonb, p_rows_max integer, p_row_bytes_max integer) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, ratchet, pg_temp set timezone = 'UTC'
set lock_timeout = '3s' as $$
declare
  pieces jsonb := ratchet.owner_pieces(p_table);
  found jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'doc', doc) order by n), '[]')
    from (select %1$s::text as id, row_number() over (order by %1$s) as n, case when %2$s <= $2 then (%3$s)::text end as doc
          from %4$s as t order by %1$s limit $1) as page
    $sql$, pieces ->> 'id', pieces ->> 'size', pieces ->> 'doc', pieces ->> 'table')
  into found using p_rows_max, p_row_bytes_max;
  return found;
end $$;

-- How far a table was read: {digest, mark}; null where it never was.
create or replace function public.ratchet_owner_marks_read(p_source text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object('digest', digest, 'mark', mark, 'at', marked_at) from ratchet.owner_marks where source = p_source
$$;

-- Keeps what was read of a page, in one transaction: its rows [{id, key, sha256, agent, trace_id, session_id, refused}],
-- the ids that are gone, and the position. Rows that will not be read again (key before `p_keep_since`) are not kept,
-- refused ones until `p_keep_refused_since`.
create or replace function public.ratchet_owner_marks_write(
  p_source text, p_digest text, p_mark jsonb, p_rows jsonb, p_gone jsonb, p_keep_since timestamptz,
  p_keep_refused_since timestamptz, p_at timestamptz
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
begin
  insert into ratchet.owner_marks (source, digest, mark, marked_at) values (p_source, p_digest, p_mark, p_at)
  on conflict (source) do update set digest = excluded.digest, mark = excluded.mark, marked_at = excluded.marked_at;
  insert into ratchet.owner_rows (source, row_id, key, sha256, agent, trace_id, session_id, refused, read_at)
  select distinct on (r.id) p_source, r.id, r.key, decode(r.sha256, 'hex'), r.agent, r.trace_id, r.session_id, r.refused, p_at
  from jsonb_to_recordset(p_rows) as r (
    id text, key timestamptz, sha256 text, agent text, trace_id text, session_id text, refused text)
  where r.key >= p_keep_since or r.refused is not null
  order by r.id
  on conflict (source, row_id) do update set
    key = excluded.key, sha256 = excluded.sha256, agent = excluded.agent, trace_id = excluded.trace_id,
    session_id = excluded.session_id, refused = excluded.refused, read_at = excluded.read_at;
  delete from ratchet.owner_rows
  where source = p_source and row_id in (select jsonb_array_elements_text(p_gone));
  delete from ratchet.owner_rows
  where source = p_source and key < p_keep_since and (refused is null or read_at < p_keep_refused_since);
  return 'true';
end $$;

-- Rows that were refused since: {count, examples: [{id, reason}]}, the newest five.
create or replace function public.ratchet_owner_rows_refused(p_source text, p_since timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_build_object(
    'count', (select count(*) from ratchet.owner_rows where source = p_source and refused is not null and read_at >= p_since),
    'examples', (select coalesce(jsonb_agg(jsonb_build_object('id', row_id, 'reason', refused)), '[]') from (
       select row_id, refused from ratchet.owner_rows
       where source = p_source and refused is not null and read_at >= p_since order by read_at desc, row_id limit 5) as newest))
$$;

-- What the catalogue says about one table: {columns: [{name, type, not_null}], rows, kind, indexes, hidden, readable};
-- null where there is none that may be read. `rows` is counted up to `p_rows_max`, then estimated.
create or replace function public.ratchet_owner_tables_read(p_schema text, p_name text, p_rows_max integer) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, ratchet, pg_temp set lock_timeout = '3s' as $$
declare
  relation oid := ratchet.owner_table(p_schema, p_name);
  readable boolean;
  rows bigint;
begin
  if relation is null then
    return null;
  end if;
  readable := has_schema_privilege(p_schema, 'usage') and has_table_privilege(relation, 'select');
  if readable then
    execute format('select count(*) from (select from %I.%I limit $1) as counted', p_schema, p_name) into rows using p_rows_max;
    if rows = p_rows_max and rows > 0 then
      rows := greatest(rows, (select reltuples::bigint from pg_class where oid = relation));
    end if;
  end if;
  return jsonb_build_object(
    'columns', (select coalesce(jsonb_agg(jsonb_build_object(
                  'name', attname, 'type', format_type(atttypid, null), 'not_null', attnotnull) order by attnum), '[]')
                from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped),
    'rows', rows,
    'kind', (select relkind from pg_class where oid = relation),
    -- What each whole index begins with.
    'indexes', (select coalesce(jsonb_agg(distinct pg_get_indexdef(indexrelid, 1, true)), '[]')
                from pg_index where indrelid = relation and indisvalid and indpred is null),
    'readable', readable,
    'hidden', row_security_active(relation));
end $$;

-- The tables that may be read, with their columns, for finding the owner's: [{schema, name, columns}].
create or replace function public.ratchet_owner_tables_list(p_tables_max integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('schema', schema, 'name', name, 'columns', columns) order by schema <> 'public', schema, name), '[]')
  from (
    select n.nspname as schema, c.relname as name,
           jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, null), 'not_null', a.attnotnull)
                     order by a.attnum) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and ratchet.owner_table(n.nspname, c.relname) is not null
      and not (n.nspname = 'public' and c.relname = 'optimization_sessions')
    group by n.nspname, c.relname order by n.nspname <> 'public', n.nspname, c.relname limit p_tables_max
  ) as found
$$;

-- Drops traces whose rows are gone, and queues the hours that they leave. Returns how many there were.
create or replace function public.ratchet_traces_forget(p_agent text, p_trace_ids jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  sessions text[];
  starts timestamptz[];
  ends timestamptz[];
begin
  perform from ratchet.agents where agent = p_agent for no key update;
  with gone as (
    delete from ratchet.traces
    where agent = p_agent and trace_id in (select jsonb_array_elements_text(p_trace_ids))
    returning session_id, started_at, ended_at
  )
  select coalesce(array_agg(session_id), '{}'), coalesce(array_agg(started_at), '{}'), coalesce(array_agg(ended_at), '{}')
  into sessions, starts, ends from gone;
  perform ratchet.queue_changes(p_agent, sessions, starts, ends, p_at);
  return to_jsonb(cardinality(sessions));
end $$;

-- Writes traces as they are now, whatever was there before (the row is the truth): what differs goes, and its
-- hours are queued, then all are put. Returns what `ratchet_traces_put` says.
create or replace function public.ratchet_traces_replace(p_agent text, p_traces jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  changed jsonb;
begin
  insert into ratchet.agents (agent, registered_at) values (p_agent, p_at) on conflict do nothing;
  -- One writer at a time for this agent, so that none waits for another's hours.
  perform from ratchet.agents where agent = p_agent for no key update;
  select coalesce(jsonb_agg(t.trace_id), '[]') into changed
  from jsonb_to_recordset(p_traces) as l (
    trace_id text, session_id text, environment text, release text, model text, task_category text,
    started_at timestamptz, ended_at timestamptz, prompts jsonb,
    success boolean, reward double precision, outcome_end text, events jsonb, extra jsonb)
  join ratchet.traces t on t.agent = p_agent and t.trace_id = l.trace_id
  where (t.session_id, t.environment, t.release, t.model, t.task_category, t.started_at, t.ended_at, t.prompts,
         t.success, t.reward, t.outcome_end, t.events, t.extra)
    is distinct from (l.session_id, l.environment, l.release, l.model, l.task_category, l.started_at, l.ended_at, l.prompts,
         l.success, l.reward, l.outcome_end, l.events, l.extra);
  if changed <> '[]' then
    perform public.ratchet_traces_forget(p_agent, changed, p_at);
  end if;
  return public.ratchet_traces_put(p_agent, p_traces, p_at);
end $$;

-- The traces of the owner's table of some session ids that run in [p_since, p_until], in the order of (agent,
-- session, start, id): [{agent, trace}], at most `p_traces_max`.
create or replace function public.ratchet_traces_of(
  p_table text, p_session_ids jsonb, p_since timestamptz, p_until timestamptz, p_traces_max integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp set timezone = 'UTC' as $$
  select coalesce(jsonb_agg(jsonb_build_object('agent', agent, 'trace', jsonb_strip_nulls(jsonb_build_object(
           'trace_id', trace_id, 'session_id', session_id, 'environment', environment, 'release', release, 'model', model,
           'task_category', task_category, 'started_at', started_at, 'ended_at', ended_at, 'success', success,
           'reward', reward, 'outcome_end', outcome_end, 'event_count', event_count))
           || jsonb_build_object('prompts', prompts, 'events', events, 'extra', extra))
         order by agent, session_id, started_at, trace_id), '[]')
  from (
    select t.* from ratchet.agents a
    join ratchet.traces t on t.agent = a.agent and t.session_id in (select jsonb_array_elements_text(p_session_ids))
    where t.extra ->> 'owner_table' = p_table and t.ended_at >= p_since and t.started_at <= p_until
    order by t.agent, t.session_id, t.started_at, t.trace_id limit p_traces_max
  ) as found
$$;

-- Moves a label if it stands where the caller thinks (p_expected null: if it does not exist yet), and writes the move
-- down. Answers {ok: true}, {ok: false, version: where it stands} or {ok: false, missing: true} for an unknown version.
create or replace function public.ratchet_prompts_move_label(
  p_agent text, p_prompt text, p_label text, p_version integer, p_expected integer, p_after_moves bigint,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  stands integer;
  made bigint;
begin
  if not exists (select from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt and version = p_version) then
    return jsonb_build_object('ok', false, 'missing', true);
  end if;
  if p_expected is null then
    insert into ratchet.prompt_labels (agent, prompt, label, version, moved_at)
    values (p_agent, p_prompt, p_label, p_version, p_at) on conflict do nothing returning moves into made;
  else
    update ratchet.prompt_labels set version = p_version, moves = moves + 1, moved_at = p_at
    where agent = p_agent and prompt = p_prompt and label = p_label and version = p_expected
      and (p_after_moves is null or moves = p_after_moves)
    returning moves into made;
  end if;
  if made is not null then
    insert into ratchet.label_moves (agent, prompt, label, move, version, moved_at)
    values (p_agent, p_prompt, p_label, made, p_version, p_at);
    return jsonb_build_object('ok', true);
  end if;
  select version into stands from ratchet.prompt_labels where agent = p_agent and prompt = p_prompt and label = p_label;
  return jsonb_build_object('ok', false, 'version', stands);
end $$;

-- Where the labels of an agent's prompts were put, newest first: [{prompt, label, version, moved_at}].
create or replace function public.ratchet_prompts_moves(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('prompt', prompt, 'label', label, 'version', version, 'moved_at', moved_at)
                            order by moved_at desc, move desc), '[]'::jsonb)
  from (select * from ratchet.label_moves where agent = p_agent
        order by moved_at desc, move desc limit least(p_limit, 1000)) moved;
$$;

-- How many agent sessions began between neighbouring cuts (ascending times), by the prompt version that they name, as
-- `prompt@reference`: [{segment (from 0), reference (null: all sessions), n, first, last}]. By whole folded hours: one
-- that holds a cut counts where it begins. Of a segment the p_limit most frequent references.
create or replace function public.ratchet_prompts_references(p_agent text, p_cuts jsonb, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp set jit = off as $$
  with segment as (
    select ordinality - 1 as segment, at as since, lead(at) over (order by ordinality) as until
    from rows from (jsonb_array_elements_text(p_cuts)) with ordinality as cut (said, ordinality)
    cross join lateral (select cut.said::timestamptz as at) as read
  ),
  counted as (
    select s.segment, r.labels ->> 'prompt_version' as reference, sum(r.n) as n, min(r.hour) as first, max(r.hour) as last
    from segment s
    -- Hour by hour (offset 0 keeps it so): the index is entered at the rows of this one name, however long history is.
    cross join lateral generate_series(
      date_trunc('hour', s.since + interval '1 hour' - interval '1 microsecond', 'UTC'),
      s.until - interval '1 microsecond', interval '1 hour') as h (hour)
    cross join lateral (
      select labels, n, hour from ratchet.rollups
      where agent = p_agent and rollups.hour = h.hour and name = 'sessions' and (labels = '{}' or labels ? 'prompt_version')
      offset 0
    ) as r
    where s.until is not null
    group by s.segment, r.labels ->> 'prompt_version'
  ),
  ranked as (
    select *, row_number() over (partition by segment, reference is null order by n desc, reference) as place from counted
  )
  select coalesce(jsonb_agg(jsonb_build_object('segment', segment, 'reference', reference, 'n', n,
                                               'first', first, 'last', last) order by segment, n desc, reference), '[]'::jsonb)
  from ranked where place <= least(p_limit, 1000);
$$;

-- Folds hours that are queued, newest first: {"hours": folded now, "left": still queued}.
-- Who holds what: the lock on the mark of an hour keeps other folders from it, and makes an import that touches the hour
-- wait and mark it again. Days are marked at the very end, in order, because a mark is all that folders of
-- the same day share: they wait for each other's last moment only. The mark and the hour's rows appear together, so a
-- reader sees the hour queued, or its day marked, or both folded; never a day that misses its hour.
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
    delete from ratchet.fold_queue q using picked p where q.agent = p.agent and q.hour = p.hour
    returning q.agent, q.hour, q.queued_at
  )
  select coalesce(jsonb_agg(to_jsonb(gone)), '[]') into taken from gone;

  for one in
    select t.agent, array_agg(t.hour order by t.hour) as hours, array_agg(t.hour + interval '1 hour' order by t.hour) as ends
    from jsonb_to_recordset(taken) as t (agent text, hour timestamptz) group by t.agent order by t.agent
  loop
    delete from ratchet.rollups r where r.agent = one.agent and r.hour = any (one.hours);
    insert into ratchet.rollups (agent, hour, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples)
    select one.agent, one.hours[m.span], m.name, m.labels, m.n, m.total, m.total_sq, m.largest,
           m.bucket_ids, m.bucket_counts, m.samples
    from ratchet.measured(one.agent, one.hours, one.ends) as m;
  end loop;

  insert into ratchet.day_queue (agent, day, queued_at)
  select t.agent, date_trunc('day', t.hour, 'UTC') as day, max(t.queued_at)
  from jsonb_to_recordset(taken) as t (agent text, hour timestamptz, queued_at timestamptz)
  group by 1, 2 order by 1, 2
  on conflict (agent, day) do update set queued_at = excluded.queued_at;

  return jsonb_build_object(
    'hours', jsonb_array_length(taken),
    'left', (select count(*) from ratchet.fold_queue where p_agent is null or agent = p_agent));
end $$;

-- Merges days that are marked, newest first, out of their hours: {"days": merged now, "left": still marked and ready}.
-- A day with a queued hour waits: it would be marked again at once. Who holds a mark has it alone, and a folder that
-- folded an hour of the day in the meantime waits with its commit until it can mark the day anew: so the hours that are
-- read here are all that were committed when the mark was taken, and what comes later marks later.
create or replace function public.ratchet_rollups_fold_days(p_agent text, p_days_max integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  one record;
  days integer := 0;
begin
  for one in
    with picked as materialized (
      select d.agent, d.day from ratchet.day_queue d
      where (p_agent is null or d.agent = p_agent) and not exists (
        select from ratchet.fold_queue q
        where q.agent = d.agent and q.hour >= d.day and q.hour < d.day + interval '24 hours')
      order by d.day desc, d.agent limit p_days_max for update skip locked
    )
    delete from ratchet.day_queue d using picked p where d.agent = p.agent and d.day = p.day returning d.agent, d.day
  loop
    days := days + 1;
    delete from ratchet.rollup_days r where r.agent = one.agent and r.day = one.day;
    insert into ratchet.rollup_days (agent, day, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples)
    select one.agent, one.day, m.name, m.labels, m.n, m.total, m.total_sq, m.largest, m.bucket_ids, m.bucket_counts, m.samples
    from ratchet.merged(one.agent, array[one.day, one.day + interval '24 hours'], false) as m;
    perform ratchet.cap_signatures(one.agent, one.day);
  end loop;
  return jsonb_build_object('days', days, 'left', (
    select count(*) from ratchet.day_queue d
    where (p_agent is null or d.agent = p_agent) and not exists (
      select from ratchet.fold_queue q
      where q.agent = d.agent and q.hour >= d.day and q.hour < d.day + interval '24 hours')));
end $$;

-- The measures of the segments between ascending times, for windows that share their bounds: one array
-- [segment (1, 2, ...), name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples] each.
create or replace function public.ratchet_rollups_segments(p_agent text, p_cuts jsonb) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_array(
           segment, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples)), '[]')
  from ratchet.merged(p_agent, array(
    select cut::timestamptz from jsonb_array_elements_text(p_cuts) with ordinality as c (cut, number) order by number), true)
$$;

-- The measures of [p_since, p_until). Only the release before reads them so.
create or replace function public.ratchet_rollups_read(p_agent text, p_since timestamptz, p_until timestamptz) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'name', name, 'labels', labels, 'n', n, 'total', total, 'total_sq', total_sq, 'largest', largest,
    'buckets', (select jsonb_object_agg(bucket, count) from unnest(bucket_ids, bucket_counts) as b (bucket, count)),
    'samples', samples) order by name, labels), '[]')
  from ratchet.merged(p_agent, array[p_since, p_until], true)
$$;

-- Sessions and cost of the slots between ascending times, by whole hours (an hour belongs to the slot in which it begins), and
-- when the agent's first trace began: {"first": time or null, "slots": [[slot (1, 2, ...), sessions, cost_usd], ...]}.
create or replace function public.ratchet_rollups_slots(p_agent text, p_cuts jsonb) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  with cut as materialized (
    select array(select c::timestamptz from jsonb_array_elements_text(p_cuts) with ordinality as u (c, number) order by number) as cuts
  )
  select jsonb_build_object(
    'first', (select min(started_at) from ratchet.traces where agent = p_agent),
    'slots', (
      select coalesce(jsonb_agg(jsonb_build_array(slot, sessions, cost) order by slot), '[]')
      from (
        select width_bucket(r.hour, cut.cuts) as slot,
               coalesce(sum(r.n) filter (where r.name = 'sessions'), 0) as sessions,
               coalesce(sum(r.total::numeric) filter (where r.name = 'cost_usd'), 0)::double precision as cost
        from cut cross join lateral (
          select hour, name, n, total from ratchet.rollups
          where agent = p_agent and labels = '{}' and name in ('sessions', 'cost_usd')
            and hour >= cut.cuts[1] and hour < cut.cuts[cardinality(cut.cuts)]
          offset 0
        ) as r
        group by 1
      ) as s))
$$;

-- Writes a batch. A trace that is known is replaced when its last event is later or it has more events
-- (what the new line says nothing about of the outcome stays), and takes an outcome where it had none.
-- Of one trace twice in a batch the longer line counts, the other is known.
-- Returns {"new", "grown", "rated", "known"}.
create or replace function public.ratchet_traces_put(p_agent text, p_traces jsonb, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  fresh text[];
  sessions text[];
  starts timestamptz[];
  ends timestamptz[];
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
    returning trace_id, session_id, started_at, ended_at
  )
  select coalesce(array_agg(trace_id), '{}'), array_agg(session_id), array_agg(started_at), array_agg(ended_at)
  into fresh, sessions, starts, ends from added;

  if cardinality(fresh) < jsonb_array_length(p_traces) then
    perform from ratchet.traces t
    where t.agent = p_agent and t.trace_id in (select x.trace_id from jsonb_to_recordset(p_traces) as x (trace_id text))
    order by t.trace_id for update;

    with line as (
      select l.*, t.session_id as old_session_id, t.started_at as old_started_at, t.ended_at as old_ended_at,
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
      returning l.*
    ),
    judged as (
      update ratchet.traces t set
        success = coalesce(t.success, l.success), reward = coalesce(t.reward, l.reward),
        outcome_end = coalesce(t.outcome_end, l.outcome_end), received_at = p_at
      from line l where l.rates and not l.grows and t.agent = p_agent and t.trace_id = l.trace_id
      returning l.*
    ),
    change as (
      select session_id, started_at, ended_at from replaced
      union all
      select old_session_id, old_started_at, old_ended_at from replaced
      union all
      select old_session_id, old_started_at, old_ended_at from judged
    )
    select (select count(*) from replaced), (select count(*) from judged),
           sessions || array_agg(session_id), starts || array_agg(started_at), ends || array_agg(ended_at)
    into grown, rated, sessions, starts, ends from change;
  end if;

  -- Of two writers at once, the second sees what the first wrote: an agent session that both add to is queued where it began.
  perform pg_advisory_xact_lock(hashtextextended('ratchet.queue_changes ' || p_agent, 0));
  perform ratchet.queue_changes(p_agent, sessions, starts, ends, p_at);
  return jsonb_build_object(
    'new', cardinality(fresh), 'grown', grown, 'rated', rated,
    'known', jsonb_array_length(p_traces) - cardinality(fresh) - grown - rated);
end $$;

-- Nobody but the service role calls our functions; roles are touched only where they exist.
do $$
declare
  ours regprocedure;
  role_name text;
begin
  for ours in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\_%'
      -- Ours pin their search path to our schema; another function of that name is the owner's.
      and 'search_path=pg_catalog, ratchet, pg_temp' = any (p.proconfig))
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

insert into ratchet.schema_migrations (version, name) values ('20261120180000', 'facts')
  on conflict do nothing;
