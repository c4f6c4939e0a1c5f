"""Who speaks where, and what they have been shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from bot.cards.card import Card, ItemLine
from optimizer.approve.door import Said
from optimizer.records.session import Session


@dataclass(frozen=True, slots=True)
class Speaker:
    """One person in one chat, about one agent."""

    agent: str
    channel: str  # "console"
    chat: str
    actor: str  # channel identity: "console:dana"
    message: str | None = None  # the one that is answered, where the channel names messages

    def said(self, words: str, understood: str) -> Said:
        return Said(self.actor, self.channel, self.chat, words, understood, self.message)


@dataclass
class Shown:
    """What this chat shows now: numbers in a reply mean this session, as far as it was seen."""

    session: Session | None = None
    page: int = 1
    hashes: dict[UUID, str] = field(default_factory=dict[UUID, str])  # item -> content that was seen
    # item -> hash of each base text, as it was when the item was seen
    bases: dict[UUID, Mapping[str, str]] = field(default_factory=dict[UUID, Mapping[str, str]])

    def begin(self, session: Session) -> None:
        """A list is shown anew; what was seen of an older list counts no more."""
        if self.session is None or self.session.id != session.id:
            self.hashes.clear()
            self.bases.clear()
        self.session = session

    def saw(self, card: Card) -> None:
        if self.session is None:
            return
        numbers = {block.n for block in card.blocks if isinstance(block, ItemLine)}
        seen = [item for item in self.session.items if item.n in numbers]
        self.hashes.update({item.id: item.content_sha256 for item in seen})
        self.bases.update({item.id: item.base_sha256 for item in seen})

    def as_seen(self, session: Session) -> Session:
        """The session as it stands, each item on the base text on which it was seen here."""
        items = tuple(
            item.model_copy(update={"base_sha256": dict(self.bases.get(item.id, item.base_sha256))})
            for item in session.items
        )
        return session.model_copy(update={"items": items})

    def unseen(self, items: frozenset[UUID]) -> list[int]:
        """The numbers among these items that stood on a page which was not shown."""
        listed = self.session.items if self.session else ()
        return [item.n for item in listed if item.id in items and item.id not in self.hashes]
