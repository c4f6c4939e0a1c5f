-- Where each label of the local registry pointed, and since when: a trace that names its label means that version.
create table if not exists ratchet.label_moves (
  agent text not null,
  prompt text not null,
  label text not null,
  move bigint not null,                          -- the count of the label's moves (prompt_labels.moves) that this one made
  version integer not null,
  moved_at timestamptz not null,
  primary key (agent, prompt, label, move)
);
create index if not exists label_moves_by_time on ratchet.label_moves (agent, moved_at desc);
alter table ratchet.label_moves enable row level security;

-- What came before was not written down: of each label the last move is known.
insert into ratchet.label_moves (agent, prompt, label, move, version, moved_at)
select agent, prompt, label, moves, version, moved_at from ratchet.prompt_labels
on conflict do nothing;

insert into ratchet.schema_migrations (version, name) values ('20261120172000', 'label_moves')
  on conflict do nothing;
