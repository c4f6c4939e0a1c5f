"""What the benchmark of size stands on: its traffic is what an import would store, and two counts of it agree."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.parse import parse_line
from optimizer.observe.snapshot import fold_all
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.bench.size_plain import plain_pass, require_same
from tests.bench.traffic import AGENT, DECLARED_TOOLS, SINCE, UNTIL, batches, line_of


def test_the_traffic_is_the_same_every_time_and_as_an_import_would_store_it() -> None:
    traces = list(chain.from_iterable(batches(700)))
    assert traces == list(chain.from_iterable(batches(700)))
    assert len({trace["trace_id"] for trace in traces}) == 700
    assert [normalise(parse_line(line_of(trace))[0], now=UNTIL)[1] for trace in traces] == traces


async def test_the_plain_pass_and_the_rollups_count_the_same(dsn: str, database: PostgresDatabase) -> None:
    await AgentStore(database).register(AGENT, at=UNTIL, tools=DECLARED_TOOLS)
    for batch in batches(600):
        await TraceStore(database).put(AGENT, batch, at=UNTIL)
    await fold_all(RollupStore(database), AGENT)
    for window in (Window(since=SINCE, until=UNTIL), Window(since=UNTIL - timedelta(days=7), until=UNTIL)):
        _, plain = plain_pass(dsn, window)
        assert await require_same(dsn, window, plain) > 200
        plain["tools"][0]["errors"] += 1
        with pytest.raises(AssertionError, match="errors: "):
            await require_same(dsn, window, plain)
