"""Replies line by line from a file descriptor: pipes, files, and terminals that are not to be decorated."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from bot.cards.words import safe

T = TypeVar("T")

LINE_BYTES_MAX = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_ECHO_CHARACTERS_MAX = 500


class LineKeyboard:
    """Reads only when asked. `echo` shows what came, so that a transcript reads like a conversation."""

    def __init__(self, descriptor: int | None, echo: Callable[[str], None] | None) -> None:
        self._descriptor = descriptor
        self._echo = echo
        self._rest = b""
        self._reading: asyncio.Future[bytes] | None = None

    async def read(self, choices: Sequence[str]) -> str | None:
        line = await self._line()
        if line is None:
            return None
        text = line.decode("utf-8", "replace").removesuffix("\r")
        if self._echo is not None and text.strip():
            self._echo(f"> {safe(text, _ECHO_CHARACTERS_MAX)}")
        return text

    async def _line(self) -> bytes | None:
        """The next line; of one that is too long only its beginning, None at the end."""
        line = b""
        while True:
            head, newline, rest = self._rest.partition(b"\n")
            line += head[: LINE_BYTES_MAX - len(line)]
            self._rest = rest
            if newline:
                return line
            chunk = await self._chunk()
            if not chunk:
                return line or None
            self._rest = chunk

    async def _chunk(self) -> bytes:
        if self._descriptor is None:
            return b""
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.create_future()
            # A daemon on the bare descriptor: the program's end never waits for a line that does not come.
            arguments = (self._descriptor, loop, self._reading)
            Thread(target=_read, args=arguments, daemon=True, name="ratchet-stdin").start()
        chunk = await asyncio.shield(self._reading)
        self._reading = None
        return chunk


def _read(descriptor: int, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[bytes]) -> None:
    try:
        chunk = os.read(descriptor, _CHUNK_BYTES)
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EBADF):  # the terminal is gone, or was never there
            _hand_over(loop, answer.set_exception, error)
            return
        chunk = b""
    _hand_over(loop, answer.set_result, chunk)


def _hand_over(loop: asyncio.AbstractEventLoop, give: Callable[[T], None], value: T) -> None:
    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(give, value)
