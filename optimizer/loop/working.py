"""The periodic jobs of deployments: while a process is open, what any left behind is carried out, and what is live is
watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from optimizer.errors import RatchetError
from optimizer.loop.decisions import Decisions
from optimizer.loop.watching import Watching

EVERY_SECONDS = 5.0
WATCH_EVERY_SECONDS = 60.0  # it asks the registry once for each prompt that is live
_GRACE_SECONDS = 5.0  # for the batch that is worked on at the end; what is left of it, the next start resumes

_log = logging.getLogger(__name__)


async def keep_working(
    decisions: Decisions, every_seconds: float, stop: asyncio.Event, agent: str | None = None
) -> None:
    """Until `stop`, carries out now and then what was decided and what a crash left behind, of one agent or of all.

    What goes wrong is told in the log, once for as long as it stays the same, and tried again the next time.
    """
    await _keep(lambda: decisions.work(agent), every_seconds, stop, "Deployments wait")


async def keep_watching(watching: Watching, every_seconds: float, stop: asyncio.Event, agent: str) -> None:
    """Until `stop`, watches what is live of an agent; first after one pause: who opens a chat has just watched."""
    with suppress(TimeoutError):
        async with asyncio.timeout(every_seconds):
            await stop.wait()
    await _keep(lambda: watching.watch(agent), every_seconds, stop, "Deployments are not watched")


async def _keep(
    work: Callable[[], Awaitable[object]], every_seconds: float, stop: asyncio.Event, what_fails: str
) -> None:
    told = ""
    while not stop.is_set():
        try:
            await work()
            told = ""
        except RatchetError as error:
            if str(error) != told:
                _log.warning("%s: %s", what_fails, error)
            told = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await stop.wait()


@asynccontextmanager
async def working(
    decisions: Decisions,
    agent: str | None = None,
    every_seconds: float = EVERY_SECONDS,
    *,
    watching: Watching | None = None,
    watch_every_seconds: float = WATCH_EVERY_SECONDS,
) -> AsyncGenerator[None]:
    """Keeps working in the background while the block runs, and watching, where there is an agent to watch; nothing of
    it outlives the block."""
    stop = asyncio.Event()
    jobs = [asyncio.create_task(keep_working(decisions, every_seconds, stop, agent))]
    if watching is not None and agent is not None:
        jobs.append(asyncio.create_task(keep_watching(watching, watch_every_seconds, stop, agent)))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait(jobs, timeout=_GRACE_SECONDS)
        for job in jobs:
            job.cancel()
        await asyncio.wait(jobs)
        for job in jobs:
            if not job.cancelled() and (defect := job.exception()) is not None:
                raise defect
