"""An owner's project: tables as in the wild, with everything that must be the same afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import psycopg

SCHEMA = """
create table public.observability_traces (
  id uuid primary key,
  session_id text not null,
  cost numeric,
  tokens jsonb,
  steps integer,
  model text,
  success boolean,
  payload jsonb,
  started_at timestamptz,
  created_at timestamptz not null
);
create index observability_traces_by_time on public.observability_traces (created_at);
alter table public.observability_traces enable row level security;
create policy own_rows on public.observability_traces for select using (session_id <> '');
create table public.messages (
  id bigint generated always as identity primary key,
  session_id text not null,
  role text not null,
  content text,
  feedback text,
  created_at timestamptz not null,
  updated_at timestamptz
);
comment on table public.messages is 'What people and the agent said';
create table public.agent_config (key text primary key, value jsonb not null);
create function public.touch() returns trigger language plpgsql as $$
begin
  new.updated_at := new.created_at;
  return new;
end $$;
create trigger touched before insert on public.messages for each row execute function public.touch();
"""
OWNED = ("observability_traces", "messages", "agent_config")

# Everything that the catalogue says about their tables, and their rows, as text.
_DIGEST = """
select string_agg(line, E'\n' order by line) from (
  select format('table %s %s %s %s %s %s %s', c.oid, c.relname, c.relkind, c.relrowsecurity,
                c.relforcerowsecurity, c.relacl, c.reloptions) as line
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname <> 'optimization_sessions'
  union all
  select format('column %s', a) from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'public'::regnamespace and c.relname <> 'optimization_sessions'
  union all
  select format('default %s', d) from pg_attrdef d join pg_class c on c.oid = d.adrelid
  where c.relnamespace = 'public'::regnamespace
  union all
  select format('constraint %s', k) from pg_constraint k where k.connamespace = 'public'::regnamespace
  union all
  select format('index %s', i) from pg_index i join pg_class c on c.oid = i.indrelid
  where c.relnamespace = 'public'::regnamespace
  union all
  select format('trigger %s', t) from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where c.relnamespace = 'public'::regnamespace
  union all
  select format('policy %s', p) from pg_policy p
  union all
  select format('function %s %s', p.oid, pg_get_functiondef(p.oid)) from pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.proname not like 'ratchet\\_%'
  union all
  select format('comment %s', d)
  from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
  where c.relnamespace = 'public'::regnamespace
  union all
  select format('publication %s', p) from pg_publication p
  union all
  select format('schema %s %s', nspname, nspacl) from pg_namespace where nspname = 'public'
) as lines
"""


@dataclass
class Owner:
    """Writes to the tables as the owner's own program does."""

    dsn: str
    connection: psycopg.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        self.connection.execute(SCHEMA.encode())

    def close(self) -> None:
        self.connection.close()

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            names = ", ".join(row)
            places = ", ".join(["%s"] * len(row))
            values = [json.dumps(value) if isinstance(value, dict | list) else value for value in row.values()]
            self.run(f"insert into public.{table} ({names}) values ({places})", *values)

    def digest(self) -> str:
        """The catalogue's words on everything in their schema."""
        return str(self.run(_DIGEST)[0][0])

    def rows_digest(self) -> str:
        texts = [
            self.run(f"select string_agg(t::text, '|' order by t::text) from public.{table} as t")[0][0]
            for table in OWNED
        ]
        return "\n".join(map(str, texts))


def row_id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


def wild_row(line: Mapping[str, Any], created_at: datetime) -> dict[str, Any]:
    """A trace line as the owner's program writes it: other names, a call with its result in one event, ISO times,
    tokens and cost on the row alone.
    """
    started_at = datetime.fromisoformat(line["started_at"])
    results = {event["call_id"]: event for event in line["events"] if event["type"] == "tool_result"}
    events = [_wild(event, started_at, results) for event in line["events"] if event["type"] != "tool_result"]
    sums = {name: _sum(line, name) for name in ("tokens_in", "tokens_out", "cost_usd")}
    tokens = {"input": sums["tokens_in"], "output": sums["tokens_out"]}
    return {
        "id": row_id(line["session_id"]),
        "session_id": line["session_id"],
        "cost": sums["cost_usd"],
        "tokens": {name: value for name, value in tokens.items() if value is not None},
        "steps": len(events),
        "model": line.get("model"),
        "success": (line.get("outcome") or {}).get("success"),
        "payload": {"events": events, "prompt_version": (line.get("system_prompt_sha") or "")[:8]},
        "started_at": started_at,
        "created_at": created_at,
    }


def _wild(event: Mapping[str, Any], started_at: datetime, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    at = started_at + timedelta(milliseconds=event["t_ms"])
    if event["type"] != "tool_call":
        names = {"user_message": "user", "assistant_message": "assistant"}
        wild = {"type": names.get(event["type"], event["type"]), "timestamp": at.isoformat()}
        return wild | ({"content": event["text"]} if "text" in event else {})
    wild = {"type": "tool_use", "tool": event["name"], "timestamp": at.isoformat()}
    if "args" in event:
        wild["input"] = event["args"]
    result = results.get(event.get("call_id", ""))
    if result is not None:
        wild["duration_ms"] = result["t_ms"] - event["t_ms"]
        wild["output"] = result.get("text")
        if not result["ok"]:
            wild["error"] = result.get("error") or result.get("text") or "failed"
    return wild


def _sum(line: Mapping[str, Any], name: str) -> float | None:
    values = [event[name] for event in line["events"] if name in event]
    return sum(values) if values else None
