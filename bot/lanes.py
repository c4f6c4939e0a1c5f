"""Loops of the service: each takes what waits, works on several at once within bounds, and tells what fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from optimizer.errors import RatchetError

IDLE_SECONDS = 1.0  # between two looks where nothing wakes a loop: another process may have written something
FAILING_SECONDS_MAX = 30.0  # between two looks while they fail
CANCELLED_SECONDS = 5.0  # for what was cancelled to hand its claims back

Job = Coroutine[Any, Any, None]
Turn = Callable[[], Awaitable[int]]

_log = logging.getLogger(__name__)


class Loop:
    """Takes its turn again and again: at once while there is something to do or it is woken, else once in a while."""

    def __init__(self, name: str, turn: Turn, idle_seconds: float = IDLE_SECONDS) -> None:
        self.name = name
        self._turn = turn
        self._idle_seconds = idle_seconds
        self._woken = asyncio.Event()
        self._failures = 0
        self.failing: str | None = None  # why the last turn failed

    def wake(self) -> None:
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and the loop is woken."""
        while not stop.is_set():
            self._woken.clear()  # before the look: what arrives during it is not missed
            if await self._told() == 0 and not stop.is_set():
                await self._rest(stop)

    async def _told(self) -> int:
        """A turn that fails is told and tried again: what it did not finish waits in the database."""
        try:
            done = await self._turn()
        except RatchetError as error:
            self._failures += 1
            self.failing = str(error)
            _log.error("%s: a turn failed and is tried again: %s", self.name, error)
            return 0
        self._failures, self.failing = 0, None
        return done

    async def _rest(self, stop: asyncio.Event) -> None:
        seconds, event = self._idle_seconds, self._woken
        if self._failures:  # being woken does not mend it
            seconds, event = min(seconds * 2 ** min(self._failures, 10), FAILING_SECONDS_MAX), stop
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class Lanes:
    """Works on what `take` claims, on up to `lanes_max` jobs at once; its `turn` starts what there is room for."""

    def __init__(
        self,
        name: str,
        take: Callable[[], Awaitable[Job | None]],
        lanes_max: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.loop = Loop(name, self.turn, idle_seconds)
        self._take = take
        self._lanes_max = lanes_max
        self._running: set[asyncio.Task[None]] = set()

    async def turn(self) -> int:
        """How many jobs were started."""
        started = 0
        while len(self._running) < self._lanes_max:
            job = await self._take()
            if job is None:
                break
            task = asyncio.create_task(job)
            self._running.add(task)
            task.add_done_callback(self._ended)
            started += 1
        return started

    async def finish(self, grace_seconds: float) -> None:
        """Waits for what is under way; what takes longer is cancelled, and hands back what it claimed."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)
        left = set(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCELLED_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """One job that breaks does not stop the others: it is told with all that is known, and its claim ends."""
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("%s: a job broke: %s", self.loop.name, error, exc_info=error)
        self.loop.wake()
