"""Slack's socket mode: `apps.connections.open`, and the connection over which deliveries come and are acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.simulators.slack import Slack

_numbers = itertools.count(1)


@dataclass
class Socket:
    """One connection at a time, as Slack's own: what is not acknowledged is delivered again."""

    connections: list[web.WebSocketResponse] = field(default_factory=list[web.WebSocketResponse])
    acknowledged: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    async def deliver(self, kind: str, payload: dict[str, Any]) -> None:
        """Returns when it was acknowledged."""
        envelope = f"envelope-{next(_numbers)}"
        known = self.acknowledged.setdefault(envelope, asyncio.Event())
        said = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": True}
        await self.connections[-1].send_str(json.dumps(said))
        await asyncio.wait_for(known.wait(), 20)

    async def break_off(self) -> None:
        """The connection ends, as it does every few hours."""
        await self.connections[-1].close()

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        self.connections.append(connection)
        await connection.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        async for message in connection:
            envelope = json.loads(message.data).get("envelope_id")
            if envelope in self.acknowledged:
                self.acknowledged[envelope].set()
        return connection


@asynccontextmanager
async def socket(space: Slack) -> AsyncIterator[Socket]:
    """The workspace opens connections to this until the block ends."""
    opened = Socket()
    app = web.Application()
    app.router.add_get("/link", opened._connect)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    space.socket_url = f"ws://127.0.0.1:{runner.addresses[0][1]}/link"
    try:
        yield opened
    finally:
        await runner.cleanup()
