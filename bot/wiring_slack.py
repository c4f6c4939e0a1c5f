"""Slack, as it is configured: heard over webhooks, or, without a public address, over a connection of ours."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter

from bot.channels.slack.channel import SlackChannel
from bot.channels.slack.socket import open_socket
from bot.service import Service
from bot.slack_home import SlackHome
from bot.web.slack import Identity, make_bolt, slack_router
from optimizer.settings import Environment

_HEARS_NOTHING = "Slack is written to and hears nothing: set SLACK_SIGNING_SECRET, or SLACK_APP_TOKEN for socket mode."
_log = logging.getLogger(__name__)


@asynccontextmanager
async def hear_slack(
    environment: Environment, channel: SlackChannel, service: Service
) -> AsyncGenerator[tuple[APIRouter, ...]]:
    """The webhooks; none in socket mode. Raises `SendError` where Slack opens no connection."""
    identity = Identity(channel.client)
    home = SlackHome(service.ratchet, channel, service.surfaces)
    bolt = make_bolt(channel.client, identity, service.keep, home.opened, service.ratchet.clock)
    try:
        if environment.slack_signing_secret is not None:
            yield (slack_router(bolt, identity, environment.slack_signing_secret.get_secret_value()),)
        elif environment.slack_app_token is not None:
            async with open_socket(bolt, environment.slack_app_token.get_secret_value()):
                yield ()
        else:
            _log.error(_HEARS_NOTHING)
            yield ()
    finally:
        await home.drawn()
