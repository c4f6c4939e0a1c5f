-- Approvals that are counted, a stop for all deployments of an agent, and deployments that take something back.

-- Who said yes to an item, where one yes is not enough: bound to what was shown, one per person.
create table if not exists ratchet.votes (
  item_id uuid not null references ratchet.items (id),
  person text not null,                          -- a name under [people]; else the channel identity itself
  session_id uuid not null references ratchet.sessions (id),
  actor text not null,
  content_sha256 text not null,
  base_sha256 jsonb not null,
  words text not null,
  voted_at timestamptz not null,
  primary key (item_id, person)
);
alter table ratchet.votes enable row level security;

-- An agent whose prompts nobody may deploy to, until someone lifts it.
create table if not exists ratchet.freezes (
  agent text primary key,
  actor text not null,
  reason text not null,
  frozen_at timestamptz not null
);
alter table ratchet.freezes enable row level security;

alter table ratchet.deployments
  -- change: items go live; without: the text as it is, without some items; to_version: a version that was there before
  add column if not exists kind text not null default 'change' check (kind in ('change', 'without', 'to_version')),
  add column if not exists target_version integer,             -- of to_version
  add column if not exists undone jsonb not null default '[]', -- ids of the items that it takes back
  add column if not exists provenance jsonb not null default '{}';  -- who approved what, on which evidence

insert into ratchet.schema_migrations (version, name) values ('20261120190000', 'policies')
  on conflict do nothing;
