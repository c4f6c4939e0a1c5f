"""Green API's webhook: a secret path and a token, both compared in constant time; and the relay of the agent's own."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from bot.channels.green_api.inbound import Notification, of_notification
from bot.channels.green_api.instance import WEBHOOK_PATH, Webhook

RELAY_PATH = "/green-api/relay"

Heard = Callable[[Notification], Awaitable[None]]
Taken = Callable[[Notification], Awaitable[bool]]  # kept where it is for Ratchet, and whether it was


def webhook_router(webhook: Webhook, heard: Heard) -> APIRouter:
    router = APIRouter()

    @router.post(WEBHOOK_PATH + "{secret}")
    async def deliver(secret: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if not _same(secret, webhook.secret):
            return Response(status_code=404)
        body = await _body(request, webhook.token)
        if isinstance(body, Response):
            return body
        said = of_notification(body)
        if said is not None:
            await heard(said)
        return Response(status_code=200)

    return router


def relay_router(key: str, taken: Taken) -> APIRouter:
    router = APIRouter()

    @router.post(RELAY_PATH)
    async def relay(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The agent's handler hands on what it got, and learns whether to stay silent itself."""
        body = await _body(request, key)
        if isinstance(body, Response):
            return body
        said = of_notification(body)
        return JSONResponse({"mine": said is not None and await taken(said)})

    return router


async def _body(request: Request, token: str) -> dict[str, Any] | Response:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not _same(given, token):
        return Response(status_code=401)
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        return Response(status_code=400)
    return cast("dict[str, Any]", body) if isinstance(body, dict) else Response(status_code=400)


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())
