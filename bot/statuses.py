"""What vendors tell of messages that were sent: kept with the delivery, and met where one did not arrive."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bot.surfaces import Surfaces
from optimizer.clock import Clock
from optimizer.records.messages import Delivery
from optimizer.stores.messages import DeliveryStore

# A status may be faster than our own note of the message's id.
_LOOK_AGAIN_SECONDS = (0.2, 0.5, 1.0, 2.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """A vendor's word on one message; `failed` says why it did not arrive."""

    channel: str
    chat: str
    vendor_id: str
    status: str
    rank: int  # later ones of a message's life are higher; one that is no higher than the last is old news
    failed: str | None = None
    window: bool = False  # it failed because the chat takes templates alone


@dataclass(frozen=True)
class Statuses:
    """Writes down what is told. What did not arrive is said by template, or on the person's next channel."""

    deliveries: DeliveryStore
    surfaces: Surfaces
    clock: Clock

    async def told(self, told: Told) -> bool:
        """False when the message is none of ours. May be called again, in any order."""
        delivery = await self._delivery(told)
        if delivery is None:
            return False
        instead = []
        why = None
        if told.failed is not None:
            why = f"not delivered to {told.chat}: {told.failed}"
            _log.warning("delivery %s on %s was %s", delivery.id, told.channel, why)
            instead = self.surfaces.in_template(delivery) if told.window else []
            instead = instead or await self.surfaces.elsewhere(delivery)
        news = await self.deliveries.status(
            told.channel, told.vendor_id, told.status, told.rank, why, deliveries=instead, at=self.clock.now()
        )
        if news is not None and why is not None:
            await self.surfaces.given_up(news, why)
        return True

    async def _delivery(self, told: Told) -> Delivery | None:
        for seconds in (0.0, *_LOOK_AGAIN_SECONDS):
            await asyncio.sleep(seconds)
            found = await self.deliveries.find(told.channel, told.chat, told.vendor_id)
            if found is not None:
                return found
        return None
