-- How far the owner's own tables were read. Nothing of theirs is written, altered or indexed.

-- One row for each of their tables, by what it is to us: 'traces public.observability_traces'.
create table ratchet.owner_marks (
  source text primary key,
  digest text not null,                          -- of the mapping: another one begins anew
  mark jsonb not null,
  marked_at timestamptz not null
);

-- What a row of theirs was when it was read: kept for the days that are read again, and longer when it was refused.
create table ratchet.owner_rows (
  source text not null,
  row_id text not null,
  key timestamptz not null,                      -- its updated_at or created_at
  sha256 bytea not null,                         -- of the mapped columns and the mapping
  agent text,                                    -- whose trace it became, and which
  trace_id text,
  session_id text,
  refused text,                                  -- why no trace could be made of it
  read_at timestamptz not null,
  primary key (source, row_id)
);
create index owner_rows_by_key on ratchet.owner_rows (source, key);
create index owner_rows_refused on ratchet.owner_rows (source, read_at) where refused is not null;

do $$
declare
  owned text;
begin
  foreach owned in array array['owner_marks', 'owner_rows'] loop
    execute format('alter table ratchet.%I enable row level security', owned);
  end loop;
end $$;

insert into ratchet.schema_migrations (version, name) values ('20261120171000', 'owner_tables')
  on conflict do nothing;
