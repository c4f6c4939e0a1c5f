"""Plays the demo with the replies below and draws what its screen shows, as `docs/conversation.svg`."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console as Rich

from bot.cards.card import Card
from bot.channels.console import Console
from bot.demo.run import run_demo
from bot.terminal.styled import StyledScreen

PICTURE = Path(__file__).parents[1] / "docs" / "conversation.svg"
REPLIES = ["remove 4, deploy"]
COLUMNS = 76


class Still:
    """The screen without its moving parts, up to where the person leaves."""

    def __init__(self, screen: StyledScreen) -> None:
        self._screen = screen
        self.left = False

    def show(self, card: Card) -> None:
        if not self.left:
            self._screen.show(card)

    def say(self, text: str) -> None:
        self._screen.say(text)

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[Still]:
        yield self
        self.say(f"\u2713 {label}")

    def advance(self, n: int = 1) -> None:
        """A still picture shows no progress."""


class Scripted:
    """A keyboard on which a person types the replies above, and leaves."""

    def __init__(self, screen: Still, replies: Sequence[str]) -> None:
        self._screen = screen
        self._replies = list(replies)

    async def read(self, choices: Sequence[str]) -> str | None:
        if not self._replies:
            self._screen.left = True
            return None
        reply = self._replies.pop(0)
        self._screen.say(f"> {reply}")
        return reply


def main() -> None:
    rich = Rich(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    screen = Still(StyledScreen(rich))
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(run_demo(Path(home), Console(screen, Scripted(screen, REPLIES)), seed=7))
    drawing = rich.export_svg(title="scripts/demo", unique_id="ratchet")
    # The reader's own monospaced font: a picture that fetches fonts from elsewhere is no file of ours.
    drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
    drawing = drawing.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    PICTURE.write_text(re.sub(r"[ \t]+$", "", drawing, flags=re.MULTILINE), encoding="utf-8")
    print(f"Drew {PICTURE.relative_to(PICTURE.parents[1])}.")


if __name__ == "__main__":
    main()
