"""Green API over one small client. The token stands in every address: neither is ever told or logged."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

import httpx

from bot.channels.port import SendError

BASE_URL = "https://api.green-api.com"
ANSWER_SECONDS = 10.0
RECEIVE_SECONDS = 5  # how long a poll waits for something to arrive; the least that is taken, so that stopping is quick
AUTHORIZED = "authorized"

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Received(NamedTuple):
    """One notification of the queue; it comes again until its receipt is deleted."""

    receipt: int
    body: dict[str, Any]


class GreenApi:
    """One instance."""

    def __init__(
        self, client: httpx.AsyncClient, instance: str, token: str, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._client = client
        self._instance = instance
        self._token = token
        self._answer_seconds = answer_seconds

    async def send(self, chat: str, text: str, quoted: str | None) -> str:
        """Queued, not delivered; the id of the message. Raises `SendError`."""
        body: dict[str, Any] = {"chatId": chat, "message": text, "linkPreview": False}
        if quoted is not None:
            body["quotedMessageId"] = quoted
        answer = await self._asked("POST", "sendMessage", body, may_be_done=True)
        if not isinstance(answer, dict) or not isinstance(answer.get("idMessage"), str):
            raise SendError("Green API did not say which message it queued; it is tried again.", "unknown")
        return answer["idMessage"]

    async def state(self) -> str:
        """`authorized`, or why nothing is delivered: notAuthorized, blocked, starting, yellowCard, sleepMode."""
        answer = await self._asked("GET", "getStateInstance")
        said = answer.get("stateInstance") if isinstance(answer, dict) else None
        return said if isinstance(said, str) else "starting"

    async def settings(self) -> dict[str, Any]:
        answer = await self._asked("GET", "getSettings")
        return answer if isinstance(answer, dict) else {}

    async def set_settings(self, values: Mapping[str, str]) -> None:
        """Changes these settings alone; the instance restarts, and that takes minutes."""
        await self._asked("POST", "setSettings", values)

    async def receive(self) -> Received | None:
        """The oldest notification of the queue, waited for; None when nothing came."""
        answer = await self._asked(
            "GET",
            "receiveNotification",
            query={"receiveTimeout": str(RECEIVE_SECONDS)},
            seconds=RECEIVE_SECONDS + self._answer_seconds,
        )
        if not isinstance(answer, dict) or not isinstance(answer.get("receiptId"), int):
            return None
        body = answer.get("body")
        return Received(answer["receiptId"], body if isinstance(body, dict) else {})

    async def delete(self, receipt: int) -> None:
        await self._asked("DELETE", "deleteNotification", after=f"/{receipt}")

    async def _asked(
        self,
        verb: Literal["GET", "POST", "DELETE"],
        method: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        after: str = "",
        seconds: float | None = None,
        may_be_done: bool = False,
    ) -> Any:
        address = f"/waInstance{self._instance}/{method}/{self._token}{after}"
        timeout = self._answer_seconds if seconds is None else seconds
        try:
            response = await self._client.request(verb, address, json=body, params=query, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise SendError(f"Green API cannot be reached for {method}; it is tried again.", "later") from None
        except httpx.HTTPError:
            # The cause holds the address, and that the token.
            raise SendError(
                f"Green API did not answer {method}; it is tried again.", "unknown" if may_be_done else "later"
            ) from None
        return _judged(response, method, may_be_done=may_be_done)


def _judged(response: httpx.Response, method: str, *, may_be_done: bool) -> Any:
    status = response.status_code
    unsure: Literal["unknown", "later"] = "unknown" if may_be_done else "later"
    if response.is_success:
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise SendError(f"Green API's answer to {method} cannot be read; check GREEN_API_URL.", unsure) from None
    if status == 466:
        raise SendError("Green API's quota is used up; raise it in the console.", "never")
    if status in (401, 403, 404) or response.is_redirect:
        raise SendError(
            f"Green API refused {method} ({status}); check GREEN_API_INSTANCE_ID, GREEN_API_TOKEN and GREEN_API_URL.",
            "never",
        )
    if status == 400:
        raise SendError(f"Green API refused what was sent with {method} (400).", "refused")
    if status < 500:
        raise SendError(
            f"Green API takes no more just now ({status}, {method}); it is tried again.", "later", _wait_of(response)
        )
    raise SendError(f"Green API failed at {method} ({status}); it is tried again.", unsure)


def _wait_of(response: httpx.Response) -> float | None:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 6 else None


@asynccontextmanager
async def open_api(
    instance: str, token: str, base_url: str | None = None, *, answer_seconds: float = ANSWER_SECONDS
) -> AsyncGenerator[GreenApi]:
    async with httpx.AsyncClient(base_url=base_url or BASE_URL) as client:
        yield GreenApi(client, instance, token, answer_seconds)
