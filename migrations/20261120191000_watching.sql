-- What is noticed about a deployment after it went live, each thing told once, and the calls that make an agent reload.

create table if not exists ratchet.sightings (
  deployment_id uuid not null references ratchet.deployments (id),
  what text not null,                            -- back_seen, still_old, back_still_old, place, left_behind
  value text not null,                           -- of place: the version that runs; of left_behind: the versions
  body jsonb not null default '{}',              -- what was told
  at timestamptz not null,
  primary key (deployment_id, what)
);
alter table ratchet.sightings enable row level security;

-- One call of the owner's address for each event of a deployment; at least once, with one key.
create table if not exists ratchet.reloads (
  deployment_id uuid not null references ratchet.deployments (id),
  event text not null check (event in ('deployed', 'rolled_back')),
  state text not null default 'waiting' check (state in ('waiting', 'taken', 'failed')),
  tries integer not null default 0,              -- begun: written before each
  next_try_at timestamptz not null,
  reason text,                                   -- why the last try was not taken
  worker text,
  lease_until timestamptz,
  ended_at timestamptz,
  primary key (deployment_id, event)
);
alter table ratchet.reloads enable row level security;

insert into ratchet.schema_migrations (version, name) values ('20261120191000', 'watching')
  on conflict do nothing;
