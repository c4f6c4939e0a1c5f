"""What the rollups say equals what plain Python counts, whichever way the traces came in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all
from optimizer.records.facts import Measures
from optimizer.records.window import Window
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore, Written
from tests.contract.observe.counting import Key, Line, count
from tests.contract.observe.lines import DAY, NOW, batches

ALL_TIME = Window(since=DAY - timedelta(days=1), until=NOW)
# Every example is an agent of its own in the test's database.
examples = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Store:
    """One agent's traces and rollups."""

    def __init__(self, database: PostgresDatabase) -> None:
        self.agent = uuid4().hex
        self.traces, self.rollups = TraceStore(database), RollupStore(database)

    async def put(self, lines: Sequence[Line]) -> Written:
        traces = [normalise(line, now=NOW)[1] for line in lines]
        return await self.traces.put(self.agent, traces, at=NOW)

    async def read(self, window: Window = ALL_TIME) -> Measures:
        await fold_all(self.rollups, self.agent)
        return await self.rollups.read(self.agent, window)


async def folded_at_once(database: PostgresDatabase, lines: Sequence[Line]) -> Measures:
    store = Store(database)
    await store.put(lines)
    return await store.read()


def assert_equal(measures: Measures, counted: dict[Key, tuple[int, float, float, float]]) -> None:
    ours = {
        key: (row.n, row.total, row.total_sq, row.largest)
        for key, row in measures.rows.items()
        if key[0] not in ("tool.error_signature", "first_tokens_in", "first_characters", "repeated_text")
    }
    assert ours.keys() == counted.keys()
    for key, row in counted.items():
        assert ours[key] == pytest.approx(row, rel=1e-9, abs=1e-9), key


@examples
@given(lines=batches())
async def test_a_fold_equals_an_independent_count(database: PostgresDatabase, lines: list[Line]) -> None:
    assert_equal(await folded_at_once(database, lines), count(lines, ALL_TIME.since, ALL_TIME.until))


@examples
@given(lines=batches(), minutes=st.tuples(st.integers(0, 4400), st.integers(1, 4400)))
async def test_partial_hours_at_the_edges_are_exact(
    database: PostgresDatabase, lines: list[Line], minutes: tuple[int, int]
) -> None:
    since = DAY + timedelta(minutes=minutes[0], seconds=17)
    window = Window(since=since, until=since + timedelta(minutes=minutes[1]))
    store = Store(database)
    await store.put(lines)
    assert_equal(await store.read(window), count(lines, window.since, window.until))


@examples
@given(lines=batches(), data=st.data())
async def test_growing_traces_in_any_order_give_the_same_rollups(
    database: PostgresDatabase, lines: list[Line], data: st.DataObject
) -> None:
    pieces = list(lines)
    for line in lines:
        events: list[Any] = line["events"]
        cut = data.draw(st.integers(0, len(events)))
        while 0 < cut < len(events) and events[cut]["type"] == "tool_result":
            cut -= 1
        pieces.append({**line, "events": events[:cut]})
    store = Store(database)
    for piece in data.draw(st.permutations(pieces)):
        await store.put([piece])
        if data.draw(st.integers(0, 4)) == 0:
            await store.rollups.fold(store.agent, hours_max=data.draw(st.integers(1, 3)))
    assert await store.read() == await folded_at_once(database, lines)


@examples
@given(lines=batches())
async def test_the_same_lines_again_change_nothing(database: PostgresDatabase, lines: list[Line]) -> None:
    store = Store(database)
    await store.put(lines)
    before = await store.read()
    assert await store.put([*lines, *lines]) == Written(new=0, grown=0, rated=0, known=2 * len(lines))
    assert await store.rollups.queued(store.agent, ALL_TIME) == 0
    assert await store.read() == before


async def test_two_folders_and_two_importers_at_once_lose_nothing(database: PostgresDatabase) -> None:
    lines = [_short_line(number) for number in range(240)]
    store = Store(database)
    done = asyncio.Event()

    async def take_in(part: list[Line]) -> None:
        for number in range(0, len(part), 6):
            await store.put(part[number : number + 6])
            # The same traces grow while the folders work on their hours.
            await store.put([_grown(line) for line in part[number : number + 6]])

    async def fold() -> None:
        while not done.is_set():
            await store.rollups.fold(store.agent, hours_max=2)

    folders = [asyncio.create_task(fold()) for _ in range(2)]
    await asyncio.gather(take_in(lines), take_in(lines[::-1]))
    done.set()
    await asyncio.gather(*folders)
    grown = [_grown(line) for line in lines]
    measures = await store.read()
    assert_equal(measures, count(grown, ALL_TIME.since, ALL_TIME.until))
    assert measures == await folded_at_once(database, grown)


