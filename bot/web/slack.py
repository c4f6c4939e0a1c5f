"""Slack's webhooks: verified and kept before they are acknowledged.

Over Bolt, with two of its ways closed: it answers 200 and drops the event where it cannot ask who it is, so that is
asked beforehand, and a timestamp that is no number breaks it, so that is looked at first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.port import SendError
from bot.channels.slack.inbound import of_click, of_command, of_event
from optimizer.clock import Clock
from optimizer.records.messages import Inbound

PATH = "/slack/events"
IDENTITY_SECONDS = 2.5  # Slack waits for three
_EVERYTHING = re.compile(".*", re.DOTALL)

Keep = Callable[[Inbound], Awaitable[None]]


class Identity:
    """Who the bot is in its workspace; asked once, and again until it is known."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._known: AuthorizeResult | None = None

    async def get(self) -> AuthorizeResult | None:
        """None while Slack does not say: what arrives then has to come again."""
        if self._known is None:
            try:
                async with asyncio.timeout(IDENTITY_SECONDS):
                    said = await self._client.auth_test()
            except (SlackClientError, TimeoutError, OSError):
                return None
            self._known = AuthorizeResult(
                enterprise_id=said.get("enterprise_id"),
                team_id=said.get("team_id"),
                bot_user_id=said.get("user_id"),
                bot_id=said.get("bot_id"),
                bot_token=self._client.token,
            )
        return self._known


def make_bolt(
    client: AsyncWebClient, signing_secret: str | None, identity: Identity, keep: Keep, clock: Clock
) -> AsyncApp:
    """The application that tells Slack's deliveries apart; each listener keeps its message before Bolt answers."""

    async def authorize() -> AuthorizeResult:
        known = await identity.get()
        if known is None:
            raise SendError("Slack does not say who the bot is.", "later")
        return known

    bolt = AsyncApp(
        client=client,
        signing_secret=signing_secret or "socket mode",
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=signing_secret is not None,
    )

    async def kept(message: Inbound | None) -> None:
        if message is not None:
            await keep(message)

    @bolt.action(_EVERYTHING)
    async def clicked(ack: Any, body: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction]
        await kept(of_click(body))
        await ack()

    @bolt.command(_EVERYTHING)
    async def commanded(ack: Any, body: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction]
        await kept(of_command(body, clock.now()))
        await ack()

    @bolt.event(_EVERYTHING)
    async def happened(body: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction]
        known = await identity.get()
        await kept(of_event(body, (known.bot_user_id or "") if known else ""))

    return bolt


def slack_router(bolt: AsyncApp, identity: Identity) -> APIRouter:
    router = APIRouter()
    handler = AsyncSlackRequestHandler(bolt)

    @router.post(PATH)
    async def deliver(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if re.fullmatch("[0-9]{1,12}", request.headers.get("X-Slack-Request-Timestamp", "")) is None:
            return Response(status_code=401)
        if await identity.get() is None:
            return Response(status_code=503)  # Slack sends it again
        return await handler.handle(request)

    return router
