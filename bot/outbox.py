"""The outbox: what waits to be said is sent, in order within each chat, and written down.

A crash between sending and writing it down may repeat one message, and does not where the vendor allows to look.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.channels.port import Channel, Outgoing, SendError
from optimizer.clock import Clock, iso
from optimizer.records.messages import Delivery
from optimizer.stores.messages import DeliveryStore

LEASE_SECONDS = 60
ATTEMPTS_MAX = 8
_BACKOFF_SECONDS = (2.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0)
RETRY_AFTER_SECONDS_MAX = 3600.0

_log = logging.getLogger(__name__)

Render = Callable[[Delivery, datetime], Awaitable[Outgoing | None]]  # None: there is nothing to say any more
Elsewhere = Callable[[Delivery], Awaitable[list[dict[str, Any]]]]  # the same on another channel of that person


@dataclass(frozen=True)
class Outbox:
    """Sends what is due on `channels`. `render` tells what a delivery says at the moment when it is sent."""

    channels: Mapping[str, Channel]
    store: DeliveryStore
    render: Render
    elsewhere: Elsewhere
    clock: Clock
    worker: str
    lease_seconds: int = LEASE_SECONDS

    async def work(self, deliveries_max: int = 100) -> int:
        """Sends what is due; returns how many deliveries were worked on. Safe with any number of workers."""
        for done in range(deliveries_max):
            delivery = await self.store.claim(sorted(self.channels), self.worker, self.lease_seconds, self.clock.now())
            if delivery is None:
                return done
            await self._deliver(delivery)
        return deliveries_max

    async def _deliver(self, delivery: Delivery) -> None:
        now = self.clock.now()
        outgoing = await self.render(delivery, now)
        if outgoing is None:
            await self.store.record(delivery.id, self.worker, {"state": "sent", "sent_at": iso(now)}, now)
            return
        channel = self.channels[delivery.channel]
        try:
            await self._say(channel, delivery, outgoing)
        except SendError as error:
            await self._not_sent(delivery, error)

    async def _say(self, channel: Channel, delivery: Delivery, outgoing: Outgoing) -> None:
        updated = delivery.body.get("update")
        if updated is not None:
            parts = channel.parts(outgoing)
            for vendor_id, part in zip(updated["vendor_ids"], parts, strict=False):
                await channel.update(delivery.chat, vendor_id, part)
            await self._sent(delivery, ())
            return
        sent = delivery.vendor_ids
        # What the vendor refused before is tried once more without markup.
        for place, part in enumerate(channel.parts(outgoing, plain=bool(delivery.error))):
            if place < len(sent):
                continue
            token = f"{delivery.id}:{place}"
            found = None
            if delivery.attempts > 1:
                found = await channel.sent(
                    delivery.chat, part, thread=delivery.thread, token=token, since=delivery.created_at
                )
            vendor_id = found or await channel.send(delivery.chat, part, thread=delivery.thread, token=token)
            sent = (*sent, vendor_id)
            if not await self.store.record(
                delivery.id, self.worker, {"vendor_ids": list(sent)}, self.clock.now(), done=False
            ):
                return  # another worker has it, and finds what was sent
        await self._sent(delivery, sent, outgoing)

    async def _sent(self, delivery: Delivery, vendor_ids: tuple[str, ...], outgoing: Outgoing | None = None) -> None:
        now = self.clock.now()
        values: dict[str, Any] = {"state": "sent", "sent_at": iso(now), "vendor_ids": list(vendor_ids)}
        if outgoing is not None and outgoing.shown is not None:
            values["shown"] = dict(outgoing.shown)
        await self.store.record(delivery.id, self.worker, values, now)

    async def _not_sent(self, delivery: Delivery, error: SendError) -> None:
        """Again later within bounds, without markup, or elsewhere; in the end it is given up, and that is told."""
        now = self.clock.now()
        why = {"error": str(error)}
        is_last = delivery.attempts >= ATTEMPTS_MAX
        if error.kind in ("later", "unknown") and not is_last:
            wait = error.retry_after_seconds or _BACKOFF_SECONDS[min(delivery.attempts, len(_BACKOFF_SECONDS)) - 1]
            at = now + timedelta(seconds=min(wait, RETRY_AFTER_SECONDS_MAX))
            await self.store.record(delivery.id, self.worker, {"next_at": iso(at)}, now)
            return
        if error.kind == "refused" and delivery.error is None:
            await self.store.record(delivery.id, self.worker, {**why, "next_at": iso(now)}, now)
            return
        moved = await self.elsewhere(delivery)
        _log.error("delivery %s to %s was given up: %s", delivery.id, delivery.channel, error)
        state = "moved" if moved else "failed"
        await self.store.record(delivery.id, self.worker, {**why, "state": state}, now, deliveries=moved)
