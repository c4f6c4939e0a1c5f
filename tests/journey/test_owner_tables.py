"""The owner's own tables, read where they are: the facts are the same, and so are the tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.observe.declare import read_tools
from optimizer.observe.snapshot import take_snapshot
from optimizer.settings import Environment, Settings, parse_values
from optimizer.wiring import Ratchet, wire
from tests.journey.owners import Owner, wild_row
from tests.journey.shared import NOW, SHARED_TRACES, WHOLE_TIME
from tests.journey.test_truth import (
    RUNS,
    check_repeats,
    check_sessions,
    check_tokens_and_cost,
    check_tools,
    runs,
    truth,
)

AGENT = "wild"


@pytest.fixture
def owner(dsn: str) -> Iterator[Owner]:
    owner = Owner(dsn)
    yield owner
    owner.close()


def opened(database: Database, clock: ManualClock, **tables: Any) -> Ratchet:
    tables = tables or {"traces": {"table": "observability_traces", "agent": AGENT}}
    settings = Settings(file=parse_values(tables), environment=Environment())
    return wire(settings, database, clock, lambda agent: People(frozenset(), frozenset()))


def cut(row: dict[str, Any], events: int) -> dict[str, Any]:
    """The row as it was when the run had only begun."""
    return {**row, "success": None, "payload": {**row["payload"], "events": row["payload"]["events"][:events]}}


@pytest.mark.shared_data("traces")
@pytest.mark.parametrize("run", RUNS)
async def test_the_facts_of_a_run_equal_the_truth_in_pieces_out_of_order_grown_and_deleted(
    run: str, database: Database, owner: Owner
) -> None:
    clock, lines, chance = ManualClock(NOW), list(runs()[run]), random.Random(run)
    ratchet = opened(database, clock)
    before = owner.digest()
    chance.shuffle(lines)
    rows = [wild_row(line, NOW - timedelta(minutes=chance.randrange(300))) for line in lines]
    third = len(rows) // 3
    # Some are there from the start, some have only begun, some appear late with an old date.
    owner.insert("observability_traces", [cut(row, 2) for row in rows[:third]])
    owner.insert("observability_traces", rows[third : 2 * third])
    stray = {**rows[-1], "id": "00000000-0000-0000-0000-000000000000", "session_id": "a mistake"}
    owner.insert("observability_traces", [stray])
    assert (await ratchet.owner_tables.pull()).alarms == ()
    for row in rows[:third]:
        owner.run("delete from public.observability_traces where id = %s", row["id"])
    owner.insert("observability_traces", rows[:third])
    owner.insert("observability_traces", rows[2 * third :])
    owner.run("delete from public.observability_traces where session_id = 'a mistake'")
    clock.advance(timedelta(days=1))
    pulled = await ratchet.owner_tables.pull()
    assert (pulled.rows, pulled.gone, pulled.refused) == (len(rows) - third, 1, 0)
    await ratchet.agents.register(AGENT, at=NOW, tools=read_tools(SHARED_TRACES / lines[0]["tools_file"]))
    snapshot = await take_snapshot(ratchet.agents, ratchet.rollups, AGENT, WHOLE_TIME, exact=True, prompts={})
    dev = truth()[run]["dev"]
    check_sessions(snapshot, dev)
    check_repeats(snapshot, dev)
    check_tools(snapshot, dev)
    check_tokens_and_cost(snapshot, dev)
    assert owner.digest() == before
