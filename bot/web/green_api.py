"""Green API's webhook: a secret path and a token, both compared in constant time; and the relay of the agent's own."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from bot.channels.green_api.inbound import of_notification
from optimizer.records.messages import Inbound

Keep = Callable[[Inbound], Awaitable[None]]
Mine = Callable[[Inbound], Awaitable[bool]]  # whether a message is for Ratchet, in a chat that is the agent's too

RELAY_PATH = "/green-api/relay"
WEBHOOK_PATH = "/green-api/{path}"


def green_api_router(secret: str, keep: Keep, mine: Mine) -> APIRouter:
    """`secret`: the webhook's path, its token and the relay's key."""
    router = APIRouter()

    @router.post(RELAY_PATH)
    async def relay(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The agent's webhook hands on what it got, and learns whether to stay silent itself."""
        body = await _body(request, secret)
        if isinstance(body, Response):
            return body
        message = of_notification(body)
        is_mine = message is not None and await mine(message)
        if message is not None and is_mine:
            await keep(message)
        return JSONResponse({"mine": is_mine})

    @router.post(WEBHOOK_PATH)
    async def deliver(path: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if not _same(path, secret):
            return Response(status_code=404)
        body = await _body(request, secret)
        if isinstance(body, Response):
            return body
        message = of_notification(body)
        if message is not None:
            await keep(message)
        return Response(status_code=200)

    return router


async def _body(request: Request, secret: str) -> dict[str, Any] | Response:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not _same(given, secret):
        return Response(status_code=401)
    try:
        body = json.loads(await request.body())
    except (ValueError, UnicodeDecodeError, RecursionError):
        return Response(status_code=400)
    return cast("dict[str, Any]", body) if isinstance(body, dict) else Response(status_code=400)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
