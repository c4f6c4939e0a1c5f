"""A lease that is extended while its work lasts, so that one slow call does not lose it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from optimizer.errors import RatchetError

BEATS_PER_LEASE = 3  # one beat may be late or lost, and the lease is still held

_log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(extend: Callable[[], Awaitable[bool]], lease_seconds: float) -> AsyncGenerator[None]:
    """While the block runs, calls `extend` every third of the lease; none of it outlives the block.

    Once `extend` answers False the lease is gone: it is not asked for again, and whoever works finds out before the
    next outside call. An `extend` that fails is told in the log and tried again at the next beat.
    """
    over = asyncio.Event()
    beating = asyncio.create_task(_beat(extend, lease_seconds / BEATS_PER_LEASE, over))
    try:
        yield
    finally:
        # Told twice: `asyncio.wait_for`, which database drivers use, may swallow a cancellation before Python 3.12.
        over.set()
        beating.cancel()
        await asyncio.wait([beating])
        if not beating.cancelled() and (defect := beating.exception()) is not None:
            raise defect


async def _beat(extend: Callable[[], Awaitable[bool]], every_seconds: float, over: asyncio.Event) -> None:
    while not over.is_set():
        await asyncio.sleep(every_seconds)
        try:
            if not await extend():
                return
        except RatchetError as error:
            _log.warning("A deployment's lease was not extended: %s", error)
