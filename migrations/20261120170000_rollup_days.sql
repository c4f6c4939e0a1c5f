-- Rollups by day: a day is the sum of its hours, so that a look at months reads days.

-- Histograms that merge without parsing: bucket_ids[i] was hit bucket_counts[i] times. (`buckets` held them before.)
alter table ratchet.rollups add column bucket_ids integer[], add column bucket_counts integer[];
-- The series of earlier windows reads these two of each hour, nothing else.
create index rollups_plain on ratchet.rollups (agent, hour, name) include (n, total)
  where labels = '{}' and name in ('sessions', 'cost_usd');

create table ratchet.rollup_days (
  agent text not null,
  day timestamptz not null,                      -- midnight, UTC
  name text not null,
  labels jsonb not null,
  n bigint not null,
  total double precision not null,
  total_sq double precision not null,
  largest double precision not null,
  bucket_ids integer[],
  bucket_counts integer[],
  samples jsonb,
  primary key (agent, day, name, labels)
);

-- Days that are older than one of their hours.
create table ratchet.day_queue (
  agent text not null,
  day timestamptz not null,
  queued_at timestamptz not null,
  primary key (agent, day)
);

-- A trace that lasts longer than the idle gap keeps its agent session open from far away: the few of them.
create index traces_long on ratchet.traces (agent, session_id, started_at)
  where ended_at - started_at > interval '6 hours';

-- Rollups are a cache: what was folded before lacks what is measured since.
insert into ratchet.fold_queue (agent, hour, queued_at)
  select distinct agent, hour, hour from ratchet.rollups order by agent, hour
  on conflict (agent, hour) do update set queued_at = excluded.queued_at;

do $$
declare
  owned text;
begin
  foreach owned in array array['rollup_days', 'day_queue'] loop
    execute format('alter table ratchet.%I enable row level security', owned);
  end loop;
end $$;

insert into ratchet.schema_migrations (version, name) values ('20261120170000', 'rollup_days')
  on conflict do nothing;
