"""The HTTP server, which ends when it is told to and leaves the rest of the process to end in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from bot.web.app import STOP_SECONDS

CONNECTIONS_MAX = 1000  # more are answered 503 at once
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own raises the signal once more at its end: the process would die before anything is closed."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def make_server(app: FastAPI, host: str, port: int) -> Server:
    """SIGINT and SIGTERM end it: what is under way is finished, within `STOP_SECONDS`."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=int(STOP_SECONDS),
            server_header=False,
        )
    )
