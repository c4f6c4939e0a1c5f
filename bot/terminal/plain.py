"""Plain text on a stream: pipes, files and dumb terminals. No control codes, whatever the text holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from bot.cards.card import Card
from bot.cards.layout import WIDTH, as_text


class PlainScreen:
    def __init__(self, stream: TextIO, width: int = WIDTH) -> None:
        self._stream = stream
        self._width = width

    def show(self, card: Card) -> None:
        self._write(f"{as_text(card, self._width)}\n\n")

    def say(self, text: str) -> None:
        self._write(f"{text}\n")

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[_Silent]:
        self._write(f"{label} ...\n")
        yield _Silent()

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        # A stream that cannot hold a letter gets its number, and not an error.
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


class _Silent:
    def advance(self, n: int = 1) -> None:
        """A transcript tells that a step began; it does not count."""
