"""Work on what was claimed: the claim is renewed while the work lasts, and the work ends when the claim is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from optimizer.errors import LeaseLost, RatchetError

_log = logging.getLogger(__name__)


T = TypeVar("T")


async def while_held(work: Coroutine[Any, Any, T], renew: Callable[[], Awaitable[bool]], lease_seconds: float) -> T:
    """What `work` returns. It is cancelled, and `LeaseLost` raised, when `renew` says that another worker has it.

    A renewal that fails is tried again: as long as nobody else took it, the work may go on and be written down.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=lease_seconds / 3))[0]:
            if not await _renewed(renew):
                raise LeaseLost("Another worker took this over, because it was not renewed in time; it goes on there.")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _renewed(renew: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await renew()
    except RatchetError as error:
        _log.warning("a claim could not be renewed and is tried again: %s", error)
        return True
