"""WhatsApp by Twilio, outbound: free words within 24 hours of the person's own, a template outside of them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

from bot.cards.card import ItemLine
from bot.channels.port import Capabilities, Outgoing, Part, SendError
from bot.channels.twilio.api import TwilioApi
from bot.channels.whatsapp import messages_of

NAME = "twilio"
CHARACTERS_MAX = 1_500  # Twilio takes 1,600
WINDOW_HOURS = 24.0
_BLANKS = re.compile(r"\s+")
_VARIABLE_CHARACTERS_MAX = 200


class TwilioChannel:
    """Implements `Channel` for one sender. `template` is the approved content for outside the window."""

    name = NAME
    capabilities = Capabilities(
        buttons_max=0,
        updates=False,
        threads=False,
        characters_max=CHARACTERS_MAX,
        pictures=True,
        window_hours=WINDOW_HOURS,
    )

    def __init__(
        self, api: TwilioApi, sender: str, *, template: str | None = None, callback_url: str | None = None
    ) -> None:
        self._api = api
        self._sender = sender
        self._template = template
        self._callback_url = callback_url

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        if not outgoing.window_open:
            return (self._in_template(outgoing),)
        return tuple(Part(text, {}) for text in messages_of(outgoing.card, CHARACTERS_MAX))

    def _in_template(self, outgoing: Outgoing) -> Part:
        """`3 changes wait for blog-writer (prod). Reply LIST`: the rest comes once the person answers."""
        waiting = sum(1 for block in outgoing.card.blocks if isinstance(block, ItemLine) and not block.closed)
        variables = {"1": str(waiting or 1), "2": _variable(outgoing.card.header)}
        return Part(
            f"{variables['1']} changes wait for {variables['2']}. Reply LIST",
            {"content_sid": self._template, "variables": variables},
        )

    async def chat_with(self, identity: str) -> str:
        return identity  # the address is the chat

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        form = {"From": self._sender, "To": chat}
        if "content_sid" in part.payload:
            if part.payload["content_sid"] is None:
                raise SendError(
                    f"{chat} cannot be written to: outside the 24 h window, and no template is set; run "
                    "`ratchet whatsapp setup`, and set TWILIO_CONTENT_SID.",
                    "never",
                )
            form["ContentSid"] = part.payload["content_sid"]
            form["ContentVariables"] = json.dumps(part.payload["variables"])
        else:
            form["Body"] = part.text
        if self._callback_url:
            form["StatusCallback"] = self._callback_url
        return str((await self._api.send(form))["sid"])

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """What was sent on WhatsApp stays as it is."""

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """Twilio keeps no token with a message: the same words to the same person since then are the same message."""
        day = (since - timedelta(days=1)).strftime("%Y-%m-%d")
        for message in await self._api.listed(sender=self._sender, to=chat, since=day):
            made_at = _time(str(message.get("date_created") or ""))
            if message.get("body") == part.text and made_at is not None and made_at >= since - timedelta(seconds=60):
                return str(message["sid"])
        return None


def _variable(text: str) -> str:
    """A variable of a template: one line, not empty."""
    return _BLANKS.sub(" ", text).strip()[:_VARIABLE_CHARACTERS_MAX] or "the agent"


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %z")
    except ValueError:
        return None
