"""`ratchet serve`: webhooks in, messages out, deployments carried out, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio

import uvicorn

from bot.web.app import STOP_SECONDS, make_app
from bot.wiring import open_service
from optimizer.settings import load_settings
from optimizer.wiring import open_ratchet

CONNECTIONS_MAX = 1000  # more are answered 503 at once


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_serve(options.host, options.port))


async def _serve(host: str, port: int) -> int:
    """0 after a stop that was asked for; 1 where it could not listen, or broke."""
    broken = False

    def broke() -> None:
        nonlocal broken
        broken = server.should_exit = True

    async with open_ratchet(load_settings()) as ratchet, open_service(ratchet) as opened:
        config = uvicorn.Config(
            make_app(opened.service, opened.routers, broke=broke),
            host=host,
            port=port,
            log_level="warning",
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=int(STOP_SECONDS),
            server_header=False,
        )
        server = uvicorn.Server(config)
        await server.serve()
        return 0 if server.started and not broken else 1
