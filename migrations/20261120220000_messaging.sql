-- What people say to the bot, and what it has to say to them.

-- A message or a click, as it arrived: acknowledged once it stands here, worked on after that.
create table if not exists ratchet.inbound (
  id bigint generated always as identity primary key,
  channel text not null,                         -- the adapter: slack, twilio, green_api
  vendor_id text not null,                       -- what arrives twice has the same
  chat text not null,
  actor text not null,                           -- channel identity
  message jsonb not null,
  received_at timestamptz not null,
  state text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
  attempts integer not null default 0,
  worker text,
  lease_until timestamptz,
  done_at timestamptz,
  error text,
  unique (channel, vendor_id)
);
create index if not exists inbound_waiting on ratchet.inbound (channel, chat, id) where state = 'waiting';
create index if not exists inbound_queue on ratchet.inbound (id) where state = 'waiting';
create index if not exists inbound_by_chat on ratchet.inbound (channel, chat, received_at desc);
alter table ratchet.inbound enable row level security;

-- One message to one chat: an answer, or a notice told there. Sent in order within its chat.
create table if not exists ratchet.deliveries (
  id uuid primary key,
  position bigint generated always as identity,  -- the order in which they were written
  key text not null unique,                      -- what makes it once: answer:<inbound>:<n>, notice:<id>:<chat>
  agent text not null,
  channel text not null,
  chat text not null,
  thread text,                                   -- the vendor's id of the message that it answers under
  person text,                                   -- whom it is for, where it is for one person
  body jsonb not null,                           -- {card} as it was answered, or {notice} to be told when it is sent
  session_id uuid,                               -- the session that numbers in an answer to it mean
  lists boolean not null default false,          -- it is the session's own message, kept up to date
  shown jsonb,                                   -- item id -> {content_sha256, base_sha256}, as the message shows it
  created_at timestamptz not null,
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'failed', 'moved')),
  attempts integer not null default 0,
  next_at timestamptz not null,                  -- not before
  worker text,
  lease_until timestamptz,
  vendor_ids jsonb not null default '[]',        -- of its parts, in order, as they were sent
  sent_at timestamptz,
  doubt boolean not null default false,          -- a part may have been sent whose id is not written down
  plain_from integer,                            -- how many parts were sent before markup was refused; null: it was not
  status text,                                   -- what the vendor says of it: delivered, read, failed, ...
  status_rank integer not null default 0,
  error text
);
create index if not exists deliveries_waiting on ratchet.deliveries (channel, chat, position) where state = 'waiting';
create index if not exists deliveries_queue on ratchet.deliveries (position) where state = 'waiting';
create index if not exists deliveries_by_session on ratchet.deliveries (session_id) where session_id is not null;
create index if not exists deliveries_by_vendor on ratchet.deliveries using gin (vendor_ids jsonb_path_ops);
alter table ratchet.deliveries enable row level security;

-- Up to which notice each agent's were fanned out to chats.
create table if not exists ratchet.notice_cursors (
  agent text primary key,
  notice_id bigint not null
);
alter table ratchet.notice_cursors enable row level security;

insert into ratchet.schema_migrations (version, name) values ('20261120220000', 'messaging')
  on conflict do nothing;
