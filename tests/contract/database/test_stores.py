"""What the stores write one way is the same record by every way: traces, rollups, sessions, decisions, deployments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from optimizer.db.port import Database
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all
from optimizer.records.base import canonical_json
from optimizer.records.facts import Measures
from optimizer.records.window import Window
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.journey import hotel
from tests.journey.world import AGENT, DAY, START, World
from tests.plugins.transports import Transport

WHOLE = Window(since=START - DAY, until=START + 2 * DAY)
# Every type that JSON has, or that has one form as its text: over an API an argument has no other type.
TYPES = {"bigint", "boolean", "double precision", "integer", "jsonb", "text", "timestamp with time zone", "uuid"}


@pytest.fixture
async def port(transport: Transport) -> Database:
    return await transport.open()


@pytest.fixture
async def direct(transport: Transport) -> AsyncIterator[PostgresDatabase]:
    """The same database without any detour."""
    database = PostgresDatabase(transport.dsn, connections_max=1)
    await database.open()
    yield database
    await database.close()


async def test_what_a_story_left_reads_the_same_by_every_way(port: Database, direct: PostgresDatabase) -> None:
    world = await World.begin(port)
    await world.day()
    await world.run()
    await world.approve(await world.number("House_rules"))
    reads: dict[str, dict[str, Any]] = {
        "agents_list": {},
        "traces_newest": {"agent": AGENT},
        "traces_first": {"agent": AGENT, "since": WHOLE.since, "until": WHOLE.until},
        "rollups_read": {"agent": AGENT, "since": START, "until": world.clock.now()},
        "runs_newest": {"agent": AGENT},
        "sessions_newest": {"agent": AGENT},
        "decisions_newest": {"agent": AGENT, "limit": 10},
        "decisions_page": {"agent": AGENT, "after": 0, "limit": 100},
        "deployments_newest": {"agent": AGENT, "limit": 10},
        "notices_after": {"agent": AGENT, "after": 0, "limit": 100},
        "prompts_current": {"agent": AGENT, "prompt": "core", "label": "prod"},
        "prompts_history": {"agent": AGENT, "prompt": "core", "limit": 10},
    }
    for function, arguments in reads.items():
        answer = await port.call(function, **arguments)
        assert answer, f"{function} finds nothing, so it shows nothing"
        assert canonical_json(answer) == canonical_json(await direct.call(function, **arguments)), function
    assert await world.chain_holds()


async def test_traces_that_come_in_pieces_and_twice_are_folded_alike(
    port: Database, database: PostgresDatabase
) -> None:
    """The embedded server is the measure: one fold of everything there equals many small ones here."""
    lines = list(hotel.day_of_traffic(hotel.PROMPTS, {"core": 1, "house_rules": 1}, START, sessions=60))
    traces = [normalise(line, now=WHOLE.until)[1] for line in lines]
    pieces = [normalise({**line, "events": line["events"][:3]}, now=WHOLE.until)[1] for line in reversed(lines)]

    async def measured(store: Database, *batches: list[Any]) -> Measures:
        for batch in batches:
            await TraceStore(store).put("a", batch, at=WHOLE.until)
        rollups = RollupStore(store)
        while (await rollups.fold("a", hours_max=5)).left:
            pass
        return await rollups.read("a", WHOLE)

    assert await measured(port, pieces, traces[:40], traces, traces) == await measured(database, traces)


async def test_several_folders_at_once_fold_every_hour(port: Database) -> None:
    lines = hotel.day_of_traffic(hotel.PROMPTS, {"core": 1, "house_rules": 1}, START, sessions=48)
    await TraceStore(port).put("a", [normalise(line, now=WHOLE.until)[1] for line in lines], at=WHOLE.until)
    rollups = RollupStore(port)
    assert await asyncio.gather(*(fold_all(rollups, "a") for _ in range(3))) == [0, 0, 0]
    assert await rollups.queued("a", WHOLE) == 0
    assert (await rollups.read("a", WHOLE)).get("sessions").n == 48


def test_every_function_can_be_called_over_an_api(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        functions = connection.execute(
            "select proname, prorettype::regtype::text, proretset, prosecdef,"
            "  array(select t::regtype::text from unnest(proargtypes) t)"
            " from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " where n.nspname = 'public' and proname like 'ratchet\\_%'"
        ).fetchall()
    names = [name for name, *_ in functions]
    assert len(names) == len(set(names)), "two functions of one name cannot be told apart"
    for name, returned, is_set, runs_as_owner, arguments in functions:
        assert (returned, is_set, runs_as_owner) == ("jsonb", False, True), name
        assert set(arguments) <= TYPES, name
