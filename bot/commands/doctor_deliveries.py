"""What `ratchet doctor` says of messages that were not delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator

from bot.cards.undelivered import undelivered
from bot.cards.words import Reader, safe
from optimizer.stores.messages import DeliveryStore
from optimizer.wiring import Ratchet


async def delivery_lines(ratchet: Ratchet, agent: str) -> AsyncIterator[str]:
    """One line for each delivery in trouble, newest first."""
    reader = Reader(ratchet.clock.now())
    for one in await DeliveryStore(ratchet.database).troubled(agent):
        yield f"{safe(agent)}: {undelivered(one, reader)}"
