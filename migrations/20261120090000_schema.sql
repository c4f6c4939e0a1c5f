-- The tables of Ratchet. They live in the schema `ratchet`, which the API does not expose.
create schema if not exists ratchet;

create table if not exists ratchet.schema_migrations (
  version text primary key,
  name text not null
);

-- Agents, as imports and settings declare them.
create table ratchet.agents (
  agent text primary key,
  environment text not null default 'prod',
  tools jsonb not null default '[]',             -- declared tool specs, as given
  prompts jsonb not null default '{}',           -- name -> {label, follow, includes}
  escalation_tools jsonb not null default '["transfer_to_human*"]',
  revision bigint not null default 1,
  registered_at timestamptz not null
);

-- One run of the agent. It may grow after it was first seen.
create table ratchet.traces (
  agent text not null,
  trace_id text not null,
  session_id text not null,
  environment text,
  release text,
  model text,
  task_category text,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  prompts jsonb not null default '{}',           -- prompt name ('' where the trace gave none) -> version or hash
  success boolean,
  reward double precision,
  outcome_end text,
  events jsonb not null,
  event_count integer not null,
  extra jsonb not null default '{}',             -- fields of the line that are not ours
  received_at timestamptz not null,
  primary key (agent, trace_id)
);
create index traces_by_session on ratchet.traces (agent, session_id, started_at);
create index traces_by_start on ratchet.traces (agent, started_at);

-- A rollup is a cache of an hour of one agent: sums by measure and labels.
create table ratchet.rollups (
  agent text not null,
  hour timestamptz not null,
  name text not null,
  labels jsonb not null,
  n bigint not null,
  total double precision not null,
  total_sq double precision not null,
  largest double precision not null,
  buckets jsonb,
  samples jsonb,
  primary key (agent, hour, name, labels)
);

-- Hours whose rollup is out of date.
create table ratchet.fold_queue (
  agent text not null,
  hour timestamptz not null,
  queued_at timestamptz not null,
  primary key (agent, hour)
);

create table ratchet.runs (
  id uuid primary key,
  agent text not null,
  slot text,                                     -- a scheduled run's slot; null when a person asked
  since timestamptz not null,
  until timestamptz not null,
  state text not null check (state in ('running', 'done', 'failed')),
  worker text not null,
  lease_until timestamptz not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  session_id uuid,
  result jsonb,
  unique (agent, slot)
);
create unique index runs_one_at_a_time on ratchet.runs (agent) where state = 'running';

create table ratchet.sessions (
  id uuid primary key,
  agent text not null,
  run_id uuid not null references ratchet.runs (id),
  environment text not null,
  since timestamptz not null,
  until timestamptz not null,
  state text not null,
  revision bigint not null default 1,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  decided_at timestamptz,
  snoozed_until timestamptz,
  facts jsonb not null,
  header jsonb not null,                         -- what the message opens with
  watching jsonb not null default '[]',
  dropped jsonb not null default '[]'
);
create unique index sessions_one_pending on ratchet.sessions (agent) where state = 'pending';
create index sessions_by_time on ratchet.sessions (agent, created_at desc);

create table ratchet.items (
  id uuid primary key,
  agent text not null,
  key text not null,                             -- what the item is about; the same trouble has the same key
  rule text not null,
  goal text not null check (goal in ('accuracy', 'capability', 'cost')),
  type text not null check (type in ('prompt_change', 'config_change', 'code_change')),
  title text not null,
  detail text not null,
  facts jsonb not null,
  edits jsonb not null,
  base_sha256 jsonb not null,                    -- prompt -> hash of the text that the edits were made for
  requires jsonb not null default '[]',          -- ids of items that must go live with it
  content_sha256 text not null,
  state text not null,
  severity double precision not null,
  first_seen_at timestamptz not null,
  answered_at timestamptz,
  answered_severity double precision
);
create index items_by_key on ratchet.items (agent, key, first_seen_at desc);
create unique index items_one_open on ratchet.items (agent, key) where state = 'open';

-- Numbers are views: which item stood under which number in which session.
create table ratchet.session_items (
  session_id uuid not null references ratchet.sessions (id),
  n integer not null,
  item_id uuid not null references ratchet.items (id),
  primary key (session_id, n),
  unique (session_id, item_id)
);

-- The audit: append-only, one chain per agent.
create table ratchet.decisions (
  agent text not null,
  seq bigint not null,
  at timestamptz not null,
  body text not null,                            -- the exact text that was hashed
  sha256 text not null,
  prev_sha256 text not null,
  primary key (agent, seq)
);
create table ratchet.decision_heads (
  agent text primary key,
  seq bigint not null,
  sha256 text not null
);
create function ratchet.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'ratchet.decisions is append-only';
end $$;
create trigger decisions_append_only before update or delete or truncate on ratchet.decisions
  execute function ratchet.refuse_change();

-- What the bot asked whom, where, about which plan; consumed once.
create table ratchet.questions (
  id uuid primary key,
  agent text not null,
  session_id uuid,
  channel text not null,
  chat text not null,
  actor text not null,
  text text not null,
  plan jsonb not null,
  code text not null,
  asked_at timestamptz not null,
  expires_at timestamptz not null,
  consumed_at timestamptz
);
create index questions_open on ratchet.questions (channel, chat, actor) where consumed_at is null;

