"""PromptLayer's REST API: bounded requests, answers judged, errors told without the key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import httpx

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError, SettingsError

if TYPE_CHECKING:
    import ssl

# The client writes every address that it asks for to the log; what a user needs to know is raised.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

BASE_URL = "https://api.promptlayer.com"
REQUEST_SECONDS = 5.0
CALL_SECONDS = 15.0  # of all requests of one call: less than the lease of a deployment
WAITS_SECONDS = (0.5, 1.5)  # before another try
RETRY_AFTER_SECONDS_MAX = 5.0  # a longer pause is for who calls
ANSWER_BYTES_MAX = 10 * 1024 * 1024
_REASON_CHARACTERS_MAX = 300


class NotAnswered(RegistryError):
    """What was asked for may or may not have been done."""


class _Limited(RegistryError):
    """429: it was not done."""

    def __init__(self, message: str, retry_after_seconds: float | None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Api:
    """One workspace. Raises `SettingsError` for what is no key or no address, before anything is asked."""

    def __init__(
        self,
        key: str,
        base_url: str | None = None,
        *,
        request_seconds: float = REQUEST_SECONDS,
        call_seconds: float = CALL_SECONDS,
        waits_seconds: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        self._key = key.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", self._key):
            raise SettingsError("PROMPTLAYER_API_KEY is not a key of PromptLayer; copy it anew from its settings.")
        self._base_url = _address(base_url or BASE_URL)
        self._request_seconds = request_seconds
        self._call_seconds = call_seconds
        self.waits_seconds = tuple(waits_seconds)

    @asynccontextmanager
    async def session(self, *, calls: int = 1) -> AsyncGenerator[Session]:
        """A few requests over connections of their own, within the time of so many calls.

        Raises `NotAnswered` when that is over.
        """
        limit_seconds = self._call_seconds * calls
        client = httpx.AsyncClient(
            base_url=self._base_url,
            headers={"X-API-KEY": self._key},
            timeout=self._request_seconds,
            verify=_certificates(),
        )
        try:
            async with client, asyncio.timeout(limit_seconds):
                yield Session(client, self._key, self.waits_seconds)
        except TimeoutError as error:
            raise NotAnswered(f"PromptLayer did not answer within {limit_seconds:g} s; try again.") from error


class Session:
    """Requests, one after the other or side by side. `what` says in errors what is asked for."""

    def __init__(self, client: httpx.AsyncClient, key: str, waits_seconds: Sequence[float]) -> None:
        self._client = client
        self._key = key
        self._waits_seconds = waits_seconds

    async def read(self, path: str, what: str, **query: str | int) -> Any:
        """Past PromptLayer's cache. Tries again where there is no answer, or where it is too much at once."""
        for wait_seconds in self._waits_seconds:
            try:
                return await self._once("GET", path, what, query=query)
            except _Limited as error:
                await asyncio.sleep(_pause(error, wait_seconds))
            except NotAnswered:
                await asyncio.sleep(wait_seconds)
        return await self._once("GET", path, what, query=query)

    async def write(self, method: str, path: str, what: str, body: Mapping[str, Any]) -> Any:
        """Tries again only what was certainly not done. Raises `NotAnswered` for what may have been."""
        for wait_seconds in self._waits_seconds:
            try:
                return await self._once(method, path, what, body=body)
            except _Limited as error:
                await asyncio.sleep(_pause(error, wait_seconds))
        return await self._once(method, path, what, body=body)

    async def _once(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        headers = {"Cache-Control": "no-cache"} if body is None else None
        try:
            async with self._client.stream(method, path, params=query, json=body, headers=headers) as response:
                content = await _content(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotAnswered(
                f"PromptLayer cannot be reached ({_first_line(str(error)) or 'no answer in time'}), so {what} was not "
                "done; check the network and PROMPTLAYER_BASE_URL."
            ) from error
        except httpx.HTTPError as error:
            reason = _first_line(str(error)) or "no answer in time"
            raise NotAnswered(f"PromptLayer did not answer {what} ({reason}); try again.") from error
        return self._judged(response, content, what)

    def _judged(self, response: httpx.Response, content: bytes, what: str) -> Any:
        status = response.status_code
        answer = _object(content)
        if response.is_success and (status == 204 or answer is not None):
            return answer
        reason = f"{status} {_reason(answer or {}) or response.reason_phrase}".replace(self._key, "***")
        if status in (401, 403):
            raise RegistryError(
                f"PromptLayer refused the key ({reason}), so {what} was not done; check that PROMPTLAYER_API_KEY is a "
                "key of the workspace that holds the prompts."
            )
        if status == 404:
            raise PromptNotFound(f"PromptLayer does not have {what} ({reason}); check the name.")
        if status == 409:
            raise RegistryConflict(f"PromptLayer refused {what} ({reason}): someone else is at it; look again.")
        if status == 429:
            said = f"PromptLayer had too many requests for {what} ({reason}); try again later."
            raise _Limited(said, _seconds(response.headers.get("retry-after", "")))
        if status >= 500:
            raise NotAnswered(f"PromptLayer failed at {what} ({reason}); try again.")
        if status < 400:
            raise RegistryError(
                f"The server did not answer {what} as PromptLayer does ({status}); check PROMPTLAYER_BASE_URL."
            )
        raise RegistryError(f"PromptLayer refused {what} ({reason}); correct that, then try again.")


def _address(base_url: str) -> str:
    address = base_url.strip().rstrip("/")
    try:
        parts = httpx.URL(address)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("https", "http") or not parts.host or parts.userinfo or parts.query:
        raise SettingsError(f"PROMPTLAYER_BASE_URL is not an address; write it as {BASE_URL}, or leave it out.")
    return address


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reading them takes longer than a request


async def _content(response: httpx.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise RegistryError("PromptLayer sent an answer of more than 10 MB, which was not read; look at it there.")
    return b"".join(pieces)


def _object(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, such as a proxy's page."""
    try:
        found: Any = json.loads(content)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _reason(answer: Mapping[str, Any]) -> str:
    """What an error says, in any of its forms: those of 401 and 404 are not documented."""
    said = answer.get("message") or answer.get("error")
    if said:
        return _first_line(str(said))
    try:
        detail = answer["detail"][0]
        return _first_line(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}")
    except (LookupError, TypeError):
        return ""


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:_REASON_CHARACTERS_MAX]


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if re.fullmatch(r"\d{1,6}", retry_after.strip()) else None


def _pause(limited: _Limited, wait_seconds: float) -> float:
    """How long to wait before the next try. Raises the error where that is too long for one call."""
    asked = limited.retry_after_seconds
    if asked is not None and asked > RETRY_AFTER_SECONDS_MAX:
        raise limited
    return wait_seconds if asked is None else max(asked, wait_seconds)
