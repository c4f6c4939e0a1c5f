"""Migrations: dated SQL files, forward only, each ending by writing itself into our own ledger."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from optimizer.db.address import connect, name_of
from optimizer.db.ours import REFUSE_STRANGERS, refuse_strangers
from optimizer.db.port import Database
from optimizer.errors import DatabaseError, DatabaseUnavailable, FunctionMissing, SchemaTooOld, UsageError

# PostgREST, where there is one, knows functions only from its schema cache.
_RELOAD = "notify pgrst, 'reload schema'"
# A lock that somebody's long query holds must not stop the whole database behind us.
_LOCK_TIMEOUT = "set local lock_timeout = '5s'"
_LOCK_KEY = 7_305_219_443  # any number of ours: one migrator at a time


@dataclass(frozen=True)
class Migration:
    version: str  # YYYYMMDDHHMMSS
    name: str
    path: Path

    @property
    def sql(self) -> str:
        return self.path.read_text(encoding="utf-8")


def migrations_folder() -> Path:
    """Beside the package in a checkout, inside it in an installed wheel."""
    installed = Path(__file__).with_name("migrations")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


def all_migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """Every migration, oldest first."""
    found: list[Migration] = []
    for path in sorted((folder or migrations_folder()).glob("*.sql")):
        version, _, name = path.stem.partition("_")
        found.append(Migration(version, name, path))
    return tuple(found)


async def missing(database: Database) -> tuple[Migration, ...]:
    """What the database has not seen, asked through the port."""
    try:
        applied = set(await database.call("schema_versions"))
    except FunctionMissing:
        applied = set[str]()
    return tuple(migration for migration in all_migrations() if migration.version not in applied)


async def require_current(database: Database) -> None:
    """Raises `SchemaTooOld` with the command that mends it. A newer schema is fine: releases overlap."""
    behind = await missing(database)
    if behind:
        raise SchemaTooOld(
            f"The database schema is {len(behind)} migration(s) behind (next: {behind[0].path.name}); "
            "run `ratchet migrate`."
        )


def apply(dsn: str) -> tuple[Migration, ...]:
    """Applies what is missing, each file in its own transaction, and returns it. Several callers at once are safe."""
    where = name_of(dsn)
    known = all_migrations()
    done: list[Migration] = []
    try:
        with connect(dsn) as connection:
            for migration in known:
                with connection.transaction():
                    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
                    connection.execute(_LOCK_TIMEOUT)
                    if _applied(connection, migration.version):
                        continue
                    if migration is known[0]:
                        refuse_strangers(connection)
                    connection.execute(migration.sql.encode())
                    connection.execute(_RELOAD)
                    done.append(migration)
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            raise DatabaseUnavailable(
                f"The database {where} went away during a migration, which was undone; run `ratchet migrate` again."
            ) from error
        reason = (error.diag.message_primary or str(error)).splitlines()[0]
        raise DatabaseError(
            f"A migration failed and was undone ({reason}); mend that, then run `ratchet migrate` again."
        ) from error
    return tuple(done)


def start_over(dsn: str) -> None:
    """Drops the database that `dsn` names, whoever is connected to it, and makes it anew, migrated: for the demo."""
    name = conninfo_to_dict(dsn)["dbname"]
    with connect(make_conninfo(dsn, dbname="postgres")) as connection:
        database = sql.Identifier(str(name))
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(database))
        connection.execute(sql.SQL("create database {}").format(database))
    apply(dsn)


def _applied(connection: psycopg.Connection, version: str) -> bool:
    ledger = connection.execute("select to_regclass('ratchet.schema_migrations')").fetchone()
    if ledger is None or ledger[0] is None:
        return False
    row = connection.execute("select 1 from ratchet.schema_migrations where version = %s", (version,)).fetchone()
    return row is not None


def copy_into(folder: Path) -> tuple[Path, ...]:
    """Copies the files into the owner's own migrations folder; returns those that were new there."""
    if not folder.is_dir():
        raise UsageError(f"{str(folder)!r} is not a folder; name the folder that holds your migrations.")
    copied: list[Path] = []
    for migration in all_migrations():
        target = folder / migration.path.name
        if not target.exists():
            shutil.copyfile(migration.path, target)
            copied.append(target)
    return tuple(copied)


def as_script(migrations: tuple[Migration, ...]) -> str:
    """One script to paste into an SQL editor."""
    first = all_migrations()[0]
    files = [
        f"begin;\n{_LOCK_TIMEOUT};\n{REFUSE_STRANGERS if one == first else ''}{one.sql.rstrip()}\ncommit;\n"
        for one in migrations
    ]
    return "\n".join([*files, f"{_RELOAD};\n"])
