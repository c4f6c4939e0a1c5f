"""WhatsApp by Green API, as it is configured: its channel, and one of its three ways to hear."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter

from bot.channels.green_api.api import GreenApi, open_api
from bot.channels.green_api.channel import NAME, GreenApiChannel, chat_of, is_group
from bot.channels.green_api.inbound import Notification, StateChanged, Status, of_notification
from bot.channels.green_api.instance import LOOK_SECONDS, Instance, Webhook, webhook_of
from bot.lanes import Loop
from bot.relay import Relay
from bot.service import Service
from bot.statuses import Statuses, Told
from bot.web.green_api import relay_router, webhook_router
from optimizer.errors import SettingsError
from optimizer.records.messages import Inbound
from optimizer.settings import Environment


@dataclass(frozen=True)
class GreenApiParts:
    api: GreenApi
    channel: GreenApiChannel
    webhook: Webhook
    relay_key: str | None

    def routers(self, service: Service) -> tuple[APIRouter, ...]:
        """The webhook where the bot has a public address, or the relay; and the loops that belong to them."""
        hearing = Hearing.of(service, self.channel.instance)
        service.beside.append(Loop("state of WhatsApp's number", self.channel.instance.look, LOOK_SECONDS))
        if self.relay_key is not None:
            return (relay_router(self.relay_key, hearing.taken),)
        if self.webhook.url is not None:
            return (webhook_router(self.webhook, hearing.heard),)
        service.beside.append(Loop("queue of WhatsApp's number", Poll(self.api, hearing).turn))
        return ()


@dataclass(frozen=True)
class Hearing:
    """What becomes of a notification."""

    service: Service
    instance: Instance
    relay: Relay
    statuses: Statuses
    allowed: str | None  # the one chat, beside those with one person, in which the bot is talked to

    @classmethod
    def of(cls, service: Service, instance: Instance) -> Hearing:
        ratchet, surfaces, deliveries = service.ratchet, service.surfaces, service.deliveries
        allowed = ratchet.settings.environment.whatsapp_allowed_chat_id
        return cls(
            service,
            instance,
            Relay(ratchet, surfaces, service.inbound, deliveries),
            Statuses(deliveries, surfaces, ratchet.clock),
            chat_of(allowed) if allowed else None,
        )

    async def heard(self, said: Notification) -> None:
        """From an instance of ours: everything is for us, and in a group what is said to us."""
        if isinstance(said, Inbound) and not is_group(said.chat):
            await self.service.keep(said)
        else:
            await self.taken(said)

    async def taken(self, said: Notification) -> bool:
        """From a chat that is not ours alone: kept where it is for us, and whether it was."""
        if isinstance(said, StateChanged):
            self.instance.saw(said.state)
            return False
        if isinstance(said, Status):
            return await self._told(said)
        if said.chat not in (self.allowed, chat_of(said.actor)) or not await self.relay.mine(said):
            return False
        await self.service.keep(said)
        return True

    async def _told(self, said: Status) -> bool:
        """Most are of the agent's messages, and whoever tells waits: one that outruns our note of the id is dropped."""
        if await self.service.deliveries.find(NAME, said.chat, said.vendor_id) is None:
            return False
        await self.statuses.told(Told(NAME, said.chat, said.vendor_id, said.status, said.rank, said.failed))
        if said.failed is not None:
            self.service.wake()
        return True


@dataclass(frozen=True)
class Poll:
    """Takes what arrived from the instance's queue, where nothing can be delivered to us."""

    api: GreenApi
    hearing: Hearing

    async def turn(self) -> int:
        """How many notifications. One is deleted there once it is kept here: a crash between the two repeats it."""
        if self.hearing.instance.hears is None:
            await self.hearing.instance.look()
        if self.hearing.instance.hears != "polling":
            return 0
        received = await self.api.receive()
        if received is None:
            return 0
        said = of_notification(received.body)
        if said is not None:
            await self.hearing.heard(said)
        await self.api.delete(received.receipt)
        return 1


@asynccontextmanager
async def open_green_api(environment: Environment) -> AsyncGenerator[GreenApiParts | None]:
    """None where no instance is set. Raises `SettingsError` when something else is missing."""
    instance, secret, url = environment.green_api_instance_id, environment.green_api_token, environment.green_api_url
    if instance is None:
        yield None
        return
    if secret is None:
        raise SettingsError("GREEN_API_INSTANCE_ID is set and GREEN_API_TOKEN is not; set it, or take the other out.")
    if url is not None and not url.startswith(("https://", "http://")):
        raise SettingsError(f"GREEN_API_URL is {url!r}; copy the apiUrl of the instance, which begins with https://.")
    token = secret.get_secret_value()
    key = environment.green_api_relay_key
    webhook = webhook_of(token, environment.public_url)
    async with open_api(instance, token, url) as api:
        channel = GreenApiChannel(api, Instance(api, webhook, relayed=key is not None))
        yield GreenApiParts(api, channel, webhook, key.get_secret_value() if key else None)
