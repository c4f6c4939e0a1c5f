"""The periodic job of deployments: what any process left behind is carried out while another one is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from optimizer.errors import RatchetError
from optimizer.loop.decisions import Decisions

EVERY_SECONDS = 5.0
_GRACE_SECONDS = 5.0  # for the batch that is worked on at the end; what is left of it, the next start resumes

_log = logging.getLogger(__name__)


async def keep_working(
    decisions: Decisions, every_seconds: float, stop: asyncio.Event, agent: str | None = None
) -> None:
    """Until `stop`, carries out now and then what was decided and what a crash left behind, of one agent or of all.

    What goes wrong is told in the log, once for as long as it stays the same, and tried again the next time.
    """
    told = ""
    while not stop.is_set():
        try:
            await decisions.work(agent)
            told = ""
        except RatchetError as error:
            if str(error) != told:
                _log.warning("Deployments wait: %s", error)
            told = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await stop.wait()


@asynccontextmanager
async def working(
    decisions: Decisions, agent: str | None = None, every_seconds: float = EVERY_SECONDS
) -> AsyncGenerator[None]:
    """Keeps working in the background while the block runs; nothing of it outlives the block."""
    stop = asyncio.Event()
    job = asyncio.create_task(keep_working(decisions, every_seconds, stop, agent))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait([job], timeout=_GRACE_SECONDS)
        job.cancel()
        await asyncio.wait([job])
        if not job.cancelled() and (defect := job.exception()) is not None:
            raise defect
