"""Twilio's messages over one small client: the vendor's own ignores time-outs and sends again by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx

from bot.channels.port import SendError

BASE_URL = "https://api.twilio.com"
REQUEST_SECONDS = 10.0
_REASON_CHARACTERS_MAX = 200
_VERSION = "2010-04-01"

# The client writes every address that it asks for to the log, and ours hold the account.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

# What Twilio's codes come to, and what a person reads of them (the vendor's list of errors).
WINDOW = frozenset({63016})
LIMITED = frozenset({20429, 63017, 63018, 63038})
REFUSED = frozenset({21617, 21658, 63013, 63021, 92007})
NEVER = frozenset({20003, 21211, 21614, 63003, 63007, 63015, 63024})
WORDS = {
    63016: "outside the 24 h window",
    63018: "the channel's rate limit",
    63038: "the account's daily limit",
    63015: "the person has not joined the sandbox",
    63007: "the sender is not known; check TWILIO_WHATSAPP_FROM",
    63003: "that number has no WhatsApp",
    63024: "that number has no WhatsApp",
    20003: "the keys were refused; check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
    21617: "the text is too long",
}


def kind_of(code: int | None, status: int) -> str:
    """How a code is met: later, window, refused or never."""
    if code in WINDOW:
        return "window"
    if code in REFUSED:
        return "refused"
    if code in NEVER or status in (401, 403):
        return "never"
    return "later" if code in LIMITED or status == 429 or status >= 500 else "refused"


def words_of(code: int | None) -> str:
    """`outside the 24 h window`; the number of a code that has no words here."""
    return WORDS.get(code or 0) or (f"error {code}" if code else "no reason was given")


class TwilioApi:
    """One account. Errors name neither the account nor its keys."""

    def __init__(self, client: httpx.AsyncClient, account: str) -> None:
        self._client = client
        self._path = f"/{_VERSION}/Accounts/{account}/Messages.json"

    async def send(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Accepted, not delivered: what becomes of it comes by callback. Raises `SendError`."""
        try:
            response = await self._client.post(self._path, data=dict(form))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SendError("Twilio cannot be reached; the message is tried again.", "later") from error
        except httpx.HTTPError as error:
            raise SendError("Twilio did not answer; the message is looked for, and tried again.", "unknown") from error
        return _judged(response, may_be_done=True)

    async def listed(self, *, sender: str, to: str, since: str) -> list[dict[str, Any]]:
        """The newest messages to one person since a day (YYYY-MM-DD). Raises `SendError`."""
        query = {"From": sender, "To": to, "DateSent>": since, "PageSize": "50"}
        try:
            response = await self._client.get(self._path, params=query)
        except httpx.HTTPError as error:
            raise SendError("Twilio did not answer what was sent; it is tried again.", "later") from error
        found = _judged(response, may_be_done=False).get("messages")
        return cast("list[dict[str, Any]]", found) if isinstance(found, list) else []


def _judged(response: httpx.Response, *, may_be_done: bool) -> dict[str, Any]:
    try:
        answer: Any = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        answer = None
    if response.is_success and isinstance(answer, dict):
        return cast("dict[str, Any]", answer)
    said = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    code = said.get("code") if isinstance(said.get("code"), int) else None
    if response.status_code >= 500:
        raise SendError(
            f"Twilio failed ({response.status_code}); the message is looked for, and tried again.",
            "unknown" if may_be_done else "later",
        )
    kind = kind_of(code, response.status_code)
    wait = response.headers.get("retry-after", "")
    seconds = float(wait) if wait.isdigit() else None
    reason = str(said.get("message") or response.reason_phrase)[:_REASON_CHARACTERS_MAX]
    words = WORDS.get(code or 0) or reason
    raise SendError(f"Twilio refused the message: {words}.", cast("Any", kind), seconds)


@asynccontextmanager
async def open_api(account: str, token: str, base_url: str | None = None) -> AsyncGenerator[TwilioApi]:
    async with httpx.AsyncClient(
        base_url=base_url or BASE_URL, auth=(account, token), timeout=REQUEST_SECONDS
    ) as client:
        yield TwilioApi(client, account)
