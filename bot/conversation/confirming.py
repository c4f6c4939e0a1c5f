"""The second yes, to one item and the checks that it fails: by the same person in the same place, once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from bot.cards.card import Card
from bot.cards.policies import second_yes
from bot.cards.words import subject
from bot.conversation.chat import Chat
from bot.conversation.commands import Command
from optimizer.approve.door import Decided
from optimizer.approve.machine import Kind, Order, Refusal
from optimizer.records.deployment import LeftOut
from optimizer.records.session import Item, Session
from optimizer.stores.audit import OpenQuestion

_QUESTION_MINUTES = 10
_PLAN = "confirm"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a yes to the question stands for: one item as it was when it was asked about, and some checks."""

    item: UUID
    n: int
    codes: frozenset[str]
    content_sha256: str
    base_sha256: dict[str, str]

    @property
    def understood(self) -> str:
        return f"deploy {self.n} in spite of: {', '.join(sorted(self.codes))}"

    @property
    def order(self) -> Order:
        return Order(Kind.approve, frozenset({self.item}))

    def as_seen(self, session: Session) -> Session:
        """The session as it stands, the item on the base text that it was asked about on."""
        items = (
            item.model_copy(update={"base_sha256": self.base_sha256}) if item.id == self.item else item
            for item in session.items
        )
        return session.model_copy(update={"items": tuple(items)})


def may_ask(result: Decided, orders: Sequence[Order], commands: Sequence[Command]) -> bool:
    """Whether a second yes is all that is missing, and it was one item alone that was named."""
    return (
        result.refusal is Refusal.confirm
        and len(orders) == len(commands) == 1
        and len(orders[0].items) == 1
        and not commands[0].all_items
    )


def confirmation_of(question: OpenQuestion) -> Confirmation | None:
    """None when the question is about something else."""
    asked: dict[str, Any] | None = question.plan.get(_PLAN)
    if asked is None:
        return None
    return Confirmation(
        UUID(asked["item"]), asked["n"], frozenset(asked["codes"]), asked["content_sha256"], asked["base_sha256"]
    )


async def ask(chat: Chat, result: Decided, before: frozenset[str] = frozenset()) -> Card:
    """Asks about the item that the ruling refused. `before`: the checks that the person let pass already."""
    left = next(left for left in (result.plan.left_out if result.plan else ()) if left.may_confirm)
    item = next(item for item in result.session.items if item.id == left.item)
    lines = second_yes(left)
    speaker, at = chat.speaker, chat.ratchet.clock.now()
    await chat.ratchet.questions.ask(
        uuid4(),
        speaker.agent,
        result.session.id,
        speaker.channel,
        speaker.chat,
        speaker.actor,
        " ".join(line.text for line in lines),
        {_PLAN: _asked(item, left, before)},
        secrets.token_hex(2),
        expires_at=at + timedelta(minutes=_QUESTION_MINUTES),
        at=at,
    )
    return Card(subject(chat.agent, chat.environment), lines, ("yes", "no"))


def _asked(item: Item, left: LeftOut, before: frozenset[str]) -> dict[str, Any]:
    codes = before | set(left.codes) | ({left.code} if left.code else set())
    return {
        "item": str(item.id),
        "n": item.n,
        "codes": sorted(codes),
        "content_sha256": item.content_sha256,
        "base_sha256": item.base_sha256,
    }