def _short_line(number: int) -> Line:
    started_at = DAY + timedelta(minutes=7 * number)
    call = {"type": "tool_call", "t_ms": 10, "name": "search", "call_id": "a"}
    return {
        "session_id": f"s{number % 40}",
        "trace_id": f"t{number}",
        "started_at": started_at.isoformat(),
        "model": "gpt-4.1",
        "events": [call],
    }


def _grown(line: Line) -> Line:
    result = {
        "type": "tool_result",
        "t_ms": 30,
        "name": "search",
        "call_id": "a",
        "ok": False,
        "latency_ms": 20,
    }
    return {**line, "events": [*line["events"], result], "outcome": {"success": True}}


@pytest.mark.parametrize("idle_minutes", [359, 361])
async def test_six_idle_hours_part_agent_sessions(database: PostgresDatabase, idle_minutes: int) -> None:
    first, second = _short_line(0), _short_line(1)
    second["session_id"] = first["session_id"]
    later: datetime = DAY + timedelta(minutes=idle_minutes)
    second["started_at"] = later.isoformat()
    measures = await folded_at_once(database, [second, first])
    assert measures.get("sessions").n == (1 if idle_minutes < 360 else 2)


async def test_a_trace_in_between_joins_two_agent_sessions(database: PostgresDatabase) -> None:
    store = Store(database)
    lines = [_short_line(0), _short_line(1), _short_line(2)]
    for line, hours in zip(lines, (0, 10, 5), strict=True):
        line |= {"session_id": "one", "started_at": (DAY + timedelta(hours=hours)).isoformat()}
    await store.put(lines[:2])
    assert (await store.read()).get("sessions").n == 2
    await store.put(lines[2:])
    assert (await store.read()).get("sessions").n == 1


async def test_a_long_trace_keeps_its_agent_session_open_past_a_short_one(database: PostgresDatabase) -> None:
    lines = [_short_line(0), _short_line(1), _short_line(2)]
    for line, hours in zip(lines, (0, 1, 21), strict=True):
        line |= {"session_id": "one", "started_at": (DAY + timedelta(hours=hours)).isoformat()}
    lines[0]["events"] = [{"type": "user_message", "t_ms": 20 * 3600 * 1000, "text": "still there?"}]
    assert (await folded_at_once(database, lines)).get("sessions").n == 1


@pytest.mark.parametrize("moved", [{"session_id": "two"}, {"started_at": (DAY + timedelta(hours=3)).isoformat()}])
async def test_a_trace_that_grows_elsewhere_leaves_nothing_behind(
    database: PostgresDatabase, moved: dict[str, str]
) -> None:
    store = Store(database)
    lines = [_short_line(0), _short_line(1)]
    for line, hours in zip(lines, (0, 1), strict=True):
        line |= {"session_id": "one", "started_at": (DAY + timedelta(hours=hours)).isoformat()}
    await store.put(lines)
    await store.read()
    grown = [_grown({**lines[0], **moved}), lines[1]]
    assert (await store.put(grown)).grown == 1
    assert await store.read() == await folded_at_once(database, grown)


async def test_an_hour_that_changes_while_it_is_folded_is_folded_again(database: PostgresDatabase, dsn: str) -> None:
    store = Store(database)
    line = _short_line(0)
    await store.put([line])
    async with await psycopg.AsyncConnection.connect(dsn) as folder:
        await folder.execute("select public.ratchet_rollups_fold(%s, 10)", [store.agent])
        putting = asyncio.create_task(store.put([_grown(line)]))
        waits = "select exists (select from pg_locks where not granted)"
        for _ in range(1000):
            if putting.done() or await (await folder.execute(waits)).fetchone() == (True,):
                break
            await asyncio.sleep(0.01)
    # The folder has committed what it saw before the trace grew.
    await putting
    assert await store.rollups.queued(store.agent, ALL_TIME) == 1
    assert (await store.read()).get("tool.errors").total == 1
