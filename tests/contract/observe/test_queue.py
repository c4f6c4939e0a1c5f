"""Which hours a put queues: every one whose facts it changes, and few others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.contract.observe.lines import DAY, NOW, Line

AGENT = "queued"
# Around what parts agent sessions: six idle hours, and traces that last longer than those.
MINUTES = (0, 1, 30, 359, 360, 361, 400, 800, 1800)
MEASURED = """
select h.hours[m.span], jsonb_agg(to_jsonb(m) - 'span' order by m.name, m.labels)
from (
  select array_agg(hour) as hours, array_agg(hour + interval '1 hour') as ends
  from (select distinct date_trunc('hour', started_at, 'UTC') as hour from ratchet.traces order by hour) as t
) as h
cross join lateral ratchet.measured(%s, h.hours, h.ends) as m
group by 1
"""


class Queue:
    """One agent's traces, and the marks that they leave."""

    def __init__(self, database: PostgresDatabase, connection: psycopg.AsyncConnection) -> None:
        self._store, self._connection = TraceStore(database), connection

    async def put(self, lines: list[Line]) -> set[datetime]:
        """The hours that these lines queue."""
        await self._connection.execute("delete from ratchet.fold_queue")
        await self._store.put(AGENT, [normalise(line, now=NOW)[1] for line in lines], at=NOW)
        return {hour for (hour,) in await self._rows("select hour from ratchet.fold_queue")}

    async def measured(self) -> dict[datetime, Any]:
        """What the fold of each hour would say now."""
        return dict(await self._rows(MEASURED, [AGENT]))

    async def _rows(self, query: str, arguments: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return await (await self._connection.execute(query.encode(), arguments)).fetchall()


@pytest.fixture
async def queue(database: PostgresDatabase, dsn: str) -> AsyncIterator[Queue]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield Queue(database, connection)


def trace(number: int, session: int, start: timedelta, last: timedelta, events: int = 1) -> Line:
    at = [0] * (events - 1) + [last // timedelta(milliseconds=1)]
    return {
        "trace_id": f"t{number}",
        "session_id": f"s{session}",
        "started_at": (DAY + start).isoformat(),
        "events": [{"type": "user_message", "t_ms": t_ms, "text": f"message {number}"} for t_ms in at],
    }


def drawn(rng: Random, known: list[Line]) -> Line:
    """A new trace, or a known one that grew (and may have moved, or end earlier), or took an outcome."""
    start, last = timedelta(minutes=rng.randrange(3 * 24 * 12) * 5), timedelta(minutes=rng.choice(MINUTES))
    if not known or rng.random() < 0.6:
        return trace(len(known), rng.randrange(3), start, last)
    number = rng.randrange(len(known))
    old = known[number]
    if rng.random() < 0.3:
        return {**old, "outcome": {"success": True}}
    grown = trace(number, rng.randrange(3), start, last, len(old["events"]) + 1)
    stays = {"session_id": old["session_id"], "started_at": old["started_at"]}
    return {**grown, **dict(rng.sample(sorted(stays.items()), rng.randrange(3)))}


@pytest.mark.parametrize("seed", range(10))
async def test_every_hour_whose_facts_a_put_changes_is_queued(queue: Queue, seed: int) -> None:
    rng = Random(seed)
    known: list[Line] = []
    changes = 0
    before = await queue.measured()
    for _ in range(8):
        batch: dict[str, Line] = {}
        for _ in range(rng.choice((1, 1, 2, 8))):
            line = drawn(rng, known)
            if line["trace_id"] not in batch:
                batch[line["trace_id"]] = line
                known[int(line["trace_id"][1:]) : int(line["trace_id"][1:]) + 1] = [line]
        queued = await queue.put(list(batch.values()))
        after = await queue.measured()
        changed = {hour for hour in before.keys() | after.keys() if before.get(hour) != after.get(hour)}
        changes += len(changed)
        assert changed <= queued
        before = after
    assert changes, "no batch changed anything"


async def test_a_late_trace_of_an_endless_session_id_queues_its_beginning_and_the_hours_after(queue: Queue) -> None:
    days = [trace(number, 0, timedelta(hours=number), timedelta(0)) for number in range(72)]
    await queue.put(days)
    late = trace(72, 0, timedelta(hours=40, minutes=30), timedelta(0))
    assert await queue.put([late]) == {DAY, *(DAY + timedelta(hours=hour) for hour in range(40, 47))}


async def test_new_session_ids_queue_the_hour_in_which_each_begins(queue: Queue) -> None:
    lines = [trace(number, number, timedelta(minutes=number * 40), timedelta(hours=8)) for number in range(30)]
    assert await queue.put(lines) == {DAY + timedelta(hours=hour) for hour in range(20)}


async def test_a_put_reads_nothing_of_other_session_ids(queue: Queue, dsn: str) -> None:
    await queue.put([trace(number, number, timedelta(seconds=number), timedelta(0)) for number in range(500)])
    known = trace(500, 7, timedelta(minutes=20), timedelta(0))
    line = normalise(known, now=NOW)[1]
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("select public.ratchet_traces_put(%s, %s, %s)", [AGENT, Jsonb([line]), NOW])
        counted = (
            "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'ratchet.traces'::regclass"
        )
        (read,) = await (await connection.execute(counted)).fetchone() or (None,)
    assert read is not None
    assert 0 < read < 10


async def test_two_writers_at_once_who_add_to_one_agent_session_lose_nothing(
    database: PostgresDatabase, dsn: str
) -> None:
    """The second to write commits after the hour in which the session began was folded without its trace."""
    rollups = RollupStore(database)
    await AgentStore(database).register(AGENT, at=NOW)
    put = "select public.ratchet_traces_put(%s, %s, %s)"

    def traces(number: int, minutes: int) -> Jsonb:
        return Jsonb([normalise(trace(number, 1, timedelta(minutes=minutes), timedelta(0)), now=NOW)[1]])

    async with (
        await psycopg.AsyncConnection.connect(dsn) as first,
        await psycopg.AsyncConnection.connect(dsn) as second,
    ):
        await first.execute(put, [AGENT, traces(1, 50), NOW])
        writing = asyncio.create_task(second.execute(put, [AGENT, traces(2, 70), NOW]))
        await asyncio.wait([writing], timeout=0.5)
        await first.commit()
        await writing
        await fold_all(rollups, AGENT, patience_seconds=0)
        await second.commit()
        await fold_all(rollups, AGENT)
    day = await rollups.read(AGENT, Window(since=DAY, until=DAY + timedelta(days=1)))
    assert (day.get("sessions").n, day.get("user_messages").total) == (1, 2)
