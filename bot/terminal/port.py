"""The two halves of a terminal: a screen and a keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bot.cards.card import Card


class Step(Protocol):
    """A long step that is under way."""

    def advance(self, n: int = 1) -> None:
        """So many of the total are done, or nothing but life is shown where no total was given."""
        ...


class Screen(Protocol):
    def show(self, card: Card) -> None:
        """The whole card, and a blank line after it."""
        ...

    def say(self, text: str) -> None:
        """One line that is no card: what was typed, or that the conversation ends."""
        ...

    def step(self, label: str, total: int | None) -> AbstractContextManager[Step]:
        """Shows progress until the block ends; an error in the block goes through."""
        ...


class Keyboard(Protocol):
    async def read(self, choices: Sequence[str]) -> str | None:
        """The next line, without its end; None when there is no more. `choices` are replies to offer.

        Raises `KeyboardInterrupt` on Ctrl-C where the keyboard itself sees the key.
        """
        ...
