"""The inbox: what was acknowledged is worked on, in order within each chat, and answered through the outbox."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from bot.cards.card import Card, Line
from bot.cards.stored import as_json
from bot.conversation.beside import is_acknowledgement, is_order, is_thumb
from bot.conversation.orders import pending_items
from bot.conversation.speaker import Shown, Speaker
from bot.conversation.talk import Conversation
from bot.leases import while_held
from bot.surfaces import Surfaces
from optimizer.errors import LeaseLost, RatchetError
from optimizer.records.messages import Arrived, Delivery, Inbound, SeenItem
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.wiring import Ratchet

LEASE_SECONDS = 30  # renewed while the work lasts
PATIENCE_SECONDS = 10.0  # then a chat is told that its deployment is under way
ATTEMPTS_MAX = 4
_WAIT_SECONDS = (1.0, 5.0, 30.0, 60.0)  # after each attempt that failed
_NOT_ANSWERED = 'Something went wrong with that message; reply "status" to see how things stand, or send it again.'
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
    patience_seconds: float = PATIENCE_SECONDS

    async def work(self, messages_max: int = 100) -> int:
        """Answers what waits, one after the other; returns how many messages. Safe with any number of workers."""
        for done in range(messages_max):
            arrived = await self.claim()
            if arrived is None:
                return done
            await self.handle(arrived)
        return messages_max

    async def claim(self) -> Arrived | None:
        """The next message, under a name of its own: who lost it can never write to it again."""
        return await self.inbound.claim(f"{self.worker}/{secrets.token_hex(4)}", self.lease_seconds)

    async def handle(self, arrived: Arrived) -> None:
        """Answers a claimed message; one that fails waits and is tried again, until it is given up."""
        if arrived.attempts > ATTEMPTS_MAX:  # it breaks whoever works on it
            await self._give_up(arrived, "every attempt broke off")
            return
        is_handed_back = True
        try:
            renew = partial(self.inbound.renew, arrived.id, arrived.worker or "", self.lease_seconds)
            answers = await while_held(self._answers(arrived), renew, self.lease_seconds)
            await self._done(arrived, answers)
            is_handed_back = False
        except LeaseLost as lost:
            is_handed_back = False
            _log.warning("message %s of %s: %s", arrived.id, arrived.message.channel, lost)
        except RatchetError as error:
            if arrived.attempts >= ATTEMPTS_MAX:
                await self._give_up(arrived, str(error))
                is_handed_back = False
                return
            _log.warning("message %s of %s waits: %s", arrived.id, arrived.message.channel, error)
        finally:
            if is_handed_back:
                wait_seconds = _WAIT_SECONDS[min(arrived.attempts, len(_WAIT_SECONDS)) - 1]
                await self.inbound.release(arrived.id, arrived.worker or "", wait_seconds)

    async def _give_up(self, arrived: Arrived, why: str) -> None:
        _log.error("message %s of %s was given up: %s", arrived.id, arrived.message.channel, why)
        await self._done(arrived, [_answer(arrived, 0, "", Card("", (Line(_NOT_ANSWERED, "bad"),)), None)], why)

    async def _done(self, arrived: Arrived, answers: list[dict[str, Any]], error: str | None = None) -> None:
        now = self.ratchet.clock.now()
        if not await self.inbound.done(arrived.id, arrived.worker or "", answers, now, error=error):
            _log.warning("message %s was answered by another worker; this answer is dropped", arrived.id)

    async def _answers(self, arrived: Arrived) -> list[dict[str, Any]]:
        if arrived.message.chat == arrived.message.actor:  # said in no chat of ours: answered in the person's own
            arrived = await self._in_private(arrived)
        target = await self._target(arrived.message)
        agent = await self.surfaces.agent_of(arrived.message, target)
        if not arrived.message.addressed and agent is not None and await self._is_order(arrived.message, target, agent):
            arrived = _changed(arrived, addressed=True)
        if arrived.message.clicked and not (agent and self._is_listed(agent, arrived.message.actor)):
            arrived = await self._in_private(arrived)
        message = arrived.message
        refused = await self.surfaces.turned_away(message, agent)
        if refused is not None:
            return [_answer(arrived, place, agent or "", card, None) for place, card in enumerate(refused)]
        assert agent is not None  # who is not turned away speaks about an agent
        speaker = Speaker(agent, message.channel, message.chat, message.actor, _name_of(message))
        talk = Conversation(
            self.ratchet,
            speaker,
            self.surfaces.names,
            shown=await self._shown(agent, target),
            tells_news=False,
            patience_seconds=self.patience_seconds,
        )
        await talk.resume()
        before = await self._done_before(arrived, agent)
        cards = (before, *await talk.say("status")) if before else await talk.say(message.text)
        shown = talk.shown
        last = len(cards) - 1
        return [_answer(arrived, n, agent, card, shown if n == last else None) for n, card in enumerate(cards)]

    async def _in_private(self, arrived: Arrived) -> Arrived:
        """The same, said in the person's own chat: the answer is for nobody else."""
        message = arrived.message
        chat = await self.surfaces.channels[message.channel].chat_with(message.actor)
        return arrived if chat == message.chat else _changed(arrived, chat=chat, thread=None)

    async def _is_order(self, message: Inbound, target: Delivery | None, agent: str) -> bool:
        """Whether talk between people holds an order: below a message of ours, from someone who is listed."""
        if message.thread is None or target is None or not self._is_listed(agent, message.actor):
            return False
        head = await self.deliveries.find(message.channel, message.chat, message.thread)
        if head is None:
            return False
        if is_thumb(message.text):  # a reaction, where those are wanted
            return head.lists and message.quoted is not None and self.ratchet.settings.agent(agent).reactions
        if is_acknowledgement(message.text):
            now = self.ratchet.clock.now()
            asked = await self.ratchet.questions.open(message.channel, message.chat, message.actor, now)
            return asked is not None
        session = (await self._shown(agent, target)).session
        return is_order(message.text, pending_items(session), self.ratchet.settings.agent(agent).prompts)

    def _is_listed(self, agent: str, actor: str) -> bool:
        return self.ratchet.people_of(agent).may_take_back(actor)

    async def _done_before(self, arrived: Arrived, agent: str) -> Card | None:
        """What an attempt that broke off had decided because of this message: it is not decided twice."""
        if arrived.attempts == 1:
            return None
        understood = await self.ratchet.audit.understood(agent, _name_of(arrived.message))
        if not understood:
            return None
        words = " and ".join(f'"{one}"' for one in understood)
        return Card("", (Line(f"I was interrupted after {words}: that was done, once. This is how it stands now."),))

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


def _changed(arrived: Arrived, **values: object) -> Arrived:
    return arrived.model_copy(update={"message": arrived.message.model_copy(update=values)})


def _name_of(message: Inbound) -> str:
    """The message, as the audit names it."""
    return f"{message.channel}:{message.vendor_id}"


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
