"""An agent's reads by label: from memory beside the database, and how soon another process sees a move.

The two ways of reading are timed in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import psycopg

from optimizer.clock import SystemClock
from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from optimizer.registries.local import LocalRegistry
from optimizer.registries.reader import open_reader
from scripts.migration import changed

AGENT, PROMPT, LABEL = "bench", "system", "prod"
CHARACTERS = 20_000
ROUNDS, FROM_MEMORY, FROM_DATABASE = 20, 5_000, 100  # reads in each round
MOVES = 20
PAUSE_SECONDS_MAX = 0.5
SEEN_SECONDS_MAX = 30


async def seconds_of(read: Callable[[], Awaitable[object]], times: int) -> list[float]:
    found: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        await read()
        found.append(time.perf_counter() - begun)
    return found


async def reads(database: PostgresDatabase, registry: LocalRegistry) -> tuple[list[float], list[float]]:
    memory: list[float] = []
    asked: list[float] = []
    async with open_reader(database) as reader:
        await reader.read(AGENT, PROMPT, LABEL)
        for _ in range(ROUNDS):
            memory += await seconds_of(lambda: reader.read(AGENT, PROMPT, LABEL), FROM_MEMORY)
            asked += await seconds_of(lambda: registry.current(PROMPT, LABEL), FROM_DATABASE)
    return memory, asked


async def delays(dsn: str, registry: LocalRegistry) -> list[float]:
    """Seconds from the answer of `move_label` until another process, which reads every millisecond, has the text."""
    command = [sys.executable, "-m", "tests.contract.registry.reading", dsn, AGENT, PROMPT, LABEL]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    stands = int(json.loads(await process.stdout.readline())["version"])
    found: list[float] = []
    for _ in range(MOVES):
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS_MAX))  # anywhere between two polls
        moved, stands = stands, 3 - stands
        await registry.move_label(PROMPT, LABEL, stands, expected=moved)
        at = time.monotonic()
        async with asyncio.timeout(SEEN_SECONDS_MAX):
            seen = json.loads(await process.stdout.readline())
        assert seen["version"] == stands
        found.append(seen["at"] - at)
    await process.communicate(b"")
    return found


async def measured(dsn: str) -> None:
    database = PostgresDatabase(dsn)
    await database.open()
    registry = LocalRegistry(database, AGENT, SystemClock())
    for letter in "ab":
        text = f"{letter * 79}\n" * (CHARACTERS // 80)
        await registry.publish(PROMPT, text, commit_message="", metadata={}, deployment_id=uuid4())
    await registry.move_label(PROMPT, LABEL, 1, expected=None)
    memory, asked = await reads(database, registry)
    delayed = await delays(dsn, registry)
    await database.close()
    print(f"reads by label of a prompt of {CHARACTERS:,} characters, {len(memory):,} and {len(asked):,} in turns")
    for name, found in (("from memory", memory), ("from the database", asked)):
        cuts = statistics.quantiles(found, n=100)
        print(f"  {name:<20}{cuts[49] * 1000:9.4f} ms p50 {cuts[98] * 1000:9.4f} ms p99")
    ratio = statistics.median(asked) / statistics.median(memory)
    print(f"  {'ratio of the medians':<20}{ratio:9,.0f} x")
    print(f"from a move of the label to its text in another process, {MOVES} moves")
    print(f"  {'median':<20}{statistics.median(delayed) * 1000:9.0f} ms")
    print(f"  {'most':<20}{max(delayed) * 1000:9.0f} ms")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as home, open_embedded(Path(home)) as server:
        migrate.apply(server.dsn)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for source in changed().values():
                connection.execute(source.encode())
        asyncio.run(measured(server.dsn))


if __name__ == "__main__":
    main()
