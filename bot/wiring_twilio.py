"""WhatsApp by Twilio, as it is configured: its channel, and its webhooks where the bot has a public address."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from bot.channels.twilio.api import OUTSIDE_WINDOW, open_api, words_of
from bot.channels.twilio.channel import NAME, TwilioChannel
from bot.channels.twilio.inbound import NOT_DELIVERED, Status
from bot.channels.twilio.templates import Contents
from bot.service import Service
from bot.statuses import Statuses, Told
from bot.web.media import Gallery, media_router
from bot.web.twilio import STATUS_PATH, Signed, twilio_router
from optimizer.clock import Clock
from optimizer.errors import SettingsError
from optimizer.settings import Environment

_NO_ADDRESS = (
    "WhatsApp by Twilio hears nothing: set PUBLIC_URL to the address under which Twilio reaches `ratchet serve`."
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Twilio:
    channel: TwilioChannel
    signed: Signed | None
    gallery: Gallery | None

    def routers(self, service: Service) -> tuple[APIRouter, ...]:
        """None without a public address: nothing can be verified then, and no picture be fetched."""
        if self.signed is None or self.gallery is None:
            return ()
        clock = service.ratchet.clock
        statuses = Statuses(service.deliveries, service.surfaces, clock)

        async def told(status: Status) -> None:
            await statuses.told(_of(status))
            service.wake()

        return (twilio_router(self.signed, service.keep, told, clock), media_router(self.gallery))


@asynccontextmanager
async def open_twilio(environment: Environment, clock: Clock) -> AsyncGenerator[Twilio | None]:
    """None where no account is set. Raises `SettingsError` when something else is missing."""
    account, token, sender = (
        environment.twilio_account_sid,
        environment.twilio_auth_token,
        environment.twilio_whatsapp_from,
    )
    if account is None:
        yield None
        return
    if token is None or sender is None:
        missing = "TWILIO_AUTH_TOKEN" if token is None else "TWILIO_WHATSAPP_FROM"
        raise SettingsError(f"TWILIO_ACCOUNT_SID is set and {missing} is not; set it, or take the other out.")
    public_url = environment.public_url
    if public_url is None:
        _log.warning(_NO_ADDRESS)
    gallery = Gallery(public_url, clock) if public_url else None
    contents = Contents(environment.twilio_content_sid, environment.twilio_news_sid, environment.twilio_buttons_sid)
    secret = token.get_secret_value()
    async with open_api(account, secret, environment.twilio_base_url) as api:
        channel = TwilioChannel(
            api,
            sender,
            contents=contents,
            callback_url=f"{public_url.rstrip('/')}{STATUS_PATH}" if public_url else None,
            hang=gallery.hang if gallery else None,
        )
        yield Twilio(channel, Signed(secret, public_url) if public_url else None, gallery)


def _of(status: Status) -> Told:
    failed = words_of(status.code) if status.status in NOT_DELIVERED else None
    return Told(
        NAME, status.chat, status.vendor_id, status.status, status.rank, failed, window=status.code == OUTSIDE_WINDOW
    )
