"""Writing generated traces: through the port, and in turns with it as raw binary COPY of the same rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic_core import to_json

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.ingest import import_file
from optimizer.records.trace import Trace
from optimizer.stores.agents import AgentStore
from optimizer.stores.traces import TraceStore
from tests.bench.traffic import AGENT, DECLARED_TOOLS, UNTIL, batches, line_of

ROUND_BATCHES = 20
COPIED_SESSIONS_MAX = 100_000
IMPORTED_SESSIONS_MAX = 50_000

COLUMNS = {
    "agent": "text",
    "trace_id": "text",
    "session_id": "text",
    "environment": "text",
    "release": "text",
    "model": "text",
    "task_category": "text",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
    "prompts": "jsonb",
    "success": "bool",
    "reward": "float8",
    "outcome_end": "text",
    "events": "jsonb",
    "event_count": "int4",
    "extra": "jsonb",
    "received_at": "timestamptz",
}


class Ingest(NamedTuple):
    """Seconds; those of COPY and `put_beside` are over the same `copied` sessions, taken in turns."""

    put: float  # of all sessions
    put_beside: float
    copy_bare: float
    copy_indexed: float
    copied: int
    imported: float
    imported_count: int


async def ingest(dsn: str, sessions: int) -> Ingest:
    """Puts all sessions; the first ones also go by COPY into tables like ratchet.traces, bare and indexed.

    Every way starts from the same ready objects, so that COPY, too, writes the events as JSON text.
    """
    database = PostgresDatabase(dsn)
    await database.open()
    put = put_beside = copy_bare = copy_indexed = 0.0
    copied = 0
    try:
        await AgentStore(database).register(AGENT, at=UNTIL, tools=DECLARED_TOOLS)
        store = TraceStore(database)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("create table copied (like ratchet.traces)")
            connection.execute("create table copied_indexed (like ratchet.traces including indexes)")
            left = batches(sessions)
            while batches_of_round := list(islice(left, ROUND_BATCHES)):
                seconds = await _put(store, batches_of_round)
                put += seconds
                if copied < COPIED_SESSIONS_MAX:
                    put_beside += seconds
                    copy_bare += _copy(connection, "copied", batches_of_round)
                    copy_indexed += _copy(connection, "copied_indexed", batches_of_round)
                    copied += sum(len(batch) for batch in batches_of_round)
            connection.execute("drop table copied, copied_indexed")
        imported_count = min(sessions, IMPORTED_SESSIONS_MAX)
        imported = await _import(store, imported_count)
    finally:
        await database.close()
    return Ingest(put, put_beside, copy_bare, copy_indexed, copied, imported, imported_count)


async def _put(store: TraceStore, batches_of_round: Sequence[Sequence[Trace]]) -> float:
    begun = time.perf_counter()
    for batch in batches_of_round:
        await store.put(AGENT, batch, at=UNTIL)
    return time.perf_counter() - begun


def _copy(connection: psycopg.Connection, table: str, batches_of_round: Sequence[Sequence[Trace]]) -> float:
    """One COPY of the whole round."""
    begun = time.perf_counter()
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    command = sql.SQL("copy {} ({}) from stdin (format binary)").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types(list(COLUMNS.values()))
        for trace in chain.from_iterable(batches_of_round):
            copy.write_row(_row(trace))
    return time.perf_counter() - begun


def _row(trace: Trace) -> tuple[Any, ...]:
    values: dict[str, Any] = {
        **trace,
        "agent": AGENT,
        "received_at": UNTIL,
        "started_at": datetime.fromisoformat(trace["started_at"]),
        "ended_at": datetime.fromisoformat(trace["ended_at"]),
    }
    for name in ("prompts", "events", "extra"):
        values[name] = Jsonb(values[name], dumps=to_json)
    return tuple(values.get(name) for name in COLUMNS)


async def _import(store: TraceStore, sessions: int) -> float:
    """Imports a file of the first sessions for an agent of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.jsonl"
        with path.open("wb") as file:
            file.writelines(_lines(sessions))
        begun = time.perf_counter()
        async with aclosing(import_file(path, store, ManualClock(UNTIL), agent=f"{AGENT}-imported")) as reports:
            new = [report.new async for report in reports][-1]
        seconds = time.perf_counter() - begun
    assert new == sessions, f"{new} of {sessions} lines were imported"
    return seconds


def _lines(sessions: int) -> Iterator[bytes]:
    return (line_of(trace) + b"\n" for trace in chain.from_iterable(batches(sessions)))
