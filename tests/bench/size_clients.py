"""What is measured in a process of its own: a folding client, a snapshot, and pulling the rows into Python.

`python -m tests.bench.size_clients NAME DSN ...` says "ready", waits for a line and answers with one of JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.snapshot import fold_all, take_snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from tests.bench.traffic import AGENT, SINCE, UNTIL

DAY = Window(since=UNTIL - timedelta(hours=24), until=UNTIL)
MONTH = Window(since=SINCE, until=UNTIL)
REPEATS = 5
FOLD_SECONDS_MAX = 1800


def run(name: str, dsn: str, *arguments: str, clients: int = 1) -> tuple[float, list[dict[str, Any]]]:
    """Starts the clients together; the seconds until the last one answered, and their answers."""
    command = [sys.executable, "-m", "tests.bench.size_clients", name, dsn, *arguments]
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(clients)
        ]
        for client in started:
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n", f"{name} did not start"
        begun = time.perf_counter()
        for client in started:
            assert client.stdin is not None
            client.stdin.write("go\n")
            client.stdin.flush()
        answers = [json.loads(client.communicate(timeout=FOLD_SECONDS_MAX)[0]) for client in started]
        return time.perf_counter() - begun, answers


def peak_mb() -> float:
    """The most memory that this process ever held; `ru_maxrss` would begin with what its parent held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


async def _fold(database: PostgresDatabase) -> dict[str, Any]:
    left = await fold_all(RollupStore(database), AGENT)
    return {"left": left}


async def _look(database: PostgresDatabase) -> dict[str, Any]:
    """The snapshot of 24 hours with 7 d, 30 d and the 30 days before each."""
    agents, rollups = AgentStore(database), RollupStore(database)

    async def look() -> None:
        await take_snapshot(agents, rollups, AGENT, DAY, exact=False, prompts={})

    return await _repeated(look)


async def _month(database: PostgresDatabase) -> dict[str, Any]:
    """One window of all 30 days."""
    rollups = RollupStore(database)

    async def look() -> None:
        await rollups.read(AGENT, MONTH)

    return await _repeated(look)


async def _repeated(look: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    idle_mb = peak_mb()
    seconds: list[float] = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        await look()
        seconds.append(time.perf_counter() - begun)
    return {"first": seconds[0], "median": statistics.median(seconds), "idle_mb": idle_mb, "peak_mb": peak_mb()}


def _pull(dsn: str, sessions: int) -> dict[str, Any]:
    """The daily questions the naive way: every event of the first sessions as a Python dict."""
    idle_mb = peak_mb()
    begun = time.perf_counter()
    with psycopg.connect(dsn) as connection:
        query = "select events from ratchet.traces where agent = %s order by trace_id limit %s"
        pulled = [row[0] for row in connection.execute(query, (AGENT, sessions))]
    latencies: dict[str, list[int]] = defaultdict(list)
    errors, repeats = Counter[str](), 0
    costs: list[float] = []
    for events in pulled:
        called = {event["call_id"]: event for event in events if event["type"] == "tool_call"}
        times = Counter((call["name"], json.dumps(call["args"], sort_keys=True)) for call in called.values())
        repeats += sum(count - 1 for count in times.values())
        costs.append(sum(event.get("cost_usd", 0.0) for event in events))
        for event in events:
            if event["type"] == "tool_result":
                latencies[event["name"]].append(event["t_ms"] - called[event["call_id"]]["t_ms"])
                errors[event["name"]] += not event["ok"]
    quantiles = {tool: statistics.quantiles(found, n=20) for tool, found in latencies.items() if len(found) > 1}
    variance = statistics.variance(costs)
    seconds = time.perf_counter() - begun
    assert quantiles
    assert min(variance, repeats, errors.total()) > 0
    return {"seconds": seconds, "mb": peak_mb() - idle_mb, "sessions": len(pulled)}


async def _with_database(dsn: str, work: Callable[[PostgresDatabase], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    database = PostgresDatabase(dsn)
    await database.open()
    try:
        _wait_for_go()
        return await work(database)
    finally:
        await database.close()


def _wait_for_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main(name: str, dsn: str, *arguments: str) -> None:
    if name == "pull":
        _wait_for_go()
        answer = _pull(dsn, int(arguments[0]))
    else:
        answer = asyncio.run(_with_database(dsn, {"fold": _fold, "look": _look, "month": _month}[name]))
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
