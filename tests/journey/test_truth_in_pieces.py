"""The truth stays the truth when the same traces come in pieces, out of order, twice, and are counted in between."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.declare import read_tools
from optimizer.observe.ingest import import_file
from optimizer.observe.snapshot import take_snapshot
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
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

pytestmark = pytest.mark.shared_data("traces")


def begun(line: dict[str, Any], events: int) -> dict[str, Any]:
    """The trace as it was after its first events: nobody had judged it yet."""
    return {name: value for name, value in line.items() if name != "outcome"} | {"events": line["events"][:events]}


@pytest.mark.parametrize("run", RUNS)
async def test_pieces_in_any_order_and_twice_make_the_same_facts(
    run: str, database: PostgresDatabase, tmp_path: Path
) -> None:
    lines, chance = runs()[run], random.Random(run)
    pieces = [begun(line, chance.randrange(len(line["events"]) + 1)) for line in lines]
    pieces += lines + chance.sample(lines, len(lines) // 2)
    chance.shuffle(pieces)
    agents, rollups, agent = AgentStore(database), RollupStore(database), run.replace("/", "-")
    part = len(pieces) // 3 + 1
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in pieces[number * part : (number + 1) * part]))
        clock = ManualClock(NOW + timedelta(hours=number))
        *_, report = [step async for step in import_file(path, TraceStore(database), clock, agent=agent)]
        assert report.refused_count == 0
        await rollups.fold(agent, hours_max=20)
        await rollups.fold_days(agent, days_max=2)
    await agents.register(agent, at=NOW, tools=read_tools(SHARED_TRACES / lines[0]["tools_file"]))
    snapshot = await take_snapshot(agents, rollups, agent, WHOLE_TIME, exact=True, prompts={})
    dev = truth()[run]["dev"]
    check_sessions(snapshot, dev)
    check_repeats(snapshot, dev)
    check_tools(snapshot, dev)
    check_tokens_and_cost(snapshot, dev)
