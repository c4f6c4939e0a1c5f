"""An owner's project beside ours, over every way into a database and on the embedded one alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from optimizer.db.port import Database
from tests.contract.owner_tables.beside import Beside
from tests.journey.owners import Owner
from tests.plugins.transports import Transport


@pytest.fixture
def owner(dsn: str) -> Iterator[Owner]:
    owner = Owner(dsn)
    yield owner
    owner.close()


@pytest.fixture
def beside(database: Database, owner: Owner) -> Beside:
    return Beside(database, owner)


@pytest.fixture
async def everywhere(transport: Transport) -> AsyncIterator[Beside]:
    """The same over psycopg, an old server, a pooler and Supabase's API."""
    owner = Owner(transport.project.owner_dsn if transport.project else transport.dsn)
    yield Beside(await transport.open(), owner)
    owner.close()
