"""One person's chat about one agent: what its parts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bot.cards.answers import question_card
from bot.cards.card import Card
from bot.cards.words import Reader
from bot.conversation.asking import choices_for
from bot.conversation.offers import Offers
from bot.conversation.speaker import Shown, Speaker
from optimizer.approve.policy import Gate
from optimizer.stores.audit import OpenQuestion
from optimizer.wiring import Ratchet


@dataclass
class Chat:
    """Who speaks, what they were shown, and how they are answered."""

    ratchet: Ratchet
    speaker: Speaker
    names: Mapping[str, str]  # channel identity -> name
    shown: Shown = field(default_factory=Shown)
    environment: str = ""
    prompts: tuple[str, ...] = ()  # the names of the agent's
    patience_seconds: float | None = None  # how long an answer may wait for a deployment; None: to its end
    gate: Gate = field(default_factory=Gate)

    @property
    def agent(self) -> str:
        return self.speaker.agent

    def reader(self) -> Reader:
        actor = self.speaker.actor
        timezone = self.ratchet.settings.timezone_of(actor)
        return Reader(self.ratchet.clock.now(), actor, timezone, self.names)

    def offers(self) -> Offers:
        people = self.ratchet.people_of(self.agent)
        return Offers(
            self.shown.session,
            self.ratchet.clock.now(),
            may_decide=people.may_decide(self.speaker.actor),
            may_take_back=people.may_take_back(self.speaker.actor),
            prompts=self.prompts,
            may_approve=self.gate.may_approve,
            said_yes=self.gate.noted,
        )

    def line(self, text: str, choices: tuple[str, ...] | None = None) -> Card:
        """A few words; without `choices`, the replies that fit the session."""
        offered = choices_for(self.offers().waiting) if choices is None else choices
        return question_card(self.agent, self.environment, text, offered)

    def answer(self, cards: Iterable[Card]) -> tuple[Card, ...]:
        """The cards, with those of their replies that work now."""
        offers = self.offers()
        return tuple(replace(card, choices=offers.of(card.choices)) for card in cards)

    async def refresh(self) -> None:
        """The states of the session that is shown; its numbers, contents and base texts stay as they were seen."""
        shown, agent = self.shown, await self.ratchet.agents.find(self.agent)
        configured = self.ratchet.prompts.configured(self.agent)
        self.prompts = tuple({**(agent.prompts if agent else {}), **configured})
        if shown.session is not None:
            shown.session = await self.ratchet.sessions.read(shown.session.id)
        await self.look()

    async def question(self) -> OpenQuestion | None:
        """What a bare yes or no of this person would answer here; None when nothing about this agent was asked."""
        speaker, at = self.speaker, self.ratchet.clock.now()
        asked = await self.ratchet.questions.open(speaker.channel, speaker.chat, speaker.actor, at)
        return asked if asked is not None and asked.agent == self.agent else None

    async def let_go(self) -> None:
        """Something else was said: a yes that follows is to that, and not to what was asked before."""
        asked = await self.question()
        if asked is not None:
            await self.ratchet.questions.close(asked.id, self.ratchet.clock.now())

    async def look(self) -> Gate:
        """What the policies say now about the session that is shown."""
        self.gate = await self.ratchet.decisions.gate(self.agent, self.shown.session, self.speaker.actor)
        return self.gate


def without_replies(cards: Iterable[Card]) -> list[Card]:
    """Replies stand on the last card of an answer, once everything is told."""
    return [replace(card, choices=()) for card in cards]
