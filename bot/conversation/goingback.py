"""Back to a version by its number, or without some items: told before it is done, where more than that leaves."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from bot.cards.card import Card
from bot.cards.deployments import numbers_of
from bot.cards.ways_back import no_way_card, way_back_card
from bot.cards.words import numbers
from bot.conversation.chat import Chat
from optimizer.deploy.ways_back import NoWay, WayBack, live_items
from optimizer.records.deployment import Deployment

QUESTION_MINUTES = 10
_PROMPTS_OFFERED_MAX = 4
# A batch of which is told what becomes of it, a card, a sentence, or a sentence with the replies that would work.
Answer = UUID | Card | str | tuple[str, tuple[str, ...]]

CHANGED = "Someone else changed this deployment just now, so nothing was done; look at the status, then repeat."


class GoingBack:
    """The ways back that are deployments of their own, for one listed person in one chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ratchet = chat.ratchet

    async def to_version(self, prompt: str | None, version: int, text: str) -> Answer:
        """ "roll back core to v3". Raises `NotFoundError` for a version that does not exist."""
        names = self._chat.prompts
        if prompt is None and len(names) != 1:
            choices = tuple(f"roll back {name} to v{version}" for name in names[:_PROMPTS_OFFERED_MAX])
            return "Which prompt?", (*choices, "status")
        prompt = prompt or names[0]
        way = await self._ratchet.ways_back.to_version(self._chat.agent, prompt, version)
        if isinstance(way, NoWay):
            return await self._refused(way)
        if not way.is_more_than_the_last:
            return await self._go(way, text)
        plan = {"to_version": {"prompt": prompt, "version": version, "fingerprint": way.fingerprint}}
        card = way_back_card(self._chat.agent, self._chat.environment, way, await self._standing(), self._numbers())
        await self.ask(f"Roll back {prompt} to v{version}?", plan)
        return card

    async def confirmed(self, wanted: Mapping[str, Any], text: str, question: UUID) -> Answer:
        """A yes to what `to_version` asked: done if it still comes to the same."""
        way = await self._ratchet.ways_back.to_version(self._chat.agent, wanted["prompt"], wanted["version"])
        if isinstance(way, NoWay) or way.fingerprint != wanted["fingerprint"]:
            await self._ratchet.questions.close(question, self._ratchet.clock.now())
            return CHANGED
        return await self._go(way, text, question)

    async def without(self, leaving: frozenset[UUID], text: str) -> Answer:
        """ "take back only 3": the text of today without these items."""
        way = await self._ratchet.ways_back.without(self._chat.agent, leaving)
        return await self._refused(way) if isinstance(way, NoWay) else await self._go(way, text)

    async def in_the_way(self, batch: Sequence[Deployment]) -> Card | None:
        """Why a batch is not to be taken back as it is, and what works instead. None where nothing is in the way."""
        no_way = await self._ratchet.ways_back.in_the_way(self._chat.agent, batch)
        if no_way is None:
            return None
        held = {item for one in batch for item in one.items}
        return await self._refused(no_way, frozenset(held))

    async def ask(self, text: str, plan: Mapping[str, Any], session_id: UUID | None = None) -> None:
        """The question that a yes or a no of this person, here, answers once."""
        speaker, at = self._chat.speaker, self._ratchet.clock.now()
        await self._ratchet.questions.ask(
            uuid4(),
            speaker.agent,
            session_id,
            speaker.channel,
            speaker.chat,
            speaker.actor,
            text,
            dict(plan),
            secrets.token_hex(2),
            expires_at=at + timedelta(minutes=QUESTION_MINUTES),
            at=at,
        )

    async def _refused(self, no_way: NoWay, wanted: frozenset[UUID] | None = None) -> Card:
        """Why not, and the way that works instead: without the items alone, which keeps what somebody else wrote."""
        agent, environment = self._chat.agent, self._chat.environment
        leaving, shown = no_way.instead, self._numbers()
        if not leaving and (wanted or no_way.prompt):
            live = live_items(await self._standing(), no_way.prompt or None)
            leaving = live if wanted is None else live & wanted
        if not leaving or not leaving <= shown.keys():
            return no_way_card(agent, environment, no_way)
        instead = await self._ratchet.ways_back.without(agent, leaving)
        if isinstance(instead, NoWay):
            helps = "The label can be moved in the registry by hand." if no_way.prompt else ""
            return no_way_card(agent, environment, no_way, helps)
        reply = f"take back only {numbers(sorted(shown[id_] for id_ in leaving))}"
        return no_way_card(
            agent, environment, no_way, f'"{reply}" leaves the rest of the text as it is now.', (reply, "status")
        )

    async def _go(self, way: WayBack, text: str, question: UUID | None = None) -> Answer:
        said = self._chat.speaker.said(text, "rollback")
        return await self._ratchet.ways_back.go(self._chat.agent, way, said, question=question) or CHANGED

    async def _standing(self) -> list[Deployment]:
        return [one for one in await self._ratchet.deployments.newest(self._chat.agent) if one.stands]

    def _numbers(self) -> dict[UUID, int]:
        return numbers_of(self._chat.shown.session)
