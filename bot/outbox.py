"""The outbox: what waits to be said is sent, in order within each chat, and written down.

A crash between sending and writing it down may repeat one message, and does not where the vendor allows to look.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.cards.card import Card, Line
from bot.channels.port import Channel, Outgoing, Part, SendError
from bot.leases import while_held
from optimizer.clock import Clock, iso
from optimizer.errors import LeaseLost, RatchetError
from optimizer.records.messages import Delivery
from optimizer.stores.messages import DeliveryStore

LEASE_SECONDS = 30  # renewed while the work lasts
ATTEMPTS_MAX = 12  # about five hours
MOVED_AFTER_ATTEMPTS = 6  # about five minutes; where the person has another channel
_BACKOFF_SECONDS = (2.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0)
RETRY_AFTER_SECONDS_MAX = 3600.0

# Of a list that grew shorter: the buttons of its last messages must go.
_NOTHING_LEFT = Card("", (Line("What stood here is above."),))
_log = logging.getLogger(__name__)

Render = Callable[[Delivery, datetime], Awaitable[Outgoing | None]]  # None: there is nothing to say any more
Elsewhere = Callable[[Delivery], Awaitable[list[dict[str, Any]]]]  # the same on another channel of that person
GivenUp = Callable[[Delivery, str], Awaitable[None]]  # why it was
InTemplate = Callable[[Delivery], list[dict[str, Any]]]  # the same there, by template


def _never_in_template(_: Delivery) -> list[dict[str, Any]]:
    return []


async def _untold(_: Delivery, __: str) -> None:
    return


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
    in_template: InTemplate = _never_in_template
    given_up: GivenUp = _untold

    async def work(self, deliveries_max: int = 100) -> int:
        """Sends what is due, one after the other; returns how many deliveries. Safe with any number of workers."""
        for done in range(deliveries_max):
            delivery = await self.claim(self.channels)
            if delivery is None:
                return done
            await self.deliver(delivery)
        return deliveries_max

    async def claim(self, channels: Iterable[str]) -> Delivery | None:
        """The next delivery of these channels, under a name of its own: who lost it can never write to it again."""
        worker = f"{self.worker}/{secrets.token_hex(4)}"
        return await self.store.claim(sorted(channels), worker, self.lease_seconds, self.clock.now())

    async def deliver(self, delivery: Delivery) -> None:
        """Sends a claimed delivery; one that fails waits and is tried again, until it is given up."""
        if delivery.attempts > ATTEMPTS_MAX:  # it breaks whoever works on it
            await self._give_up(delivery, delivery.error or "every attempt broke off")
            return
        is_settled = False
        try:
            renew = partial(self.store.renew, delivery.id, delivery.worker or "", self.lease_seconds)
            await while_held(self._say(delivery), renew, self.lease_seconds)
            is_settled = True
        except LeaseLost as lost:
            is_settled = True
            _log.warning("delivery %s to %s: %s", delivery.id, delivery.channel, lost)
        except SendError as error:
            await self._not_sent(delivery, error)
            is_settled = True
        except RatchetError as error:
            await self._not_sent(delivery, SendError(str(error), "unknown"))
            is_settled = True
        finally:
            if not is_settled:  # broken or stopped in the middle
                await self._again(delivery, {"doubt": True}, self._backoff(delivery))

    async def _say(self, delivery: Delivery) -> None:
        now = self.clock.now()
        outgoing = await self.render(delivery, now)
        if outgoing is None:
            await self._record(delivery, {"state": "sent", "sent_at": iso(now)})
            return
        channel = self.channels[delivery.channel]
        updated = delivery.body.get("update")
        if updated is not None:
            vendor_ids = updated["vendor_ids"]
            parts = [*channel.parts(outgoing), *channel.parts(Outgoing(_NOTHING_LEFT)) * len(vendor_ids)]
            for vendor_id, part in zip(vendor_ids, parts, strict=False):
                await channel.update(delivery.chat, vendor_id, part)
            await self._sent(delivery, (), outgoing)
            return
        sent = delivery.vendor_ids
        in_doubt = delivery.doubt
        for token, part in _left(channel, delivery, outgoing):
            found = None
            if in_doubt:
                found = await channel.sent(
                    delivery.chat, part, thread=delivery.thread, token=token, since=delivery.created_at
                )
            vendor_id = found or await channel.send(delivery.chat, part, thread=delivery.thread, token=token)
            sent, in_doubt = (*sent, vendor_id), False
            if not await self._record(delivery, {"vendor_ids": list(sent), "doubt": False}, done=False):
                return  # another worker has it, and finds what was sent
        await self._sent(delivery, sent, outgoing)

    async def _sent(self, delivery: Delivery, vendor_ids: Sequence[str], outgoing: Outgoing) -> None:
        values: dict[str, Any] = {"state": "sent", "sent_at": iso(self.clock.now()), "vendor_ids": list(vendor_ids)}
        if outgoing.shown is not None and "update" not in delivery.body:
            values["shown"] = dict(outgoing.shown)
        await self._record(delivery, {**values, "error": None})

    async def _not_sent(self, delivery: Delivery, error: SendError) -> None:
        """Again later within bounds, without markup, or elsewhere; in the end it is given up, and that is told."""
        why = {"error": str(error)}
        if error.kind in ("later", "unknown") and delivery.attempts < ATTEMPTS_MAX:
            if delivery.attempts >= MOVED_AFTER_ATTEMPTS and await self._moved(delivery, str(error)):
                return
            wait = error.retry_after_seconds or self._backoff(delivery)
            values = {**why, "doubt": True} if error.kind == "unknown" else why
            await self._again(delivery, values, min(wait, RETRY_AFTER_SECONDS_MAX))
            _log.warning("delivery %s to %s waits: %s", delivery.id, delivery.channel, error)
            return
        if error.kind == "refused" and delivery.plain_from is None and "update" not in delivery.body:
            # What was sent before this part stands in the row, also what this attempt sent.
            current = await self.store.get(delivery.id)
            await self._again(delivery, {**why, "plain_from": len(current.vendor_ids) if current else 0}, 0.0)
            _log.warning("delivery %s to %s is sent without markup: %s", delivery.id, delivery.channel, error)
            return
        await self._give_up(delivery, str(error), in_template=error.kind == "window")

    async def _moved(self, delivery: Delivery, why: str) -> bool:
        """Says it on the person's next channel, where there is one: this one is down for too long."""
        instead = await self.elsewhere(delivery)
        if instead:
            _log.error("delivery %s is moved away from %s: %s", delivery.id, delivery.channel, why)
            await self._record(delivery, {"error": why, "state": "moved"}, instead=instead)
        return bool(instead)

    async def _give_up(self, delivery: Delivery, why: str, *, in_template: bool = False) -> None:
        instead = self.in_template(delivery) if in_template else []
        if instead:
            await self._record(delivery, {"error": why, "state": "moved"}, instead=instead)
        elif not await self._moved(delivery, why):
            _log.error("delivery %s to %s was given up: %s", delivery.id, delivery.channel, why)
            if await self._record(delivery, {"error": why, "state": "failed"}):
                await self.given_up(delivery, why)

    async def _again(self, delivery: Delivery, values: Mapping[str, Any], wait_seconds: float) -> None:
        at = self.clock.now() + timedelta(seconds=wait_seconds)
        await self._record(delivery, {**values, "next_at": iso(at)})

    async def _record(
        self,
        delivery: Delivery,
        values: dict[str, Any],
        *,
        done: bool = True,
        instead: Sequence[dict[str, Any]] = (),
    ) -> bool:
        now = self.clock.now()
        return await self.store.record(delivery.id, delivery.worker or "", values, now, done=done, deliveries=instead)

    def _backoff(self, delivery: Delivery) -> float:
        return _BACKOFF_SECONDS[min(delivery.attempts, len(_BACKOFF_SECONDS)) - 1]


def _left(channel: Channel, delivery: Delivery, outgoing: Outgoing) -> list[tuple[str, Part]]:
    """The parts that were not sent, each with its token. Once markup was refused: what no sent part said, without."""
    parts = channel.parts(outgoing)
    sent = len(delivery.vendor_ids)
    if delivery.plain_from is None:
        return [(f"{delivery.id}:{place}", part) for place, part in enumerate(parts)][sent:]
    said = {part.text for part in parts[: delivery.plain_from]}
    plain = [part for part in channel.parts(outgoing, plain=True) if part.text not in said]
    return [(f"{delivery.id}:plain:{place}", part) for place, part in enumerate(plain)][sent - delivery.plain_from :]
