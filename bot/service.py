"""What runs beside each other while the bot is up: the inbox, the outbox, the fan-out and the deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bot.channels.port import Channel
from bot.inbox import Inbox
from bot.outbox import Outbox
from bot.surfaces import Surfaces
from optimizer.errors import RatchetError
from optimizer.records.messages import Inbound
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.wiring import Ratchet

IDLE_SECONDS = 1.0  # between two looks where nothing wakes a loop
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """Everything that the webhooks and the loops need."""

    ratchet: Ratchet
    channels: Mapping[str, Channel]
    inbound: InboundStore
    deliveries: DeliveryStore
    surfaces: Surfaces
    inbox: Inbox
    outbox: Outbox
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something arrived: the loops look at once."""
        self._woken.set()

    async def keep(self, message: Inbound) -> None:
        """What arrived stands in the database when this returns, once, and is worked on after that."""
        if await self.inbound.put(message, self.ratchet.clock.now()):
            self.wake()

    async def once(self) -> int:
        """One turn of all that waits; returns how much was done."""
        done = await self.inbox.work()
        done += await self.ratchet.decisions.work()
        for agent in await self.ratchet.agents.list():
            done += await self.surfaces.fan_out(agent.agent)
        return done + await self.outbox.work()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; what is under way then is finished."""
        while not stop.is_set():
            if not await _told(self.once):
                self._woken.clear()
                ended = asyncio.ensure_future(stop.wait())
                woken = asyncio.ensure_future(self._woken.wait())
                await asyncio.wait({ended, woken}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for waiting in (ended, woken):
                    waiting.cancel()


async def _told(turn: Callable[[], Awaitable[int]]) -> int:
    """A turn that fails is told and tried again: what it did not finish waits in the database."""
    try:
        return await turn()
    except RatchetError as error:
        _log.error("a turn of the service failed and is tried again: %s", error)
        return 0


def make_service(ratchet: Ratchet, channels: Mapping[str, Channel], worker: str) -> Service:
    inbound, deliveries = InboundStore(ratchet.database), DeliveryStore(ratchet.database)
    surfaces = Surfaces(ratchet, channels, deliveries, inbound)
    inbox = Inbox(ratchet, inbound, deliveries, surfaces, worker)
    outbox = Outbox(channels, deliveries, surfaces.render, surfaces.elsewhere, ratchet.clock, worker)
    return Service(ratchet, channels, inbound, deliveries, surfaces, inbox, outbox)
