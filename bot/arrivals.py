"""What arrives is kept before anything else: vendors wait for seconds only, and send again what is not acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from optimizer.clock import Clock
from optimizer.errors import RatchetError
from optimizer.records.messages import Inbound
from optimizer.stores.messages import InboundStore

_AT_ONCE_MAX = 100
_GAP_SECONDS = 0.05  # without an arrival for as long, it is quiet
_BUSY_SECONDS_MAX = 1.0  # a flood that lasts longer holds the answers up no more


class Arrivals:
    """Keeps messages. Those that arrive while a call is under way are kept together by the next one."""

    def __init__(self, store: InboundStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._waiting: list[tuple[Inbound, asyncio.Future[None]]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._busy_since = self._newest = float("-inf")

    async def keep(self, message: Inbound) -> None:
        """The message stands in the database when this returns, once. Raises `DatabaseError` when it does not."""
        now = time.monotonic()
        if now - self._newest > _GAP_SECONDS:
            self._busy_since = now
        self._newest = now
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, kept))
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_waiting())
        await kept

    async def quiet(self) -> None:
        """Waits while messages arrive, within bounds: acknowledging them comes before answering them."""
        while True:
            now = time.monotonic()
            left = min(self._newest + _GAP_SECONDS - now, self._busy_since + _BUSY_SECONDS_MAX - now)
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _keep_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_AT_ONCE_MAX], self._waiting[_AT_ONCE_MAX:]
            try:
                await self._store.put_many([message for message, _ in batch], self._clock.now())
            except RatchetError:
                await self._keep_each(batch)
            else:
                for _, kept in batch:
                    _settle(kept)
            self._wake()

    async def _keep_each(self, batch: list[tuple[Inbound, asyncio.Future[None]]]) -> None:
        """One that cannot be kept is in nobody else's way."""
        for message, kept in batch:
            try:
                await self._store.put(message, self._clock.now())
            except RatchetError as error:
                _settle(kept, error)
            else:
                _settle(kept)


def _settle(kept: asyncio.Future[None], error: RatchetError | None = None) -> None:
    """Whoever waited may have hung up meanwhile."""
    if kept.done():
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)
