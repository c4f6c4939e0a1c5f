"""The bot's one place that wires: the channels that are configured, and the service over them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from bot.channels.port import Channel
from bot.channels.slack.channel import SlackChannel, open_slack
from bot.service import Service, make_service
from bot.wiring_green_api import open_green_api
from bot.wiring_slack import hear_slack
from bot.wiring_twilio import open_twilio
from optimizer.wiring import Ratchet


@dataclass(frozen=True)
class Open:
    """The service, and the webhooks of its channels."""

    service: Service
    routers: tuple[APIRouter, ...]


@asynccontextmanager
async def open_service(ratchet: Ratchet) -> AsyncGenerator[Open]:
    """Opens the channels whose keys are set; closed in reverse."""
    async with AsyncExitStack() as stack:
        channels: dict[str, Channel] = {}
        environment = ratchet.settings.environment
        slack: SlackChannel | None = None
        if environment.slack_bot_token is not None:
            token = environment.slack_bot_token.get_secret_value()
            slack = await stack.enter_async_context(open_slack(token, environment.slack_base_url))
            channels["slack"] = slack
        twilio = await stack.enter_async_context(open_twilio(environment, ratchet.clock))
        if twilio is not None:
            channels[twilio.channel.name] = twilio.channel
        green_api = await stack.enter_async_context(open_green_api(environment))
        if green_api is not None:
            channels[green_api.channel.name] = green_api.channel
        worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        service = make_service(ratchet, channels, worker)
        routers: list[APIRouter] = []
        if slack is not None:
            routers += await stack.enter_async_context(hear_slack(environment, slack, service))
        if twilio is not None:
            routers += twilio.routers(service)
        if green_api is not None:
            routers += green_api.routers(service)
        yield Open(service, tuple(routers))
