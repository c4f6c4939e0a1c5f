-- Somebody's project, before Ratchet: tables that bear the names of ours, with everything that can hang on a table.
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
insert into supabase_migrations.schema_migrations values
  ('20250101000000', array['create table messages ()'], 'first'), ('20250301000000', null, 'second');

create type public.mood as enum ('fine', 'cross');
create domain public.score as numeric check (value between 0 and 1);
create sequence public.tickets start 1000;

create table public.sessions (
  id uuid primary key default gen_random_uuid(),
  name text not null check (length(name) < 100),
  mood public.mood default 'fine',
  created_at timestamptz not null default '2025-01-01Z'
);
create table public.messages (
  id bigint generated always as identity primary key,
  session_id uuid references public.sessions on delete cascade,
  ticket bigint default nextval('public.tickets'),
  role text not null,
  content text,
  tokens integer[] default '{}',
  payload jsonb not null default '{}',
  shouted text generated always as (upper(content)) stored
);
create table public.outbox (id bigint primary key, body jsonb, done boolean default false);
create table public.observability_traces (id bigint primary key, session_id text, payload jsonb, created_at timestamptz);
-- Named like functions of ours, and like tables of ours.
create table public.ratchet_sessions_newest (id integer primary key, note text);
create table public.traces (id integer primary key);
create table public.schema_migrations (version text primary key);

create index messages_by_session on public.messages (session_id) include (role) where content is not null;
create index messages_by_payload on public.messages using gin (payload);
create unique index sessions_by_lower_name on public.sessions (lower(name));
create statistics public.messages_together (dependencies) on session_id, role from public.messages;

insert into public.sessions (id, name, mood)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'session ' || n, (array['fine', 'cross'])[1 + n % 2]::public.mood
from generate_series(1, 50) n;
insert into public.messages (session_id, role, content, payload)
select ('00000000-0000-4000-8000-' || lpad((1 + n % 50)::text, 12, '0'))::uuid, 'user', 'hello '' " \ ' || n, jsonb_build_object('n', n)
from generate_series(1, 500) n;
insert into public.outbox values (1, '{"a": 1}', false), (2, null, true);
insert into public.ratchet_sessions_newest values (1, 'ours, not yours');
insert into public.observability_traces values (1, 's', '{"events": []}', '2025-01-01Z');

create function public.touch() returns trigger language plpgsql as $$ begin new.body := new.body; return new; end $$;
create trigger outbox_touch before update on public.outbox for each row execute function public.touch();
create function public.wrench(p_turns integer) returns integer language sql as $$ select p_turns $$;
create view public.loud_messages with (security_invoker = on) as select id, shouted from public.messages;
create materialized view public.counted as select count(*) as n from public.messages;
create rule outbox_stays as on delete to public.outbox do instead nothing;

alter table public.messages enable row level security;
alter table public.sessions enable row level security, force row level security;
create policy mine on public.messages for select to authenticated using (role = 'user');
create policy everyone on public.sessions as restrictive to anon using (true) with check (mood = 'fine');

comment on table public.messages is 'What people said';
comment on column public.messages.content is 'It''s foreign';
comment on function public.touch() is 'Touches';
comment on schema public is 'the owner''s own words';

grant select, insert on public.messages to authenticated;
grant select (id, name) on public.sessions to anon;
grant all on public.outbox to service_role with grant option;
grant execute on function public.touch() to anon;
revoke execute on function public.wrench(integer) from public;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges grant select on tables to anon;

create publication theirs for table public.messages, public.outbox;
