"""Puts the contents of `templates` into a Twilio account, and asks WhatsApp to approve them. Again, it changes nothing.

Over raw JSON: the vendor's client sends contents without their types.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx

from bot.channels.twilio.api import REQUEST_SECONDS, answer_of, refusal
from bot.channels.twilio.templates import TEMPLATES, Template
from optimizer.errors import RatchetError

CONTENT_URL = "https://content.twilio.com"
_PAGE_SIZE = 100
_PAGES_MAX = 50
_NOT_ASKED = ("", "unsubmitted")


class SetupError(RatchetError):
    """Twilio did not do what the set-up needs."""


@dataclass(frozen=True)
class Standing:
    """How one template stands in the account."""

    template: Template
    sid: str
    status: str  # WhatsApp's word: approved, pending, rejected, ...; "" for one that needs none
    reason: str = ""  # of a rejection


class ContentApi:
    """The contents of one account."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def put_all(self) -> list[Standing]:
        """Every template stands in the account after that, once; those that need approval were asked for it."""
        held = await self._held()
        return [await self._put(template, held) for template in TEMPLATES]

    async def _put(self, template: Template, held: dict[str, str]) -> Standing:
        sid = held.get(template.name)
        if sid is None:
            sid = str((await self._ask("POST", "/v1/Content", template.content())).get("sid") or "")
            if not sid:
                raise SetupError(f"Twilio did not name what it made of {template.name!r}; run this again.")
        if not template.approved:
            return Standing(template, sid, "")
        path = f"/v1/Content/{sid}/ApprovalRequests"
        said = _whatsapp(await self._ask("GET", path))
        if said.get("status", "") in _NOT_ASKED:
            asked = await self._ask("POST", f"{path}/whatsapp", {"name": template.name, "category": "UTILITY"})
            said = {"status": "pending", **asked}
        return Standing(template, sid, str(said["status"]), str(said.get("rejection_reason") or ""))

    async def _held(self) -> dict[str, str]:
        """The contents of the account: name -> id; of two with one name the first that is listed."""
        held: dict[str, str] = {}
        for page in range(_PAGES_MAX):
            answer = await self._ask("GET", f"/v1/Content?PageSize={_PAGE_SIZE}&Page={page}")
            for content in cast("list[dict[str, Any]]", answer.get("contents") or []):
                held.setdefault(str(content.get("friendly_name")), str(content["sid"]))
            if not cast("dict[str, Any]", answer.get("meta") or {}).get("next_page_url"):
                return held
        raise SetupError(f"The account holds more than {_PAGES_MAX * _PAGE_SIZE} contents; delete some.")

    async def _ask(self, method: str, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, json=given)
        except httpx.HTTPError as error:
            raise SetupError("Twilio cannot be reached; run this again, it goes on where it stopped.") from error
        if not response.is_success:
            raise SetupError(f"Twilio refused the set-up: {refusal(response)}.")
        return answer_of(response)


def _whatsapp(answer: dict[str, Any]) -> dict[str, Any]:
    said = answer.get("whatsapp")
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


@asynccontextmanager
async def open_contents(account: str, token: str, base_url: str | None = None) -> AsyncGenerator[ContentApi]:
    async with httpx.AsyncClient(
        base_url=base_url or CONTENT_URL, auth=(account, token), timeout=REQUEST_SECONDS
    ) as client:
        yield ContentApi(client)
