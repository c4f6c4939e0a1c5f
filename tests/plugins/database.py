"""A real PostgreSQL for tests: one server for the whole run, a fresh migrated database for each test.

The embedded one, and PostgreSQL 15, the oldest that is supported, beside it where a test asks for it.
"""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from scripts.migration import changed
from tests.plugins.real_parts import postgresql_15

TEMPLATE = "ratchet_template"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def server_dsn(shared_folder: Path) -> Iterator[str]:
    """The server that all workers of a run share; its template database is migrated once."""
    with _server(shared_folder / "ratchet-home", None) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def postgres_15_server_dsn(shared_folder: Path) -> Iterator[str]:
    with _server(shared_folder / "postgres-15-home", postgresql_15()) as dsn:
        yield dsn


@contextmanager
def _server(home: Path, programs: Path | None) -> Iterator[str]:
    with open_embedded(home, programs=programs) as server:
        with (home / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _make_quick(server.dsn)
            _make_template(server.dsn)
        yield server.dsn


def _make_quick(dsn: str) -> None:
    """A power failure may take its data, a killed process may not: databases come and go four times faster."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        connection.execute("select pg_reload_conf()")


def _make_template(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", (TEMPLATE,)).rowcount:
            return
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(f"{TEMPLATE}_new")))
        target = with_database(dsn, f"{TEMPLATE}_new")
        migrate.apply(target)
        # Function sources that have no dated migration yet: a test run sees what will be dated.
        with psycopg.connect(target, autocommit=True) as fresh:
            for source in changed().values():
                fresh.execute(source.encode())
        connection.execute(
            sql.SQL("alter database {} rename to {}").format(
                sql.Identifier(f"{TEMPLATE}_new"), sql.Identifier(TEMPLATE)
            )
        )


def with_database(dsn: str, name: str) -> str:
    return make_conninfo(dsn, dbname=name)


@contextmanager
def copy_of(template: str, server_dsn: str, *, owner: str = "postgres") -> Iterator[str]:
    """The address of a copy of a database to which nobody is connected."""
    name = f"test_{uuid4().hex}"
    named = sql.Identifier(name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner {}").format(
                named, sql.Identifier(template), sql.Identifier(owner)
            )
        )
    try:
        yield with_database(server_dsn, name)
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(named))


@pytest.fixture
def dsn(server_dsn: str) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    with copy_of(TEMPLATE, server_dsn) as fresh:
        yield fresh


@pytest.fixture
def postgres_15_dsn(postgres_15_server_dsn: str) -> Iterator[str]:
    with copy_of(TEMPLATE, postgres_15_server_dsn) as fresh:
        yield fresh


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[PostgresDatabase]:
    """The port, open on a fresh database."""
    opened = PostgresDatabase(dsn, connections_max=4)
    await opened.open()
    yield opened
    await opened.close()
