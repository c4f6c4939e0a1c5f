-- Traces: written in bulk, once per (agent, trace_id); whatever changes one queues the hours to fold again.

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

-- What was said in a trace's events, each field as text: [{type, name, text, args, error, inputs}].
create or replace function ratchet.said(p_events jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
           'type', event->'type', 'name', event->'name', 'text', left(event->>'text', 100000), 'args', left(event->>'args', 100000),
           'error', left(event->>'error', 100000), 'inputs', left(event->>'inputs', 100000)))), '[]'::jsonb)
  from jsonb_array_elements(p_events) as event
  where event ?| array['text', 'args', 'error', 'inputs'];
$$;

-- What the newest traces since p_since say, of those before (p_until, p_before_id): [{trace_id, session_id, started_at, said}],
-- newest first; p_before_id null: up to p_until. At most p_limit, and no more once they have p_bytes_max as they are stored.
create or replace function public.ratchet_traces_said(
  p_agent text, p_since timestamptz, p_until timestamptz, p_before_id text, p_limit integer, p_bytes_max integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('trace_id', trace_id, 'session_id', session_id, 'started_at', started_at,
                                               'said', ratchet.said(events)) order by started_at desc, trace_id desc), '[]'::jsonb)
  from (
    select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
    from (
      select trace_id, session_id, started_at, events
      from ratchet.traces
      where agent = p_agent and started_at >= p_since and started_at <= p_until
        and (p_before_id is null or (started_at, trace_id) < (p_until, p_before_id))
      order by started_at desc, trace_id desc
      limit p_limit
    ) as newest
  ) as page
  where above is null or above < p_bytes_max;
$$;

-- What the traces of these sessions say, in the same form and within the same bounds.
create or replace function public.ratchet_traces_said_in(p_agent text, p_session_ids jsonb, p_limit integer, p_bytes_max integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('trace_id', trace_id, 'session_id', session_id, 'started_at', started_at,
                                               'said', ratchet.said(events)) order by started_at desc, trace_id desc), '[]'::jsonb)
  from (
    select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
    from (
      select trace_id, session_id, started_at, events
      from ratchet.traces
      where agent = p_agent and session_id = any (array(select jsonb_array_elements_text(p_session_ids)))
      order by started_at desc, trace_id desc
      limit p_limit
    ) as newest
  ) as page
  where above is null or above < p_bytes_max;
$$;

-- The inputs of recent requests, each once, newest first: [{session_id, prompts, inputs}]. `prompts` are the names that the
-- request, else its trace, gives. Looked for in the newest p_traces_max traces since p_since, within p_bytes_max as they are stored.
create or replace function public.ratchet_traces_inputs(
  p_agent text, p_since timestamptz, p_traces_max integer, p_bytes_max integer, p_limit integer
) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('session_id', session_id, 'prompts', prompts, 'inputs', inputs) order by started_at desc, place), '[]'::jsonb)
  from (
    select *
    from (
      select distinct on (event->'inputs')
             page.session_id, page.started_at, place, event->'inputs' as inputs,
             array(select jsonb_object_keys(case jsonb_typeof(event->'prompts') when 'object' then event->'prompts' else page.prompts end)) as prompts
      from (
        select *, sum(pg_column_size(events)) over (order by started_at desc, trace_id desc rows between unbounded preceding and 1 preceding) as above
        from (
          select trace_id, session_id, started_at, prompts, events
          from ratchet.traces
          where agent = p_agent and started_at >= p_since
          order by started_at desc, trace_id desc
          limit p_traces_max
        ) as newest
      ) as page
      cross join lateral jsonb_array_elements(page.events) with ordinality as request (event, place)
      where (above is null or above < p_bytes_max)
        and event->>'type' = 'llm_call' and jsonb_typeof(event->'inputs') = 'object' and pg_column_size(event->'inputs') <= 100000
      order by event->'inputs', page.started_at desc, place
    ) as distinct_inputs
    order by started_at desc, place
    limit p_limit
  ) as recent;
$$;
