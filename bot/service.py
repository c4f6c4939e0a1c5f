"""What runs beside each other while the bot is up: the inbox, the outbox, the fan-out and the deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bot.arrivals import Arrivals
from bot.channels.port import Channel
from bot.inbox import Inbox
from bot.lanes import Job, Lanes, Loop
from bot.outbox import Outbox
from bot.reminders import Reminders
from bot.surfaces import Surfaces
from optimizer.errors import RatchetError
from optimizer.records.messages import Inbound
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.stores.reminders import ReminderStore
from optimizer.wiring import Ratchet

ANSWERED_AT_ONCE = 4
SENT_AT_ONCE = 4  # on each channel: a slow one holds nobody else up
GRACE_SECONDS = 10.0  # for what is under way when the service stops
_INBOX = "inbox"
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
    reminders: Reminders
    grace_seconds: float = GRACE_SECONDS
    beside: list[Loop] = field(default_factory=list[Loop])  # what channels do besides: a poll, a look at their state
    _loops: list[Loop] = field(default_factory=list[Loop])

    @cached_property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.inbound, self.ratchet.clock, self._wake_inbox)

    def wake(self) -> None:
        """Something arrived, or is to be said: the loops look at once."""
        for loop in self._loops:
            loop.wake()

    def _wake_inbox(self) -> None:
        for loop in self._loops:
            if loop.name == _INBOX:
                loop.wake()

    @property
    def failing(self) -> dict[str, str]:
        """Loop -> why its last turn failed."""
        return {loop.name: loop.failing for loop in self._loops if loop.failing is not None}

    @property
    def is_running(self) -> bool:
        return bool(self._loops)

    async def keep(self, message: Inbound) -> None:
        """What arrived stands in the database when this returns, once, and is worked on after that."""
        await self.arrivals.keep(message)

    async def once(self) -> int:
        """One turn of all that waits, one after the other; returns how much was done."""
        done = await self.inbox.work()
        done += await self.ratchet.decisions.work()
        done += await self.reminders.work()
        done += await self.fan_out()
        return done + await self.outbox.work()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; what is under way then is finished, or handed back after `grace_seconds`."""
        lanes = [
            Lanes(_INBOX, self._next_answer, ANSWERED_AT_ONCE),
            *(Lanes(f"outbox of {name}", self._sender(name), SENT_AT_ONCE) for name in self.channels),
        ]
        self._loops[:] = [
            *(one.loop for one in lanes),
            Loop("notices", self._fan_out_and_wake),
            Loop("deployments", self._deploy_and_wake),
            Loop("reminders", self._remind_and_wake),
            *self.beside,
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for loop in self._loops:
                    group.create_task(loop.run(stop))
                await stop.wait()
                self.wake()
        finally:
            self._loops.clear()
            await asyncio.gather(*(one.finish(self.grace_seconds) for one in lanes))

    async def fan_out(self) -> int:
        """Writes what follows from new notices of all agents; one whose people cannot be found now waits alone."""
        done = 0
        failed: RatchetError | None = None
        for agent in await self.deliveries.unfanned(self.surfaces.told_since):
            try:
                done += await self.surfaces.fan_out(agent)
            except RatchetError as error:
                _log.error("the notices of %r wait: %s", agent, error)
                failed = error
        if failed is not None and not done:
            raise failed
        return done

    async def _fan_out_and_wake(self) -> int:
        return self._woken_by(await self.fan_out())

    async def _deploy_and_wake(self) -> int:
        return self._woken_by(await self.ratchet.decisions.work())

    async def _remind_and_wake(self) -> int:
        return self._woken_by(await self.reminders.work())

    def _woken_by(self, done: int) -> int:
        if done:
            self.wake()
        return done

    async def _next_answer(self) -> Job | None:
        await self.arrivals.quiet()
        arrived = await self.inbox.claim()
        return self._then_wake(self.inbox.handle(arrived)) if arrived else None

    def _sender(self, channel: str) -> Callable[[], Awaitable[Job | None]]:
        async def take() -> Job | None:
            delivery = await self.outbox.claim((channel,))
            return self.outbox.deliver(delivery) if delivery else None

        return take

    async def _then_wake(self, job: Job) -> None:
        await job
        self.wake()


def make_service(ratchet: Ratchet, channels: Mapping[str, Channel], worker: str) -> Service:
    inbound, deliveries = InboundStore(ratchet.database), DeliveryStore(ratchet.database)
    surfaces = Surfaces(ratchet, channels, deliveries, inbound)
    inbox = Inbox(ratchet, inbound, deliveries, surfaces, worker)
    outbox = Outbox(
        channels,
        deliveries,
        surfaces.render,
        surfaces.elsewhere,
        ratchet.clock,
        worker,
        in_template=surfaces.in_template,
        given_up=surfaces.given_up,
    )
    reminders = Reminders(surfaces, ReminderStore(ratchet.database))
    return Service(ratchet, channels, inbound, deliveries, surfaces, inbox, outbox, reminders)
