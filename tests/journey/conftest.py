"""The stories' world, on a fresh database."""

from __future__ import annotations

import pytest

from optimizer.db.port import Database
from tests.journey.world import World


@pytest.fixture
async def world(database: Database) -> World:
    return await World.begin(database)
