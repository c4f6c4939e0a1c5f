"""Slack's home tab: what waits, what was deployed and how it does, and what sessions cost, when a person looks."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from bot.cards.card import Card, Line
from bot.cards.history import history_card
from bot.cards.session import session_card
from bot.cards.status import status_card
from bot.cards.words import Reader
from bot.channels.port import Outgoing
from bot.channels.slack.channel import IDENTITY, SlackChannel
from bot.channels.slack.home import home_view
from bot.surfaces import Surfaces
from optimizer.errors import RatchetError
from optimizer.records.states import SessionState
from optimizer.records.window import Window
from optimizer.text.numbers import usd
from optimizer.wiring import Ratchet

PUBLISH_SECONDS = 20.0
_AT_ONCE = 4
_AGENTS_MAX = 5
_ENTRIES_MAX = 50  # rows of the audit, for the last decisions
_WEEK = timedelta(days=7)
_UNKNOWN = "I do not know you here, so there is nothing to see; ask whoever runs this bot."
_log = logging.getLogger(__name__)


class SlackHome:
    """Publishes home tabs beside the webhooks: one that fails is drawn when it is opened again."""

    def __init__(self, ratchet: Ratchet, channel: SlackChannel, surfaces: Surfaces) -> None:
        self._ratchet = ratchet
        self._channel = channel
        self._surfaces = surfaces
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def opened(self, user: str) -> None:
        """Draws it soon; one drawing at a time for each person."""
        if user not in self._under_way:
            task = asyncio.create_task(self._told(user))
            self._under_way[user] = task
            task.add_done_callback(lambda _: self._under_way.pop(user))

    async def drawn(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._under_way.values())

    async def _told(self, user: str) -> None:
        try:
            async with self._slots, asyncio.timeout(PUBLISH_SECONDS):
                await self.publish(user)
        except (RatchetError, TimeoutError) as error:
            _log.warning("the home tab of %s was not drawn: %s", user, error)

    async def publish(self, user: str) -> None:
        """Raises `SendError` where Slack does not take it, `DatabaseError` where there is nothing to draw it from."""
        actor = f"{IDENTITY}{user}"
        agents = [one.agent for one in await self._ratchet.agents.list()]
        mine = [agent for agent in agents if self._ratchet.people_of(agent).may_take_back(actor)]
        said = [card for agent in mine[:_AGENTS_MAX] for card in await self._about(agent, actor)]
        view = home_view(said or [Outgoing(Card("", (Line(_UNKNOWN),)))])
        await self._channel.publish_home(user, view)

    async def _about(self, agent: str, actor: str) -> list[Outgoing]:
        ratchet = self._ratchet
        now = ratchet.clock.now()
        reader = Reader(now, actor, ratchet.settings.timezone_of(actor), self._surfaces.names)
        environment = (await ratchet.agents.get(agent)).environment
        session = await ratchet.sessions.newest(agent)
        deployments = await ratchet.deployments.newest(agent)
        said: list[Outgoing] = []
        if session is not None and session.state is SessionState.pending and now < session.expires_at:
            # Numbers are approved as a message of the chat showed them, so what decides is there.
            card = session_card(session, reader, deployments)
            said.append(Outgoing(Card(card.header, card.blocks), lists=True, waits=False))
        status = status_card(agent, environment, session, deployments, reader)
        said.append(Outgoing(Card(status.header, (*status.blocks, await self._cost(agent, reader)))))
        rows = await ratchet.audit.newest(agent, _ENTRIES_MAX)
        history = history_card(agent, environment, rows, reader)
        return [*said, Outgoing(Card(history.header, history.blocks))]

    async def _cost(self, agent: str, reader: Reader) -> Line:
        """`Cost per session: $0.035 in the last 7 days, $0.041 in the 7 before.`"""
        windows = [Window(since=reader.now - (n + 1) * _WEEK, until=reader.now - n * _WEEK) for n in range(2)]
        costs = [one.get("cost_usd") for one in await self._ratchet.rollups.read_all(agent, windows)]
        told = [usd(cost.mean) if cost.n else "not known" for cost in costs]
        return Line(f"Cost per session: {told[0]} in the last 7 days, {told[1]} in the 7 before.")
