"""Progress of a command, for a person: standard output that goes to a pipe or a file holds results alone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.channels.console import open_console
from bot.terminal.port import Step


class _Silent:
    def advance(self, n: int = 1) -> None:
        """Nobody watches."""


@asynccontextmanager
async def progress(label: str, total: int | None = None) -> AsyncIterator[Step]:
    if sys.stdout is not None and sys.stdout.isatty():
        async with open_console().progress(label, total) as step:
            yield step
    else:
        yield _Silent()
