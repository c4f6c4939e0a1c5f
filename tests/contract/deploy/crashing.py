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
from collections.abc import Callable
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
async def opened(dsn: str, agent: str, follow: Follow):
    database = PostgresDatabase(dsn, connections_max=1)
    await database.open()
    try:
        yield Office(database, agent=agent, follow=follow)
    finally:
        await database.close()


async def prepare(dsn: str, agent: str, story: str) -> UUID:
    """The agent right before the worker begins."""
    async with opened(dsn, agent, STORIES[story]) as office:
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
            await office.worker().work(agent)
            assert await office.take_back(*await office.deployments.batch(decided.batch_id))
        return decided.batch_id


async def work(dsn: str, agent: str, story: str, fatal: int | None) -> int:
    """Works until it is done, or dies at the point; returns how many points there were."""
    points = Points(fatal)
    async with opened(dsn, agent, STORIES[story]) as office:
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
    asyncio.run(prepare(dsn, "counted", story))
    count = asyncio.run(work(dsn, "counted", story, None))
    assert 0 < count < POINTS_MAX, count
    batches = {}
    for point in range(count):
        agent = f"agent-{point}"
        batches[agent] = str(asyncio.run(prepare(dsn, agent, story)))
        child = os.fork()
        if child == 0:
            asyncio.run(work(dsn, agent, story, point))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the worker was not killed at point {point}"
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the worker failed by itself at point {point}"
    print(json.dumps({"batches": batches}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
