"""Twilio's messages over one small client: the vendor's own ignores time-outs and sends again by itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import httpx

from bot.channels.port import SendError

BASE_URL = "https://api.twilio.com"
REQUEST_SECONDS = 10.0
LISTED_MAX = 100
_REASON_CHARACTERS_MAX = 200
_VERSION = "2010-04-01"

# The client writes every address that it asks for to the log, and ours hold the account.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

Kind = Literal["later", "unknown", "window", "never", "refused"]

# What Twilio's codes come to, and what a person reads of them (the vendor's list of errors).
OUTSIDE_WINDOW = 63016
_LATER = frozenset({20429, 63017, 63018, 63038})
_NEVER = frozenset({20003, 21211, 21610, 21614, 63003, 63007, 63015, 63024})
_WORDS = {
    OUTSIDE_WINDOW: "outside the 24 h window",
    20003: "the keys were refused; check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN",
    20429: "too many requests at once",
    21211: "that is no number",
    21610: "the person asked not to be written to",
    21614: "that is no number",
    21617: "the text is too long",
    21655: "the template is not known; run `ratchet whatsapp setup`",
    21656: "the template does not take what was filled in",
    21658: "the text is too long",
    63003: "that number has no WhatsApp",
    63007: "the sender is not known; check TWILIO_WHATSAPP_FROM",
    63013: "it is against WhatsApp's rules",
    63015: "the person has not joined the sandbox",
    63017: "too many messages at once",
    63018: "the channel's rate limit",
    63021: "WhatsApp does not take that content",
    63024: "that number has no WhatsApp",
    63038: "the account's daily limit",
}


def kind_of(code: int | None, status: int) -> Kind:
    """How a refusal is met: by its code, and where that says nothing by the HTTP status."""
    if code == OUTSIDE_WINDOW:
        return "window"
    if code in _LATER or status == 429:
        return "later"
    return "never" if code in _NEVER or status in (401, 403) else "refused"


def words_of(code: int | None) -> str:
    """`outside the 24 h window`; the number of a code that has no words here."""
    return _WORDS.get(code or 0) or (f"error {code}" if code else "no reason was given")


class TwilioApi:
    """One account. Errors name neither the account nor its keys."""

    def __init__(self, client: httpx.AsyncClient, account: str, timeout_seconds: float = REQUEST_SECONDS) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._path = f"/{_VERSION}/Accounts/{account}/Messages.json"

    async def send(self, form: Mapping[str, str]) -> str:
        """The message's id. It is accepted then, not delivered: that is told later. Raises `SendError`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._client.post(self._path, data=dict(form))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SendError("Twilio cannot be reached; the message is tried again.", "later") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise SendError("Twilio did not answer; the message is looked for, and tried again.", "unknown") from error
        sid = _judged(response, "unknown").get("sid")
        if not isinstance(sid, str):
            raise SendError("Twilio named no message; it is looked for, and tried again.", "unknown")
        return sid

    async def listed(self, *, sender: str, to: str, since: str) -> Sequence[dict[str, Any]]:
        """The newest messages to one person since a day (YYYY-MM-DD), at most `LISTED_MAX`. Raises `SendError`."""
        query = {"From": sender, "To": to, "DateSent>": since, "PageSize": str(LISTED_MAX)}
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._client.get(self._path, params=query)
        except (httpx.HTTPError, TimeoutError) as error:
            raise SendError("Twilio does not tell what was sent; it is tried again.", "later") from error
        found = _judged(response, "later").get("messages")
        return cast("list[dict[str, Any]]", found) if isinstance(found, list) else []


def _judged(response: httpx.Response, when_failed: Kind) -> dict[str, Any]:
    answer = answer_of(response)
    if response.is_success and answer:
        return answer
    if response.is_success or response.status_code >= 500:
        raise SendError(f"Twilio failed ({response.status_code}); the message is tried again.", when_failed)
    code = code_of(answer)
    wait = response.headers.get("retry-after", "")
    raise SendError(
        f"Twilio refused the message: {refusal(response)}.",
        kind_of(code, response.status_code),
        float(wait) if wait.isdigit() else None,
    )


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that was answered; empty where it is none."""
    try:
        answer: Any = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}


def code_of(answer: Mapping[str, Any]) -> int | None:
    code = answer.get("code")
    return code if isinstance(code, int) else None


def refusal(response: httpx.Response) -> str:
    """Why Twilio refused, in words without a full stop: ours where the code has some, else Twilio's own."""
    answer = answer_of(response)
    own = _WORDS.get(code_of(answer) or 0)
    theirs = str(answer.get("message") or response.reason_phrase).rstrip(".")
    return own or " ".join(theirs.split())[:_REASON_CHARACTERS_MAX] or f"status {response.status_code}"


@asynccontextmanager
async def open_api(
    account: str, token: str, base_url: str | None = None, timeout_seconds: float = REQUEST_SECONDS
) -> AsyncGenerator[TwilioApi]:
    async with httpx.AsyncClient(
        base_url=base_url or BASE_URL, auth=(account, token), timeout=timeout_seconds
    ) as client:
        yield TwilioApi(client, account, timeout_seconds)
