"""Who is told what where: chats of people and agents, and what a delivery says when it is sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from bot.cards.card import Card, Line
from bot.cards.notices import notice_card
from bot.cards.session import session_card
from bot.cards.stored import from_json
from bot.cards.words import Reader
from bot.channels.port import Channel, Outgoing, SendError
from bot.news import Newsroom, is_own
from optimizer.clock import iso
from optimizer.errors import NotFoundError
from optimizer.records.messages import Delivery, Inbound
from optimizer.records.session import Session
from optimizer.records.states import SessionState
from optimizer.stores.audit import Notice, audit_body
from optimizer.stores.messages import DeliveryStore, InboundStore
from optimizer.stores.reminders import ReminderStore
from optimizer.wiring import Ratchet

# After these, every message that lists the session reads differently.
CHANGES_LISTS = frozenset({"decision", "session_expired", "deployment_live", "deployment_failed",
                           "deployment_halted", "deployment_rolled_back"})  # fmt: skip
_LISTS = frozenset({"session_pending", "session_reminder"})
_NOTICES_AT_ONCE = 100
_log = logging.getLogger(__name__)
_TOLD_AT_FIRST = timedelta(hours=24)  # how old a notice may be that the first start tells
_IN_TEMPLATE = "in_template"  # of a body: the chat takes a template alone, whatever was heard there
_IDENTITY_OF = {"slack": "slack", "twilio": "whatsapp", "green_api": "whatsapp", "console": "console"}


@dataclass(frozen=True)
class Place:
    """One chat that is told about one agent; `person` is a name under [people], where it is one person's."""

    channel: str
    chat: str
    person: str | None


