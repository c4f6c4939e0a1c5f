"""WhatsApp by Green API, outbound: plain texts, at any hour."""

from __future__ import annotations

from datetime import datetime

from bot.channels.green_api.api import GreenApi
from bot.channels.green_api.instance import Instance
from bot.channels.port import Capabilities, Outgoing, Part
from bot.channels.whatsapp import IDENTITY, messages_of

NAME = "green_api"
CHARACTERS_MAX = 3_000  # it takes 20,000, and nobody reads that on a phone
_PERSON, _GROUP = "@c.us", "@g.us"


class GreenApiChannel:
    """Implements `Channel` for one instance. It has no buttons: WhatsApp took them from such bridges."""

    name = NAME
    capabilities = Capabilities(
        buttons_max=0, updates=False, threads=True, characters_max=CHARACTERS_MAX, pictures=False
    )

    def __init__(self, api: GreenApi, instance: Instance) -> None:
        self._api = api
        self.instance = instance

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        return tuple(Part(text, {}) for text in messages_of(outgoing.card, CHARACTERS_MAX))

    async def chat_with(self, identity: str) -> str:
        return chat_of(identity)

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        await self.instance.check()
        return await self._api.send(chat, part.text, thread)

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """What was sent on WhatsApp stays as it is."""

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """The bridge keeps no token with a message: two of the same words cannot be told apart."""
        return None


def chat_of(identity: str) -> str:
    """`whatsapp:+33600000001` -> `33600000001@c.us`; a chat id stays as it is."""
    address = identity.removeprefix(IDENTITY)
    return address if address.endswith((_PERSON, _GROUP)) else f"{address.removeprefix('+')}{_PERSON}"


def is_group(chat: str) -> bool:
    return chat.endswith(_GROUP)


def identity_of(sender: str) -> str:
    """`33600000001@c.us` -> `whatsapp:+33600000001`."""
    return f"{IDENTITY}+{sender.removesuffix(_PERSON)}" if sender.endswith(_PERSON) else f"{IDENTITY}{sender}"
