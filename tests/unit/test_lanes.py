"""Loops look again at once when there is a reason to, keep their bounds, and outlive what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bot.lanes import Job, Lanes, Loop
from bot.leases import while_held
from optimizer.errors import LeaseLost, RatchetError

NEVER_SECONDS = 3600.0  # a test that waits for it fails


class Queue:
    """Jobs that wait, and how many were under way at once."""

    def __init__(self, count: int) -> None:
        self.waiting = list(range(count))
        self.done: list[int] = []
        self.at_once = self.at_once_max = 0
        self.breaks: frozenset[int] = frozenset()

    async def take(self) -> Job | None:
        return self.work(self.waiting.pop(0)) if self.waiting else None

    async def work(self, n: int) -> None:
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if n in self.breaks:
            raise KeyError(n)
        self.done.append(n)


async def run(loop: Loop, done: Callable[[], bool]) -> None:
    stop = asyncio.Event()
    async with asyncio.timeout(10):
        task = asyncio.create_task(loop.run(stop))
        for _ in range(100_000):
            if done():
                break
            await asyncio.sleep(0)
        assert done()
        stop.set()
        loop.wake()
        await task


async def test_what_ends_makes_room_at_once_and_never_for_too_many() -> None:
    queue = Queue(20)
    lanes = Lanes("queue", queue.take, 3, NEVER_SECONDS)
    await run(lanes.loop, lambda: len(queue.done) == 20)
    assert queue.at_once_max == 3


async def test_what_breaks_is_told_and_the_rest_is_done(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(6)
    queue.breaks = frozenset({0, 3})
    lanes = Lanes("queue", queue.take, 2, NEVER_SECONDS)
    await run(lanes.loop, lambda: len(queue.done) == 4)
    assert caplog.text.count("a job broke") == 2


async def test_a_loop_that_is_woken_during_its_look_looks_again() -> None:
    turns = 0

    async def turn() -> int:
        nonlocal turns
        turns += 1
        if turns == 1:
            loop.wake()
        return 0

    loop = Loop("loop", turn, NEVER_SECONDS)
    await run(loop, lambda: turns >= 2)


async def test_a_turn_that_fails_is_told_and_a_stop_does_not_wait_for_the_next() -> None:
    async def turn() -> int:
        raise RatchetError("The database is gone.")

    loop = Loop("loop", turn, NEVER_SECONDS)
    await run(loop, lambda: loop.failing is not None)
    assert loop.failing == "The database is gone."


async def test_what_does_not_end_is_cancelled_and_may_hand_back() -> None:
    handed_back: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            handed_back.append("it")

    jobs = [forever()]

    async def take() -> Job | None:
        return jobs.pop() if jobs else None

    lanes = Lanes("queue", take, 2)
    await lanes.turn()
    await asyncio.sleep(0)
    await lanes.finish(0.01)
    assert handed_back == ["it"]


async def test_work_whose_claim_is_lost_ends() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def renew() -> bool:
        return False

    with pytest.raises(LeaseLost):
        await while_held(work(), renew, 0.03)
    assert ended.is_set()


async def test_a_renewal_that_fails_does_not_end_the_work() -> None:
    tried = asyncio.Event()

    async def renew() -> bool:
        tried.set()
        raise RatchetError("The database is gone.")

    async def work() -> str:
        await tried.wait()
        await asyncio.sleep(0.02)
        return "done"

    assert await while_held(work(), renew, 0.03) == "done"