@dataclass(frozen=True)
class Surfaces:
    ratchet: Ratchet
    channels: Mapping[str, Channel]
    deliveries: DeliveryStore
    inbound: InboundStore

    @property
    def names(self) -> Mapping[str, str]:
        """Channel identity -> what the person is called."""
        people = self.ratchet.settings.file.people
        return {identity: name.capitalize() for name, person in people.items() for identity in person.named}

    @property
    def told_since(self) -> datetime:
        """What is older when the service starts for the first time is not told any more."""
        return self.ratchet.clock.now() - _TOLD_AT_FIRST

    # ---- inbound

    async def agent_of(self, message: Inbound, target: Delivery | None) -> str | None:
        """Which agent a message is about: that of the message it answers, else the only one that lists the person."""
        if target is not None:
            return target.agent
        agents = [one.agent for one in await self.ratchet.agents.list()]
        mine = [agent for agent in agents if self.ratchet.people_of(agent).may_take_back(message.actor)]
        return mine[0] if len(mine) == 1 else None

    async def turned_away(self, message: Inbound, agent: str | None) -> list[Card] | None:
        """What is said instead of an answer; an empty list is silence, None means that the message is worked on."""
        if not message.addressed:
            return []
        if message.forwarded:
            return [Card("", (Line("I do not act on forwarded messages; please write it yourself."),))]
        if message.media and not message.text.strip():
            return [Card("", (Line("I read text alone; please write it."),))]
        if agent is None:
            return [Card("", (Line("I do not know you here, so I cannot answer; ask whoever runs this bot."),))]
        return None

    # ---- outbound

    async def places(self, agent: str) -> list[Place]:
        """The agent's Slack channel, and each approver on the first of their channels that is there."""
        settings = self.ratchet.settings
        section = settings.agent(agent)
        found: list[Place] = []
        if section.slack_channel and "slack" in self.channels:
            found.append(Place("slack", section.slack_channel, None))
        for person in section.approvers:
            place = await self._first_place(person, self.channels)
            if place is not None:
                found.append(place)
        return list(dict.fromkeys(found))

    async def _first_place(self, person: str, among: Sequence[str] | Mapping[str, Channel]) -> Place | None:
        """None for who is nowhere. Raises `SendError` where that cannot be told just now: nobody is passed over."""
        later: SendError | None = None
        known = self.ratchet.settings.file.people.get(person)
        for name in among:
            identity = next(
                (one for one in sorted(known.named if known else ()) if one.startswith(f"{_IDENTITY_OF[name]}:")), None
            )
            if identity is not None:
                try:
                    return Place(name, await self.channels[name].chat_with(identity), person)
                except SendError as error:
                    later = error if error.kind in ("later", "unknown") else later
                    continue  # this one cannot be reached there; the next may
        if later is not None:
            raise later
        return None

    async def fan_out(self, agent: str) -> int:
        """Writes what follows from new notices, once; returns how many deliveries."""
        after = await self.deliveries.fanned(agent, self.told_since)
        notices = await self.ratchet.notices.after(agent, after, _NOTICES_AT_ONCE)
        if not notices:
            return 0
        places = await self.places(agent)
        rows: list[dict[str, Any]] = []
        newsroom = Newsroom(self.ratchet.settings, ReminderStore(self.ratchet.database))
        people = {one: name for name, known in self.ratchet.settings.file.people.items() for one in known.named}
        for notice in notices:
            news = await newsroom.news_of(notice, agent)
            if news is not None:
                told = [place for place in places if not is_own(notice, place.person, people)]
                rows += [_notice_row(news.notice, agent, place, news.key) for place in told]
            if notice.kind in CHANGES_LISTS and notice.session_id:
                rows += await self._updates(notice)
        done = await self.deliveries.fan_out(agent, after, notices[-1].id, rows, self.ratchet.clock.now())
        return len(rows) if done else 0

    def has_place(self, person: str) -> bool:
        """Whether a person has an identity on one of the channels."""
        prefixes = tuple(f"{_IDENTITY_OF[name]}:" for name in self.channels)
        return any(one.startswith(prefixes) for one in self.ratchet.settings.identities(person))

    async def place_of(self, person: str) -> Place | None:
        """Where a person is reached. Raises `SendError` where that cannot be told just now."""
        return await self._first_place(person, self.channels)

    @staticmethod
    def reminder_row(notice: Notice, agent: str, place: Place) -> dict[str, Any]:
        """The delivery of a reminder: the list again, for one person."""
        return _notice_row(notice, agent, place, f"reminder:{notice.session_id}:{notice.body['n']}")

    async def _updates(self, notice: Notice) -> list[dict[str, Any]]:
        session = await self.ratchet.sessions.read(UUID(notice.session_id))
        if session is None:
            return []
        listed = await self.deliveries.of_session(session.id)
        return [
            _row(
                f"update:{notice.id}:{one.id}",
                one.agent,
                Place(one.channel, one.chat, one.person),
                {"update": {"session_id": str(session.id), "vendor_ids": list(one.vendor_ids)}},
            )
            for one in listed
            if one.channel in self.channels and self.channels[one.channel].capabilities.updates
        ]

    async def render(self, delivery: Delivery, now: datetime) -> Outgoing | None:
        """What a delivery says now, for who reads it; None when that is nothing any more."""
        outgoing = await self._rendered(delivery, now)
        hours = self.channels[delivery.channel].capabilities.window_hours
        if outgoing is None or hours is None:
            return outgoing
        heard_at = await self.inbound.newest_at(delivery.channel, delivery.chat)
        if heard_at is not None and now - heard_at < timedelta(hours=hours) and not delivery.body.get(_IN_TEMPLATE):
            return outgoing
        # A template names no items: nothing can be approved because of it.
        return replace(outgoing, window_open=False, shown=None)

    async def _rendered(self, delivery: Delivery, now: datetime) -> Outgoing | None:
        if "card" in delivery.body:
            return Outgoing(from_json(delivery.body["card"]))
        if "update" in delivery.body:
            session = await self.ratchet.sessions.read(UUID(delivery.body["update"]["session_id"]))
            return await self._list(session, delivery, now) if session else None
        stored = delivery.body["notice"]
        notice = Notice(**{**stored, "created_at": datetime.fromisoformat(stored["created_at"])})
        if notice.kind in _LISTS and notice.session_id:
            session = await self.ratchet.sessions.read(UUID(notice.session_id))
            waits = session is not None and session.state is SessionState.pending and now < session.expires_at
            if notice.kind == "session_reminder" and not waits:
                return None
            if session is not None:
                return _opened(await self._list(session, delivery, now), notice)
        environment = await self._environment(delivery.agent)
        return Outgoing(notice_card(notice, delivery.agent, environment, self._reader(delivery, now)))

    async def _list(self, session: Session, delivery: Delivery, now: datetime) -> Outgoing:
        deployments = await self.ratchet.deployments.newest(session.agent)
        card = session_card(session, self._reader(delivery, now), deployments)
        shown = {
            str(item.id): {"content_sha256": item.content_sha256, "base_sha256": item.base_sha256}
            for item in session.items
        }
        waits = session.state is SessionState.pending and now < session.expires_at
        return Outgoing(card, lists=True, waits=waits, session_id=str(session.id), shown=shown)

    async def _environment(self, agent: str) -> str:
        try:
            return (await self.ratchet.agents.get(agent)).environment
        except NotFoundError:
            return ""

    def _reader(self, delivery: Delivery, now: datetime) -> Reader:
        identity = delivery.person or ""
        settings = self.ratchet.settings
        named = settings.file.people.get(identity)
        actor = next(iter(sorted(named.named)), "") if named else identity
        return Reader(now, actor, settings.timezone_of(actor), self.names)

    async def given_up(self, delivery: Delivery, why: str) -> None:
        """The audit keeps what was not delivered to whom."""
        if not delivery.agent:
            return  # said to somebody who is nobody's
        at = self.ratchet.clock.now()
        told = {"key": delivery.key, "channel": delivery.channel, "chat": delivery.chat, "person": delivery.person}
        body = audit_body("delivery_failed", at=iso(at), delivery_id=str(delivery.id), **told, reason=why)
        await self.ratchet.audit.write(delivery.agent, body, at)

    async def elsewhere(self, delivery: Delivery) -> list[dict[str, Any]]:
        """The same for that person on the next of their channels; empty where there is none, or it is an answer."""
        if delivery.person is None or "notice" not in delivery.body:
            return []
        names = list(self.channels)
        later = names[names.index(delivery.channel) + 1 :] if delivery.channel in names else []
        try:
            place = await self._first_place(delivery.person, later)
        except SendError as error:
            _log.error("delivery %s has no other channel just now: %s", delivery.id, error)
            return []
        if place is None:
            return []
        return [_row(f"{delivery.key}>{place.channel}", delivery.agent, place, delivery.body, delivery.session_id)]

    def in_template(self, delivery: Delivery) -> list[dict[str, Any]]:
        """The same there by template, once: the vendor says that the chat takes nothing else."""
        if delivery.body.get(_IN_TEMPLATE):
            return []
        place = Place(delivery.channel, delivery.chat, delivery.person)
        body = {**delivery.body, _IN_TEMPLATE: True}
        key = f"{delivery.key}>template"
        return [_row(key, delivery.agent, place, body, delivery.session_id, lists=delivery.lists)]


