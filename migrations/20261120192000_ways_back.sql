-- Deployments that go back to a version, or without an item: what leaves with them, and what returns when they go.

alter table ratchet.deployments
  add column if not exists passes jsonb not null default '[]';  -- ids of the deployments that it takes the place of

insert into ratchet.transitions (record, from_state, to_state) values
  ('item', 'failed', 'deployed'),                -- what took it back was taken back
  ('deployment', 'rolled_back', 'live'),
  ('deployment', 'rolled_back', 'seen')
on conflict do nothing;

insert into ratchet.schema_migrations (version, name) values ('20261120192000', 'ways_back')
  on conflict do nothing;
