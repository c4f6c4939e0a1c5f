"""The way out: the audit in a file, then everything of ours dropped, and nothing else touched."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import errors, sql

from optimizer.clock import iso
from optimizer.db.address import CONNECT_TIMEOUT_SECONDS, name_of, refused
from optimizer.db.migrate import all_migrations
from optimizer.db.ours import VIEW, tables_of
from optimizer.db.port import Database
from optimizer.errors import DatabaseError, DatabaseUnavailable, FunctionMissing, UsageError

_PAGE = 1000
_LOCK_TIMEOUT = "5s"
_BLOCKED = "RT010"  # what the script says about itself: one sentence, ready to be shown
_UNDER_WAY = """state in ('planned', 'publishing', 'published', 'verifying')
      or state in ('live', 'seen') and rollback is not null and not rollback ? 'failed'"""

_SCRIPT = f"""\
-- Takes Ratchet out of this database: the schema ratchet, the functions public.ratchet_... and the view
-- public.{VIEW}. All or nothing; nothing else is touched.
do $uninstall$
declare
  ours constant text[] := array[{{tables}}];
  known constant text[] := array[{{versions}}];
  exported constant bigint := {{exported}};
  named text;
begin
  if to_regclass('ratchet.schema_migrations') is null then
    raise notice 'Nothing of Ratchet is in this database.';
    return;
  end if;
  perform set_config('lock_timeout', '{_LOCK_TIMEOUT}', true);
  select string_agg(format('ratchet.%I', relname), ', ' order by relname) into named
  from pg_class where relnamespace = 'ratchet'::regnamespace and relkind = 'r' and relname = any (ours);
  execute 'lock table ' || named || ' in access exclusive mode';
  if exists (select from ratchet.schema_migrations where version <> all (known)) then
    raise exception using errcode = '{_BLOCKED}', message =
      'The schema is newer than this release; uninstall with the release that migrated it: nothing was dropped.';
  end if;
  if exists (select from ratchet.deployments where {_UNDER_WAY}) then
    raise exception using errcode = '{_BLOCKED}', message =
      'A deployment is on its way there or back; wait until it has ended, or stop it in the chat: nothing was dropped.';
  end if;
  if (select count(*) from ratchet.decisions) <> exported then
    raise exception using errcode = '{_BLOCKED}', message =
      'The audit is not the one that was exported; export it again, into another file: nothing was dropped.';
  end if;

  -- Ours is a view over our tables; a relation of somebody else's by that name stays.
  select string_agg(format('drop view public.%I', c.relname), '; ') into named
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname = '{VIEW}' and c.relkind = 'v'
    and exists (select from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid
                where r.ev_class = c.oid and t.relnamespace = 'ratchet'::regnamespace);
  if named is not null then
    execute named;
  end if;
  -- Every function of ours pins its search path, with temporary tables last.
  select string_agg(p.oid::regprocedure::text, ', ') into named from pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.proname like 'ratchet\\_%'
    and exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*, pg_temp$');
  if named is not null then
    execute 'drop function ' || named;
  end if;
  select string_agg(format('ratchet.%I', relname), ', ') into named
  from pg_class where relnamespace = 'ratchet'::regnamespace and relkind = 'r' and relname = any (ours);
  execute 'drop table ' || named;
  select string_agg(p.oid::regprocedure::text, ', ') into named from pg_proc p
  where p.pronamespace = 'ratchet'::regnamespace
    and exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*, pg_temp$');
  if named is not null then
    execute 'drop function ' || named;
  end if;
  drop schema ratchet;  -- not while anything of somebody else's is in it
end $uninstall$;
"""

_ROWS = "select agent, seq, at, body, sha256, prev_sha256 from ratchet.decisions order by agent, seq"
_COUNTS = """
select (select count(*) from ratchet.agents), (select count(*) from ratchet.traces),
       (select count(*) from ratchet.prompt_versions), (select count(*) from ratchet.decisions)
"""


@dataclass(frozen=True)
class Installed:
    """What of ours a database holds."""

    where: str
    agents: int
    traces: int
    prompt_versions: int
    decisions: int


def installed(dsn: str) -> Installed | None:
    """None where nothing of ours is there."""
    with _connect(dsn) as connection, _told(name_of(dsn)):
        if not _is_there(connection):
            return None
        counts = connection.execute(_COUNTS).fetchone()
        assert counts is not None
        return Installed(name_of(dsn), *counts)


def uninstall(dsn: str, export: Path) -> int | None:
    """Exports the audit, drops what is ours, and returns the exported rows; None where nothing of ours was there.

    One transaction, with our tables locked: what is exported is all there ever was, and when something is refused
    everything stays and the file is gone again. Raises `UsageError` where the file exists, `DatabaseError` with what
    stands in the way: a deployment under way, or what belongs to somebody else and depends on ours.
    """
    where = name_of(dsn)
    with _connect(dsn) as connection, _told(where), connection.transaction():
        if not _is_there(connection):
            return None
        connection.execute("select set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        # The same tables in the same order as the script locks them; there it costs nothing any more.
        tables = sql.SQL(", ").join(sql.Identifier("ratchet", name) for name in _tables_there(connection))
        connection.execute(sql.SQL("lock table {} in access exclusive mode").format(tables))
        with _exported_to(export) as file:
            with connection.cursor("audit") as rows:
                rows.itersize = _PAGE
                exported = _write(file, (_row(*row) for row in rows.execute(_ROWS)))
            connection.execute(as_script(exported).encode())
    return exported


async def export_audit(database: Database, export: Path) -> int | None:
    """The same file through the port, where nothing can be dropped; None where nothing of ours is there."""
    try:
        agents = await database.call("agents_list")
    except FunctionMissing:
        return None
    with _exported_to(export) as file:
        exported = 0
        for agent in sorted(row["agent"] for row in agents):
            after = 0
            while rows := (await database.call("decisions_page", agent=agent, after=after, limit=_PAGE))["rows"]:
                exported += _write(file, ({"agent": agent, **row} for row in rows))
                after = rows[-1]["seq"]
        return exported


def as_script(exported: int) -> str:
    """The script that drops what is ours, if the audit still has as many rows as were exported."""
    migrations = all_migrations()
    return _SCRIPT.format(
        tables=", ".join(f"'{name}'" for name in tables_of(migration.sql for migration in migrations)),
        versions=", ".join(f"'{migration.version}'" for migration in migrations),
        exported=exported,
    )


def _is_there(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regclass('ratchet.schema_migrations') is not null").fetchone()
    return row is not None and bool(row[0])


def _tables_there(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select relname from pg_class where relnamespace = 'ratchet'::regnamespace and relkind = 'r'"
        " and relname = any (%s) order by relname",
        (list(tables_of(migration.sql for migration in all_migrations())),),
    )
    return [row[0] for row in rows]


def _row(agent: str, seq: int, at: Any, body: str, sha256: str, prev_sha256: str) -> dict[str, Any]:
    moment = iso(at.astimezone(UTC))
    return {"agent": agent, "seq": seq, "at": moment, "body": body, "sha256": sha256, "prev_sha256": prev_sha256}


def _write(file: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    written = 0
    for row in rows:
        file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
        written += 1
    return written


@contextmanager
def _exported_to(path: Path) -> Iterator[IO[str]]:
    """A new file, on the disk for good before anything is dropped; gone again where the database refused."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(f"{str(path)!r} is there already; name a file that is not, for the audit.") from error
    try:
        with file:
            yield _Synced(file)
    except BaseException as error:
        # Without an answer from the server nobody knows whether it dropped everything: then the file stays.
        if not (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        raise
