"""The console channel: a conversation in a terminal, or a transcript where input or output is piped."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TextIO

from bot.cards.card import Card
from bot.cards.layout import WIDTH, as_text
from bot.channels.port import Capabilities, Outgoing, Part
from bot.terminal.lines import LineKeyboard
from bot.terminal.plain import PlainScreen
from bot.terminal.port import Keyboard, Screen, Step

NAME = "console"
CHAT = "terminal"
_CHARACTERS_MAX = 1_000_000
_DUMB = ("", "dumb", "unknown")


class Console:
    """One conversation on standard input and output. `open_console` picks the screen and the keyboard."""

    name = NAME
    capabilities = Capabilities(
        buttons_max=0, updates=False, threads=False, characters_max=_CHARACTERS_MAX, pictures=False
    )

    def __init__(self, screen: Screen, keyboard: Keyboard) -> None:
        self._screen = screen
        self._keyboard = keyboard
        self._choices: tuple[str, ...] = ()
        self._answered = False
        self._said = 0

    async def say(self, card: Card) -> None:
        """Shows it; the prompt line names the replies that work."""
        self._screen.show(card)
        self._choices = card.choices

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        return (Part(as_text(outgoing.card), {"card": outgoing.card}),)

    async def chat_with(self, identity: str) -> str:
        return CHAT

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        await self.say(part.payload["card"])
        self._said += 1
        return str(self._said)

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """What was printed stays; the prompt line names the replies that work now."""
        self._choices = part.payload["card"].choices

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """Nobody can look at what a terminal showed."""
        return None

    async def read(self) -> str | None:
        """The next reply; None when the person leaves: end of input, Ctrl-D, or Ctrl-C at the prompt."""
        while True:
            try:
                reply = await self._keyboard.read(self._choices)
            except KeyboardInterrupt:
                self._screen.say(f"Left; nothing {'more ' if self._answered else ''}was decided.")
                return None
            if reply is None:
                return None
            if reply.strip():
                self._answered = True
                return reply.strip()

    @asynccontextmanager
    async def progress(self, label: str, total: int | None = None) -> AsyncIterator[Step]:
        """Shows that a long step is under way, and how far it is where `total` is given."""
        with self._screen.step(label, total) as step:
            yield step


def open_console() -> Console:
    """On this process's standard input and output: decorated only where both are a real terminal."""
    if _is_terminal(sys.stdin) and _is_terminal(sys.stdout) and os.environ.get("TERM", "") not in _DUMB:
        from bot.terminal.prompt import PromptKeyboard

        return Console(open_screen(), PromptKeyboard())
    screen = open_screen()
    # A terminal shows by itself what is typed into it.
    typed = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    return Console(screen, LineKeyboard(_descriptor(sys.stdin), None if typed else screen.say))


def open_screen(*, plain_width: int = WIDTH) -> Screen:
    """On this process's standard output: in colour where that is a real terminal, else `plain_width` wide."""
    if _is_terminal(sys.stdout) and os.environ.get("TERM", "") not in _DUMB:
        from bot.terminal.styled import StyledScreen

        return StyledScreen()
    return PlainScreen(sys.stdout, plain_width)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _descriptor(stream: TextIO | None) -> int | None:
    return None if stream is None or stream.closed else stream.fileno()
