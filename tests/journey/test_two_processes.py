"""Two processes run, decide and deploy at once on one database, and one of them is killed again and again.

TEST_BUSY_SECONDS says for how long (4 by default).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import RatchetError
from tests.journey.busy_process import LEASE_SECONDS
from tests.journey.chain import RECORD_LABELS, BusyDay
from tests.journey.world import AGENT, World

BUSY_SECONDS = float(os.environ.get("TEST_BUSY_SECONDS", "4"))
ROUNDS_MAX = 6
_ROOT = Path(__file__).parents[2]


class Process:
    """A busy process; what it says goes to a file."""

    def __init__(self, dsn: str, folder: Path, name: str, until: float) -> None:
        self._arguments = [sys.executable, "-m", "tests.journey.busy_process", dsn]
        self._until = until
        self._random = Random(name)
        self.log = folder / f"{name}.log"
        self.kills = 0
        self._start()

    def _start(self) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._arguments, str(self._random.getrandbits(32)), str(self._until)],
                stdout=log,
                stderr=log,
                cwd=_ROOT,
            )

    def kill(self) -> None:
        """As the machine would: no farewell. Then it is started again."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self.kills += 1
        self._start()

    def finish(self) -> int:
        return self._process.wait(60)


@pytest.mark.parametrize("killed", [False, True])
async def test_two_processes_at_once(dsn: str, tmp_path: Path, killed: bool) -> None:
    database = PostgresDatabase(dsn, connections_max=2)
    await database.open()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(RECORD_LABELS.encode())
    world = await World.begin(database)
    await world.day(sessions=40)
    processes: list[Process] = []
    random = Random(7)
    while len(processes) < 2 * ROUNDS_MAX and not BusyDay(dsn).deployments:  # a slow machine has done little yet
        processes += await _busy(dsn, tmp_path, random, killed)
    await _resumed(world)
    report = await world.ratchet.audit.verify(AGENT)
    await database.close()
    day = BusyDay(dsn)
    print(f"\n{BUSY_SECONDS:.0f} s, {sum(process.kills for process in processes)} kills: {day.told}")
    for process in processes:
        print(process.log.read_text()[-2000:])
    day.check()
    assert report.problem is None
    assert day.deployments


async def _busy(dsn: str, folder: Path, random: Random, killed: bool) -> list[Process]:
    until = time.time() + BUSY_SECONDS
    processes = [Process(dsn, folder, f"{name}-{random.getrandbits(32)}", until) for name in ("one", "two")]
    while time.time() < until:
        await asyncio.sleep(random.uniform(1.0, 2.0) if killed else 0.5)
        if killed and time.time() < until - 1:
            processes[0].kill()
    for process in processes:
        assert process.finish() == 0, process.log.read_text()
    return processes


async def _resumed(world: World) -> None:
    """What a killed process held is carried on once its lease is over."""
    for _ in range(2):
        await asyncio.sleep(LEASE_SECONDS + 0.2)
        try:
            await world.ratchet.decisions.work()
        except RatchetError as error:
            pytest.fail(str(error))
