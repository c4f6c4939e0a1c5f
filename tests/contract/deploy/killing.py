"""Workers that are killed with -9 at every point of a story, each time with an agent of its own.

A module with stories calls `kill_everywhere` as a program, and its test `crash_everywhere`. A point is the moment
before, or after, any call that changes the registry or the stored deployments: what a crash between two such moments
leaves behind is the same at each.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.worker import Worker
from optimizer.records.deployment import Follow
from tests.builders import Office

LEASE_SECONDS = 1
POINTS_MAX = 400
CHANGES = frozenset({"publish", "move_label", "claim", "step", "release"})

# What brings each agent right before the worker begins; answers their batches.
Prepare = Callable[[str, Sequence[str], str], Coroutine[Any, Any, dict[str, UUID]]]


class Points:
    """Counts the points that were passed, and dies at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.passed = 0
        self._fatal = fatal

    def point(self) -> None:
        if self.passed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1


class Watched:
    """A registry or a store of which each call that changes something is two points."""

    def __init__(self, inner: Any, points: Points) -> None:
        self._inner, self._points = inner, points

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)
        if name not in CHANGES:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            self._points.point()
            answer = await method(*arguments, **named)
            self._points.point()
            return answer

        return call


@asynccontextmanager
async def opened(dsn: str) -> AsyncGenerator[PostgresDatabase]:
    database = PostgresDatabase(dsn, connections_max=1)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def crash_everywhere(module: str, dsn: str, story: str) -> dict[str, UUID]:
    """The batches of the story, each left behind by a worker that died at another point."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, dsn, story, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return {agent: UUID(batch) for agent, batch in json.loads(output)["batches"].items()}


async def finish(database: PostgresDatabase) -> None:
    """A second worker, after the leases of the dead are over."""
    office = Office(database)
    survivor = Worker(
        "survivor",
        office.deployments,
        office.audit,
        lambda agent: Office(database, agent=agent).registry,
        office.clock,
    )
    await asyncio.sleep(LEASE_SECONDS)
    while await survivor.work():
        pass


def kill_everywhere(prepare: Prepare, follow: Follow, dsn: str, story: str) -> None:
    """Prints one JSON line: `{"batches": {agent: batch id}}`."""
    asyncio.run(prepare(dsn, ["counted"], story))
    count = asyncio.run(_work(dsn, "counted", follow, None))
    assert 0 < count < POINTS_MAX, count
    batches = asyncio.run(prepare(dsn, [f"agent-{point}" for point in range(count)], story))
    for point, agent in enumerate(batches):
        child = os.fork()
        if child == 0:
            asyncio.run(_work(dsn, agent, follow, point))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the worker was not killed at point {point}"
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the worker failed by itself at point {point}"
    print(json.dumps({"batches": {agent: str(batch) for agent, batch in batches.items()}}))


async def _work(dsn: str, agent: str, follow: Follow, fatal: int | None) -> int:
    """Works until it is done, or dies at the point; returns how many points there were."""
    points = Points(fatal)
    async with opened(dsn) as database:
        office = Office(database, agent=agent, follow=follow)
        worker = Worker(
            f"crashing-{agent}",
            Watched(office.deployments, points),  # type: ignore[arg-type]
            office.audit,
            lambda _: Watched(office.registry, points),  # type: ignore[return-value]
            office.clock,
            LEASE_SECONDS,
        )
        await worker.work(agent)
    return points.passed
