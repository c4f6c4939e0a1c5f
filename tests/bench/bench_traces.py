"""How long a month of the demo agent's traffic takes: import, fold, snapshot; beside parsing the same lines alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import aclosing
from datetime import date, timedelta
from pathlib import Path

from bot.demo import prompts, traffic
from bot.demo.tools import TOOLS
from bot.demo.traffic import AGENT, LivePrompt
from optimizer.clock import ManualClock
from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.ingest import import_file
from optimizer.observe.snapshot import fold_all, take_snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore

FIRST_RUN = date(2026, 2, 26)
TEXTS = {"playbooks": prompts.PLAYBOOKS, "master_system_core": prompts.MASTER_SYSTEM_CORE}


def write_month(path: Path) -> int:
    live = {name: LivePrompt(text, 1) for name, text in TEXTS.items()}
    lines = [json.dumps(line) for line in traffic.history(FIRST_RUN, live, seed=7)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def parse_alone(path: Path) -> float:
    begun = time.perf_counter()
    with path.open("rb") as file:
        for line in file:
            json.loads(line)
    return time.perf_counter() - begun


async def measure(path: Path, dsn: str) -> tuple[float, float, float]:
    """Seconds of the import, the fold and the snapshot of 24 hours with all its comparison windows."""
    now = traffic.run_time(FIRST_RUN)
    database = PostgresDatabase(dsn)
    await database.open()
    try:
        agents, rollups = AgentStore(database), RollupStore(database)
        await agents.register(AGENT, at=now, tools=TOOLS)
        times = [time.perf_counter()]
        async with aclosing(import_file(path, TraceStore(database), ManualClock(now), agent=AGENT)) as reports:
            async for _ in reports:
                pass
        times.append(time.perf_counter())
        await fold_all(rollups, AGENT)
        times.append(time.perf_counter())
        window = Window(since=now - timedelta(hours=24), until=now)
        await take_snapshot(agents, rollups, AGENT, window, exact=False, prompts={})
        times.append(time.perf_counter())
    finally:
        await database.close()
    return times[1] - times[0], times[2] - times[1], times[3] - times[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "month.jsonl"
        sessions = write_month(path)
        megabytes = path.stat().st_size / 1e6
        parsing = parse_alone(path)
        with open_embedded(Path(folder) / "home") as server:
            migrate.apply(server.dsn)
            importing, folding, looking = asyncio.run(measure(path, server.dsn))
    print(f"traces, {sessions} sessions of 30 days, {megabytes:.0f} MB of JSON lines")
    print(f"  json.loads alone   {parsing:7.2f} s")
    for name, seconds in (("import", importing), ("fold", folding)):
        print(f"  {name:<18} {seconds:7.2f} s   {sessions / seconds:7.0f} sessions/s   {seconds / parsing:5.1f} x")
    print(f"  snapshot of 24 h   {looking:7.2f} s   with 7 d, 30 d and the 30 days before each")


if __name__ == "__main__":
    main()
