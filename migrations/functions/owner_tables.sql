-- The owner's own tables, read where they are: plain SELECTs of one named table, its columns checked in the
-- catalogue; names reach SQL as %I alone, everything else as an argument. A lock that somebody holds for long
-- (their migration) ends a call after three seconds. UTC, so that one row has one text, whoever asks.

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