create table ratchet.deployments (
  id uuid primary key,
  agent text not null,
  session_id uuid,
  batch_id uuid not null,                        -- one decision's deployments, in their order
  ordinal integer not null,
  prompt text not null,
  label text not null,
  follow text not null check (follow in ('label', 'latest', 'pinned')),
  state text not null,
  revision bigint not null default 1,
  items jsonb not null,                          -- ids of the items in it
  actor text not null,
  base_version integer not null,
  base_sha256 text not null,
  text text not null,
  sha256 text not null,
  new_version integer,
  reason text,                                   -- why it failed, halted or was rolled back
  planned_at timestamptz not null,
  live_at timestamptz,
  seen_at timestamptz,
  ended_at timestamptz,
  verdict jsonb,
  rollback jsonb,                                -- {actor, reason}: taking it back was decided and is to be done;
                                                 -- with `failed`: it could not be done, and why
  worker text,
  lease_until timestamptz
);
-- One at a time for a prompt, on its way there or back.
create unique index deployments_one_at_a_time on ratchet.deployments (agent, prompt)
  where state in ('planned', 'publishing', 'published', 'verifying')
    or state in ('live', 'seen') and rollback is not null and not rollback ? 'failed';
create unique index deployments_by_batch on ratchet.deployments (batch_id, ordinal);
create index deployments_by_time on ratchet.deployments (agent, planned_at desc);

-- Each step of a deployment, written before and after it is done.
create table ratchet.deployment_steps (
  deployment_id uuid not null references ratchet.deployments (id),
  seq integer not null,
  at timestamptz not null,
  step text not null,
  phase text not null check (phase in ('before', 'after', 'failed')),
  detail jsonb not null default '{}',
  primary key (deployment_id, seq)
);

-- The local registry.
create table ratchet.prompt_versions (
  agent text not null,
  prompt text not null,
  version integer not null,
  text text not null,
  sha256 text not null,
  commit_message text not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  deployment_id uuid unique,
  primary key (agent, prompt, version)
);
create table ratchet.prompt_labels (
  agent text not null,
  prompt text not null,
  label text not null,
  version integer not null,
  moves bigint not null default 1,               -- how often it was put somewhere: a label that left and came back shows
  moved_at timestamptz not null,
  primary key (agent, prompt, label),
  foreign key (agent, prompt, version) references ratchet.prompt_versions (agent, prompt, version)
);

-- What must be said: neutral; channels render it.
create table ratchet.notices (
  id bigint generated always as identity primary key,
  agent text not null,
  kind text not null,
  session_id uuid,
  actor text,
  body jsonb not null,
  created_at timestamptz not null
);
create index notices_by_agent on ratchet.notices (agent, id);

-- The one table of transitions.
create table ratchet.transitions (
  record text not null,
  from_state text not null,
  to_state text not null,
  primary key (record, from_state, to_state)
);
insert into ratchet.transitions (record, from_state, to_state) values
  ('session', 'pending', 'decided'),
  ('session', 'pending', 'superseded'),
  ('session', 'pending', 'skipped'),
  ('session', 'pending', 'expired'),
  ('session', 'decided', 'pending'),             -- what was removed is restored, and nothing had been deployed
  ('item', 'open', 'removed'),
  ('item', 'open', 'approved'),
  ('item', 'open', 'stale'),
  ('item', 'open', 'muted'),
  ('item', 'open', 'done'),
  ('item', 'open', 'wont_fix'),
  ('item', 'open', 'intended'),
  ('item', 'removed', 'open'),
  ('item', 'removed', 'muted'),
  ('item', 'muted', 'open'),
  ('item', 'done', 'open'),
  ('item', 'wont_fix', 'open'),
  ('item', 'intended', 'open'),
  ('item', 'approved', 'deployed'),
  ('item', 'approved', 'failed'),
  ('item', 'approved', 'stale'),
  ('item', 'deployed', 'failed'),
  ('deployment', 'planned', 'publishing'),
  ('deployment', 'planned', 'halted'),
  ('deployment', 'planned', 'failed'),
  ('deployment', 'publishing', 'published'),
  ('deployment', 'publishing', 'halted'),
  ('deployment', 'publishing', 'failed'),
  ('deployment', 'published', 'verifying'),
  ('deployment', 'published', 'halted'),
  ('deployment', 'published', 'failed'),
  ('deployment', 'verifying', 'live'),
  ('deployment', 'verifying', 'halted'),
  ('deployment', 'verifying', 'failed'),
  ('deployment', 'live', 'seen'),
  ('deployment', 'live', 'rolled_back'),
  ('deployment', 'seen', 'rolled_back');

do $$
declare
  owned text;
begin
  for owned in select tablename from pg_tables where schemaname = 'ratchet' loop
    execute format('alter table ratchet.%I enable row level security', owned);
  end loop;
end $$;

-- What waits or was decided, for dashboards: read-only, because it joins. It runs with its owner's rights, so
-- nobody reads it but the service role.
create view public.optimization_sessions as
select session.id, session.agent, session.environment, session.since, session.until, session.state as status,
  session.created_at, session.expires_at, session.decided_at,
  (select coalesce(jsonb_agg(jsonb_build_object('n', seat.n, 'id', item.id, 'goal', item.goal, 'type', item.type,
     'title', item.title, 'detail', item.detail, 'facts', item.facts, 'edits', item.edits, 'status', item.state,
     'content_sha256', item.content_sha256) order by seat.n), '[]'::jsonb)
   from ratchet.session_items seat join ratchet.items item on item.id = seat.item_id
   where seat.session_id = session.id) as items,
  session.facts, run.slot
from ratchet.sessions session join ratchet.runs run on run.id = session.run_id;

do $$
declare
  role_name text;
begin
  revoke all on public.optimization_sessions from public;
  foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
    if exists (select from pg_roles where rolname = role_name) then
      execute format('revoke all on public.optimization_sessions from %I', role_name);
    end if;
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select on public.optimization_sessions to service_role;
  end if;
end $$;

insert into ratchet.schema_migrations (version, name) values ('20261120090000', 'schema')
  on conflict do nothing;
