"""Slack's webhooks: verified and kept before they are acknowledged.

Over Bolt, with three of its ways closed: it answers 200 and drops the event where it cannot ask who it is, so that is
asked beforehand; a timestamp that is no number, or a body that is no text, breaks it, so the signature is verified here
on the raw bytes, and the body is read once before.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.port import SendError
from bot.channels.slack.inbound import of_click, of_command, of_event, of_reaction
from optimizer.clock import Clock, SystemClock
from optimizer.records.messages import Inbound

PATH = "/slack/events"
IDENTITY_SECONDS = 2.5  # Slack waits for three
WINDOW_SECONDS = 300  # how old a delivery may be
_STAMP = re.compile("[0-9]{1,12}")
_EVERYTHING = re.compile(".*", re.DOTALL)
_IN_PRIVATE = "The answer comes in our direct messages."
_log = logging.getLogger(__name__)

Keep = Callable[[Inbound], Awaitable[None]]
Opened = Callable[[str], None]  # a user looks at the bot's home tab


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


def make_bolt(client: AsyncWebClient, identity: Identity, keep: Keep, opened: Opened, clock: Clock) -> AsyncApp:
    """The application that tells Slack's deliveries apart; each listener keeps its message before Bolt answers.

    It verifies nothing: `slack_router` did, and a socket is opened by us.
    """

    async def authorize() -> AuthorizeResult:
        known = await identity.get()
        if known is None:
            raise SendError("Slack does not say who the bot is.", "later")
        return known

    bolt = AsyncApp(
        client=AsyncWebClient(base_url=client.base_url, retry_handlers=[]),  # its token comes with the identity
        signing_secret="verified before",
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
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
        is_direct = str(body.get("channel_id", "")).startswith("D")
        await (ack() if is_direct else ack(_IN_PRIVATE))

    @bolt.event(_EVERYTHING)
    async def happened(body: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction]
        event = body.get("event") or {}
        if event.get("type") == "app_home_opened":
            if event.get("tab") == "home":
                opened(str(event.get("user")))
            return
        known = await identity.get()
        bot_user = (known.bot_user_id or "") if known else ""
        await kept(of_event(body, bot_user) or of_reaction(body))

    return bolt


def is_signed(headers: Mapping[str, str], body: bytes, secret: str, clock: Clock) -> bool:
    """Whether Slack sent these bytes, within the last five minutes."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if _STAMP.fullmatch(stamp) is None or abs(clock.now().timestamp() - int(stamp)) > WINDOW_SECONDS:
        return False
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}".encode(), headers.get("X-Slack-Signature", "").encode())


def slack_router(bolt: AsyncApp, identity: Identity, secret: str, clock: Clock | None = None) -> APIRouter:
    """`clock`: the world's, which Slack's timestamps follow."""
    router = APIRouter()
    handler = AsyncSlackRequestHandler(bolt)
    clock = clock or SystemClock()

    @router.post(PATH)
    async def deliver(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        body = await request.body()
        if not is_signed(request.headers, body, secret, clock):
            return Response(status_code=401)
        said = _read(body, request.headers.get("Content-Type", ""))
        if said is None:
            return Response(status_code=400)
        if said.get("type") == "app_rate_limited":
            _log.error("Slack holds events back: there were too many in this workspace within an hour.")
            return Response(status_code=200)
        if await identity.get() is None:
            return Response(status_code=503)  # Slack sends it again
        return await handler.handle(request)

    return router


def _read(body: bytes, kind: str) -> dict[str, Any] | None:
    """What is delivered, as JSON or in a form; None for what is neither."""
    try:
        text = body.decode("utf-8")
        if "json" in kind:
            return _object(json.loads(text))
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=100)
        if "payload" in fields:
            return _object(json.loads(fields["payload"][0]))
    except (ValueError, RecursionError):
        return None
    return {key: values[0] for key, values in fields.items()} or None


def _object(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
