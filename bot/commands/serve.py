"""`ratchet serve`: webhooks in, messages out, deployments carried out, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio

from bot.web.app import make_app
from bot.web.server import make_server
from bot.wiring import Open, open_service
from optimizer.settings import load_settings
from optimizer.wiring import open_ratchet


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_serve(options.host, options.port))


async def _serve(host: str, port: int) -> int:
    """0 after a stop that was asked for; 1 where it could not listen, or broke."""
    broken = False

    def broke() -> None:
        nonlocal broken
        broken = server.should_exit = True

    async with open_ratchet(load_settings()) as ratchet, open_service(ratchet) as opened:
        server = make_server(make_app(opened.service, opened.routers, broke=broke), host, port)
        print(_opening(host, port, opened), flush=True)
        await server.serve()
        return 0 if server.started and not broken else 1


def _opening(host: str, port: int, opened: Open) -> str:
    """What the service begins with: where it listens, and for whom."""
    channels = ", ".join(sorted(opened.service.channels))
    for_whom = f"channels: {channels}" if channels else "no channel is set up yet, see `ratchet doctor`"
    return f"ratchet: serving on {host} port {port}; {for_whom}. Ctrl-C ends it."