def _opened(outgoing: Outgoing, notice: Notice) -> Outgoing:
    """A list with the reason why it is told now, where that is another than that it is new."""
    if notice.kind == "session_reminder":
        said = "A reminder: this still waits for a decision."
    elif ignored := int(notice.body.get("ignored", 0)):
        said = f"The last {ignored} lists were not answered, so now I tell of one a week; any decision ends that."
    else:
        return outgoing
    return replace(outgoing, card=replace(outgoing.card, blocks=(Line(said), *outgoing.card.blocks)))


def _notice_row(notice: Notice, agent: str, place: Place, key: str) -> dict[str, Any]:
    body = {
        "notice": {
            "id": notice.id,
            "kind": notice.kind,
            "session_id": notice.session_id,
            "actor": notice.actor,
            "body": notice.body,
            "created_at": notice.created_at.isoformat(),
        }
    }
    lists = notice.kind in _LISTS
    session_id = notice.session_id if lists else None
    return _row(f"{key}:{place.channel}:{place.chat}", agent, place, body, session_id, lists=lists)


def _row(
    key: str, agent: str, place: Place, body: Mapping[str, Any], session_id: object = None, *, lists: bool = False
) -> dict[str, Any]:
    return {
        "id": str(uuid5(NAMESPACE_URL, f"ratchet:{key}")),
        "key": key,
        "agent": agent,
        "channel": place.channel,
        "chat": place.chat,
        "person": place.person,
        "body": dict(body),
        "session_id": str(session_id) if session_id else None,
        "lists": lists,
    }
