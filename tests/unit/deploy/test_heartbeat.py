"""A lease is extended for as long as the work lasts, and never longer."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

import pytest

from optimizer.deploy.heartbeat import kept
from optimizer.deploy.journal import Lost
from optimizer.errors import DatabaseUnavailable

LEASE_SECONDS = 1.5  # long enough for a machine that is busy
SHORT_SECONDS = 0.03  # where it is to be over soon, or nothing depends on it


class Lease:
    """Answers each beat in its turn, the last answer again and again."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = answers
        self.beats = 0
        self.beaten = asyncio.Event()  # every answer was given

    async def extend(self) -> bool:
        answer = self.answers[min(self.beats, len(self.answers) - 1)]
        self.beats += 1
        if self.beats >= len(self.answers):
            self.beaten.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def others() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task}


async def test_it_beats_until_the_work_is_done() -> None:
    lease = Lease(True, True, True, True)
    async with kept(lease.extend, LEASE_SECONDS):
        await lease.beaten.wait()
    assert lease.beats >= 4  # for longer than one lease
    assert not others()


async def test_a_lease_that_is_gone_is_not_asked_for_again_and_ends_the_work() -> None:
    lease = Lease(True, False)
    with pytest.raises(Lost, match="was over before the work was"):
        async with kept(lease.extend, LEASE_SECONDS):
            await asyncio.get_running_loop().create_future()
    assert lease.beats == 2
    assert not others()


async def test_who_wakes_after_the_lease_goes_no_further_than_the_next_wait() -> None:
    """As after SIGSTOP: not even the loop ran meanwhile."""
    steps: list[str] = []

    async def work() -> None:
        async with kept(Lease(True).extend, SHORT_SECONDS):
            steps.append("before")
            time.sleep(2 * SHORT_SECONDS)  # noqa: ASYNC251
            steps.append("awake")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            steps.append("sent")

    with pytest.raises(Lost):
        await work()
    assert steps == ["before", "awake"]


async def test_a_time_out_of_the_work_itself_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with kept(Lease(True).extend, SHORT_SECONDS):
            raise TimeoutError("mine")


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt, asyncio.CancelledError])
async def test_it_ends_with_the_work_whatever_happens(end: type[BaseException]) -> None:
    lease = Lease(True)
    with pytest.raises(end):
        async with kept(lease.extend, SHORT_SECONDS):
            raise end
    assert not others()


async def test_it_ends_in_the_middle_of_a_beat() -> None:
    begun = asyncio.Event()

    async def never_answered() -> bool:
        begun.set()
        return await asyncio.get_running_loop().create_future()

    async with kept(never_answered, LEASE_SECONDS):
        await begun.wait()
    assert not others()


async def test_it_ends_where_a_beat_swallows_the_cancellation() -> None:
    begun = asyncio.Event()

    async def swallows() -> bool:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return True

    async with kept(swallows, LEASE_SECONDS):
        await begun.wait()
    assert not others()


async def test_a_beat_that_fails_is_told_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    lease = Lease(DatabaseUnavailable("The database cannot be reached; try again."), True)
    with caplog.at_level(logging.WARNING):
        async with kept(lease.extend, LEASE_SECONDS):
            await lease.beaten.wait()
    assert [one.getMessage() for one in caplog.records] == [
        "A deployment's lease was not extended: The database cannot be reached; try again."
    ]


async def test_a_defect_in_a_beat_is_not_hidden() -> None:
    async def work() -> None:
        async with kept(Lease(ZeroDivisionError()).extend, SHORT_SECONDS):
            await asyncio.wait(others())  # the heart

    with pytest.raises(ZeroDivisionError):
        await work()
