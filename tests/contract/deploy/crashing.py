"""Runs a worker that is killed with -9 at every point of a story, each time with an agent of its own.

`python -m tests.contract.deploy.crashing DSN STORY` prints one JSON line: `{"batches": {agent: batch id}}`. A point
is the moment before, or after, any call that changes the registry or the stored deployments: what a crash between two
such moments leaves behind is the same at each.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.worker import Worker
from optimizer.records.deployment import Follow
from tests.builders import PLAYBOOKS, SYSTEM, Office, approve, make_item, rule_line

LEASE_SECONDS = 1
POINTS_MAX = 400
CHANGES = frozenset({"publish", "move_label", "claim", "step", "release"})
TWO_PROMPTS = [rule_line(1), rule_line(2, "playbooks")]
STORIES: dict[str, Follow] = {
    "deploy": "label",
    "deploy_latest": "latest",
    "second_fails": "label",
    "roll_back": "label",
    "roll_back_latest": "latest",
}


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


async def prepare(dsn: str, agents: Iterable[str], story: str) -> dict[str, UUID]:
    """Each agent right before the worker begins, with its batch."""
    async with opened(dsn) as database:
        return {agent: await prepared(Office(database, agent=agent, follow=STORIES[story]), story) for agent in agents}


async def prepared(office: Office, story: str) -> UUID:
    await office.open()
    edits = TWO_PROMPTS if story in ("second_fails", "roll_back") else TWO_PROMPTS[:1]
    session = await office.pending([make_item(1, edits)])
    decided = await office.decide(session, approve(*session.items))
    assert decided.batch_id is not None
    if story == "second_fails":
        changed = (await office.deployments.batch(decided.batch_id))[1].prompt
        text = {"system": SYSTEM, "playbooks": PLAYBOOKS}[changed]
        await office.publish(changed, text + "By hand.\n")
    if story.startswith("roll_back"):
        await office.worker().work(office.agent)
        assert await office.take_back(*await office.deployments.batch(decided.batch_id))
    return decided.batch_id


async def work(dsn: str, agent: str, story: str, fatal: int | None) -> int:
    """Works until it is done, or dies at the point; returns how many points there were."""
    points = Points(fatal)
    async with opened(dsn) as database:
        office = Office(database, agent=agent, follow=STORIES[story])
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


def main(dsn: str, story: str) -> None:
    asyncio.run(prepare(dsn, ["counted"], story))
    count = asyncio.run(work(dsn, "counted", story, None))
    assert 0 < count < POINTS_MAX, count
    batches = asyncio.run(prepare(dsn, [f"agent-{point}" for point in range(count)], story))
    for point, agent in enumerate(batches):
        child = os.fork()
        if child == 0:
            asyncio.run(work(dsn, agent, story, point))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the worker was not killed at point {point}"
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the worker failed by itself at point {point}"
    print(json.dumps({"batches": {agent: str(batch) for agent, batch in batches.items()}}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
