"""Every way into a database: what holds for the port is tested over each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from optimizer.db.port import Database
from optimizer.db.postgres import PostgresDatabase
from optimizer.db.supabase import SupabaseDatabase
from tests.plugins.supabase import SupabaseProject


@dataclass
class Transport:
    """One way into a fresh, migrated database."""

    name: str
    dsn: str  # the same database without any detour, as the superuser
    make: Callable[..., PostgresDatabase | SupabaseDatabase]
    project: SupabaseProject | None = None
    opened: list[Database] = field(default_factory=list[Database])

    async def open(self, **options: Any) -> Database:
        """The port, with options of its constructor; closed with the test."""
        database = self.make(**{"connections_max": 4, **options})
        await database.open()
        self.opened.append(database)
        return database


def _embedded(request: pytest.FixtureRequest) -> Transport:
    dsn = request.getfixturevalue("dsn")
    return Transport("embedded", dsn, lambda **options: PostgresDatabase(dsn, **options))


def _postgres_15(request: pytest.FixtureRequest) -> Transport:
    dsn = request.getfixturevalue("postgres_15_dsn")
    return Transport("PostgreSQL 15", dsn, lambda **options: PostgresDatabase(dsn, **options))


def _pooled(request: pytest.FixtureRequest) -> Transport:
    dsn, pooled = request.getfixturevalue("dsn"), request.getfixturevalue("pooled_dsn")
    return Transport("pgbouncer", dsn, lambda **options: PostgresDatabase(pooled, **options))


def _supabase(request: pytest.FixtureRequest) -> Transport:
    project: SupabaseProject = request.getfixturevalue("project")
    return Transport(
        "Supabase", project.dsn, lambda **options: SupabaseDatabase(project.url, project.key, **options), project
    )


_WAYS = {"embedded": _embedded, "postgres_15": _postgres_15, "pgbouncer": _pooled, "supabase": _supabase}


@pytest.fixture(params=_WAYS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    way = _WAYS[request.param](request)
    yield way
    for database in way.opened:
        await database.close()
