"""A lease that is extended while its work lasts, and work that ends when its lease does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from optimizer.deploy.journal import Lost
from optimizer.errors import RatchetError

BEATS_PER_LEASE = 3  # one beat may be late or lost, and the lease is still held

_log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(extend: Callable[[], Awaitable[bool]], lease_seconds: float) -> AsyncGenerator[None]:
    """While the block runs, calls `extend` every third of the lease; none of it outlives the block.

    A process that was paused for longer than that finds, before it sends anything, that its time is over: the block
    is cancelled where it waits, and `Lost` is raised. Once `extend` answers False it is not asked again. An `extend`
    that fails is told in the log and tried again at the next beat.
    """
    limit, over = asyncio.timeout(lease_seconds), asyncio.Event()
    beating = asyncio.create_task(_beat(extend, lease_seconds, limit, over))
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Lost(f"The lease of {lease_seconds:g} s was over before the work was.") from error
    finally:
        # Told twice: `asyncio.wait_for`, which database drivers use, may swallow a cancellation before Python 3.12.
        over.set()
        beating.cancel()
        await asyncio.wait([beating])
        if not beating.cancelled() and (defect := beating.exception()) is not None:
            raise defect


async def _beat(
    extend: Callable[[], Awaitable[bool]], lease_seconds: float, limit: asyncio.Timeout, over: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    while not over.is_set():
        await asyncio.sleep(lease_seconds / BEATS_PER_LEASE)
        asked_at = loop.time()  # the server counts from later
        try:
            if not await extend():
                return
        except RatchetError as error:
            _log.warning("A deployment's lease was not extended: %s", error)
        else:
            if not over.is_set() and not limit.expired():
                limit.reschedule(asked_at + lease_seconds)
