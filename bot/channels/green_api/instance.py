"""The instance as it stands: whether its number is connected, and how what people write reaches us."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.channels.green_api.api import AUTHORIZED, GreenApi
from bot.channels.port import SendError

LOOK_SECONDS = 180.0  # between two looks: a state that changes is not always told
WEBHOOK_PATH = "/green-api/hooks/"
_PASSING = frozenset({AUTHORIZED, "starting"})
_SETTINGS = {"incomingWebhook": "yes", "outgoingWebhook": "yes", "stateWebhook": "yes"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Our address, as Green API gets it: the last part of its path and the token are secrets."""

    secret: str
    token: str
    url: str | None  # None: the bot has no public address


def webhook_of(token: str, public_url: str | None) -> Webhook:
    """Both secrets follow from the instance's token, and say nothing about it."""

    def derived(purpose: str) -> str:
        return hmac.new(token.encode(), f"ratchet {purpose}".encode(), hashlib.sha256).hexdigest()

    secret = derived("webhook path")
    url = f"{public_url.rstrip('/')}{WEBHOOK_PATH}{secret}" if public_url else None
    return Webhook(secret, derived("webhook token"), url)


class Instance:
    """Looked at every few minutes. What is wrong is told once, and once more when it is right again."""

    def __init__(self, api: GreenApi, webhook: Webhook, *, relayed: bool = False) -> None:
        """`relayed`: the agent reads the instance and hands on what arrives; it is left as it is."""
        self._api = api
        self._webhook = webhook
        self._relayed = relayed
        self.state: str | None = None  # as it was seen last; None before the first look
        self.hears: Literal["webhook", "polling", "relay"] | None = "relay" if relayed else None
        self._told: str | None = None

    async def look(self) -> int:
        """One look; 0, for there is nothing more to do. Raises `SendError` when the instance cannot be asked."""
        self.saw(await self._api.state())
        if not self._relayed:
            self._tell(await self._arrange())
        return 0

    def saw(self, state: str) -> None:
        """What the instance says of itself, asked for or not."""
        before, self.state = self.state, state
        if state == before:
            return
        if (problem := self.problem) is not None:
            _log.error(problem)
        elif before is not None and state == AUTHORIZED:
            _log.warning("The WhatsApp number is connected again.")

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered, and what to do; None where all is well as far as is known."""
        if self.state is None or self.state in _PASSING:
            return None
        return f"The WhatsApp number is not connected ({self.state!r}); pair it again in Green API's console."

    async def check(self) -> None:
        """Raises `SendError` where what is sent would only lie in Green API's queue; asks again before that."""
        if self.problem is None:
            return
        self.saw(await self._api.state())
        if self.problem is not None:
            raise SendError(self.problem, "never" if self.state == "blocked" else "later")

    async def described(self) -> str:
        """In words, for whoever runs it; nothing is changed. Raises `SendError`."""
        self.saw(await self._api.state())
        advice = None if self._relayed else self._advised(await self._api.settings())
        heard = {"webhook": "by webhook", "polling": "out of its queue", "relay": "through the agent's own webhook"}
        return (
            f"{self.problem or f'number {self.state}'}; heard {heard[self.hears or 'relay']}. {advice or ''}".rstrip()
        )

    async def _arrange(self) -> str | None:
        """How people are heard; a webhook is set where there is none. What to do where that cannot be."""
        settings = await self._api.settings()
        advice, ours = self._advised(settings), self._webhook.url
        if ours is None or settings.get("webhookUrl"):
            return advice
        await self._api.set_settings({"webhookUrl": ours, "webhookUrlToken": self._webhook.token, **_SETTINGS})
        _log.warning("Ratchet's webhook was set at the WhatsApp instance; it restarts, which takes minutes.")
        return None

    def _advised(self, settings: Mapping[str, Any]) -> str | None:
        held = str(settings.get("webhookUrl") or "")
        if held and held != self._webhook.url:
            self.hears = "relay"
            return (
                "The WhatsApp instance delivers to another webhook, which is left as it is: let its handler hand on "
                "what it gets (GREEN_API_RELAY_KEY), or remove it in Green API's console."
            )
        self.hears = "webhook" if self._webhook.url else "polling"
        if settings.get("incomingWebhook") == "yes":
            return None
        return "The WhatsApp instance delivers nothing: switch incomingWebhook on in Green API's console."

    def _tell(self, what: str | None) -> None:
        if what is not None and what != self._told:
            _log.warning(what)
        self._told = what
