"""Slack without a public address: its deliveries come over a connection that we open. For a laptop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.channels.port import SendError

CONNECT_SECONDS = 20.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_socket(
    bolt: AsyncApp, app_token: str, connect_seconds: float = CONNECT_SECONDS
) -> AsyncGenerator[SocketModeClient]:
    """Hears through `bolt` until the block ends; a connection that breaks is opened again.

    Raises `SendError` where Slack does not let us connect.
    """
    handler = AsyncSocketModeHandler(bolt, app_token, logger=_log, web_client=bolt.client)
    try:
        try:
            async with asyncio.timeout(connect_seconds):
                await handler.connect_async()
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendError(
                f"Slack opens no connection ({type(error).__name__}); check SLACK_APP_TOKEN, and that socket mode is "
                "on for the app.",
                "later",
            ) from None
        yield handler.client
    finally:
        await handler.close_async()
