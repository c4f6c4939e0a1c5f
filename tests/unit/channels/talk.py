"""A small conversation on the console, for tests that start it as a process of its own."""

from __future__ import annotations

import asyncio
import sys

from bot.cards.card import Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note
from bot.channels.console import Console, open_console

HEAVY = ("rich", "prompt_toolkit")
CARD = Card(
    "blog-writer (prod) self-analysis, 2026-02-26",
    (
        Heading("Cost (2 savings):"),
        ItemLine(3, "Playbooks text stands twice in master_system_core"),
        ItemLine(4, "Ghost block stands twice", "removed", closed=True),
        Gap(),
        DiffLine((DiffPart("same", "Be "), DiffPart("removed", "kind "), DiffPart("added", "brief "))),
        Note("Take it back."),
        Line("It is worse.", "bad"),
    ),
    ("deploy all", "show 3", "skip"),
)


async def converse(console: Console) -> None:
    async with console.progress("Importing 30 days of traffic", total=3) as step:
        for _ in range(3):
            step.advance(1)
    await console.say(CARD)
    while (reply := await console.read()) is not None:
        await console.say(Card("blog-writer (prod)", (Line(f"You said {reply!a}."),), ("status",)))


if __name__ == "__main__":
    asyncio.run(converse(open_console()))
    loaded = [name for name in HEAVY if name in sys.modules]
    print(f"The end; heavy: {', '.join(loaded) or 'none'}")
