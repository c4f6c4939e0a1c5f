"""The inbox: what was acknowledged is worked on, in order within each chat, and answered through the outbox."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from bot.cards.card import Card, Line
from bot.cards.stored import as_json
from bot.conversation.speaker import Shown, Speaker
from bot.conversation.talk import Conversation
from bot.surfaces import Surfaces
from optimizer.errors import RatchetError
from optimizer.records.messages import Arrived, Delivery, Inbound, SeenItem
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.wiring import Ratchet

LEASE_SECONDS = 120
ATTEMPTS_MAX = 4
_NOT_ANSWERED = "Something went wrong with that message and nothing of it was done; please send it again."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inbox:
    """Works on what arrived, for all agents."""

    ratchet: Ratchet
    inbound: InboundStore
    deliveries: DeliveryStore
    surfaces: Surfaces
    worker: str
    lease_seconds: int = LEASE_SECONDS

    async def work(self, messages_max: int = 100) -> int:
        """Answers what waits; returns how many messages. Safe with any number of workers."""
        for done in range(messages_max):
            arrived = await self.inbound.claim(self.worker, self.lease_seconds)
            if arrived is None:
                return done
            await self._handle(arrived)
        return messages_max

    async def _handle(self, arrived: Arrived) -> None:
        error = None
        try:
            answers = await self._answers(arrived)
        except RatchetError as raised:
            if arrived.attempts < ATTEMPTS_MAX:
                _log.warning("message %s of %s waits: %s", arrived.id, arrived.message.channel, raised)
                return  # its lease ends, and it is tried again
            error = str(raised)
            answers = [_answer(arrived, 0, "", Card("", (Line(_NOT_ANSWERED, "bad"),)), None)]
        now = self.ratchet.clock.now()
        await self.inbound.done(arrived.id, self.worker, answers, now, error=error)

    async def _answers(self, arrived: Arrived) -> list[dict[str, Any]]:
        message = arrived.message
        target = await self._target(message)
        agent = await self.surfaces.agent_of(message, target)
        refused = await self.surfaces.turned_away(message, agent)
        if refused is not None:
            return [_answer(arrived, place, agent or "", card, None) for place, card in enumerate(refused)]
        assert agent is not None  # who is not turned away speaks about an agent
        speaker = Speaker(agent, message.channel, message.chat, message.actor)
        talk = Conversation(
            self.ratchet, speaker, self.surfaces.names, shown=await self._shown(agent, target), tells_news=False
        )
        await talk.resume()
        cards = await talk.say(message.text)
        shown = talk.shown
        last = len(cards) - 1
        return [_answer(arrived, n, agent, card, shown if n == last else None) for n, card in enumerate(cards)]

    async def _target(self, message: Inbound) -> Delivery | None:
        """The message of ours that numbers mean: the quoted one, that of the thread, else the newest list."""
        for vendor_id in (message.quoted, message.thread):
            if vendor_id is not None:
                found = await self.deliveries.find(message.channel, message.chat, vendor_id)
                if found is not None and found.session_id is not None:
                    return found
        return await self.deliveries.newest_list(message.channel, message.chat)

    async def _shown(self, agent: str, target: Delivery | None) -> Shown:
        """What the chat was shown; of a session that it was not shown yet nothing can be approved."""
        if target is None or target.session_id is None:
            return Shown(session=await self.ratchet.sessions.newest(agent))
        session = await self.ratchet.sessions.read(target.session_id)
        seen: Mapping[UUID, SeenItem] = target.shown or {}
        return Shown(
            session=session,
            hashes={item: one.content_sha256 for item, one in seen.items()},
            bases={item: one.base_sha256 for item, one in seen.items()},
        )


def seen_items(shown: Shown) -> dict[str, Any]:
    """What a chat was shown, as a delivery keeps it."""
    return {
        str(item): {"content_sha256": sha256, "base_sha256": dict(shown.bases[item])}
        for item, sha256 in shown.hashes.items()
    }


def _answer(arrived: Arrived, place: int, agent: str, card: Card, shown: Shown | None) -> dict[str, Any]:
    message = arrived.message
    key = f"answer:{arrived.id}:{place}"
    session = shown.session if shown else None
    return {
        "id": str(uuid5(NAMESPACE_URL, f"ratchet:{key}")),
        "key": key,
        "agent": agent,
        "channel": message.channel,
        "chat": message.chat,
        "thread": message.thread,
        "person": message.actor,
        "body": {"card": as_json(card)},
        "session_id": str(session.id) if session else None,
        "shown": seen_items(shown) if shown and session else None,
    }
