"""The way out: the audit in a file, then everything of ours dropped, and nothing else touched."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import errors, sql

from optimizer.clock import iso
from optimizer.db.address import connect, name_of
from optimizer.db.migrate import all_migrations
from optimizer.db.ours import VIEW, tables_of
from optimizer.db.port import Database
from optimizer.errors import DatabaseError, DatabaseUnavailable, FunctionMissing, UsageError

_PAGE = 1000
LOCK_TIMEOUT_SECONDS = 5.0
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
  triggers text;
begin
  if to_regclass('ratchet.schema_migrations') is null then
    raise notice 'Nothing of Ratchet is in this database.';
    return;
  end if;
  perform set_config('lock_timeout', '{LOCK_TIMEOUT_SECONDS:g}s', true);
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
  execute coalesce(named, '');
  -- Every function of ours pins its search path to our schema; another of such a name is somebody else's.
  select string_agg(p.oid::regprocedure::text, ', ') into named from pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.proname like 'ratchet\\_%'
    and 'search_path=pg_catalog, ratchet, pg_temp' = any (p.proconfig);
  execute coalesce('drop function ' || named, '');
  -- Functions may return rows of our tables, and triggers of the tables call functions.
  select string_agg(p.oid::regprocedure::text, ', ') filter (where p.prorettype <> 'trigger'::regtype),
         string_agg(p.oid::regprocedure::text, ', ') filter (where p.prorettype = 'trigger'::regtype)
  into named, triggers from pg_proc p
  where p.pronamespace = 'ratchet'::regnamespace
    and exists (select from unnest(p.proconfig) as setting where setting ~ '^search_path=.*, pg_temp$');
  execute coalesce('drop function ' || named, '');
  execute 'drop table ' || (
    select string_agg(format('ratchet.%I', relname), ', ')
    from pg_class where relnamespace = 'ratchet'::regnamespace and relkind = 'r' and relname = any (ours));
  execute coalesce('drop function ' || triggers, '');
  drop schema ratchet;  -- not while anything of somebody else's is in it
  perform pg_notify('pgrst', 'reload schema');
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
    with connect(dsn) as connection, _told(name_of(dsn)):
        if not _is_there(connection):
            return None
        counts = connection.execute(_COUNTS).fetchone()
        assert counts is not None
        return Installed(name_of(dsn), *counts)


def uninstall(dsn: str, export: Path, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> int | None:
    """Exports the audit, drops what is ours, and returns the exported rows; None where nothing of ours was there.

    One transaction, with our tables locked: what is exported is all there ever was, and when something is refused
    everything stays and the file is gone again. Raises `UsageError` where the file exists, `DatabaseError` with what
    stands in the way: a deployment under way, or what belongs to somebody else and depends on ours.
    """
    where = name_of(dsn)
    with connect(dsn) as connection, _told(where):
        if not _is_there(connection):
            return None
        with _exported_to(export) as file, connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (f"{1000 * lock_timeout_seconds:.0f}ms",))
            # The same tables in the same order as the script locks them; there it costs nothing any more.
            tables = sql.SQL(", ").join(sql.Identifier("ratchet", name) for name in _tables_there(connection))
            connection.execute(sql.SQL("lock table {} in access exclusive mode").format(tables))
            with connection.cursor("audit") as rows:
                rows.itersize = _PAGE
                exported = _write(file, (_row(*row) for row in rows.execute(_ROWS)))
            connection.execute(as_script(exported).encode())
    return exported


async def export_audit(database: Database, export: Path) -> int | None:
    """The same file through the port, where nothing can be dropped; None where nothing of ours is there."""
    try:
        await database.call("schema_versions")
    except FunctionMissing:
        return None
    agents = await database.call("decisions_agents")
    with _exported_to(export) as file:
        exported = 0
        for agent in agents:
            after = 0
            while rows := (await database.call("decisions_page", agent=agent, after=after, limit=_PAGE))["rows"]:
                exported += _write(file, (_row(agent, **row) for row in rows))
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


def _row(agent: str, seq: int, at: datetime | str, body: str, sha256: str, prev_sha256: str) -> dict[str, Any]:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return {"agent": agent, "seq": seq, "at": iso(moment), "body": body, "sha256": sha256, "prev_sha256": prev_sha256}


def _write(file: IO[str], rows: Iterable[dict[str, Any]]) -> int:
    written = 0
    for row in rows:
        file.write(f"{json.dumps(row)}\n")
        written += 1
    file.flush()
    os.fsync(file.fileno())  # nothing is dropped before it lies on the disk
    return written


@contextmanager
def _exported_to(path: Path) -> Generator[IO[str]]:
    """A new file, for its owner's eyes; gone again where the database refused."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{str(path)!r} is there already; name a file that is not, for the audit.") from error
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} cannot be written ({error.strerror}); name a file in a folder that you may write in."
        ) from error
    try:
        with open(handle, "w", encoding="utf-8") as file:
            yield file
    except BaseException as error:
        # Without an answer from the server nobody knows whether it dropped everything: then the file stays.
        if not _no_answer(error):
            path.unlink(missing_ok=True)
        raise


def _no_answer(error: BaseException) -> bool:
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


@contextmanager
def _told(where: str) -> Generator[None]:
    """What the server refused, in one sentence."""
    try:
        yield
    except psycopg.Error as error:
        reason = error.diag.message_primary or str(error).splitlines()[0]
        if _no_answer(error):
            raise DatabaseUnavailable(
                f"The database {where} went away, and may have dropped everything; the audit was exported: look, "
                "then run `ratchet uninstall` again with another file."
            ) from error
        if error.sqlstate == _BLOCKED:
            raise DatabaseError(reason) from error
        if isinstance(error, errors.DependentObjectsStillExist):
            theirs = "; ".join((error.diag.message_detail or reason).splitlines())
            raise DatabaseError(
                f"Something of yours depends on what is to be dropped ({theirs}); change or drop that first: nothing "
                "was dropped."
            ) from error
        if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
            raise DatabaseError(
                f"Something is at work in the database {where} ({reason}); stop what uses Ratchet, then try again: "
                "nothing was dropped."
            ) from error
        raise DatabaseError(f"The database refused to uninstall ({reason}): nothing was dropped.") from error
