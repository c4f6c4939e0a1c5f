"""The Supabase transport: our functions over the project's API, with its address and a secret key alone."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httpx
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from optimizer.db.address import CONNECT_TIMEOUT_SECONDS
from optimizer.db.calls import function_missing, given_up, refusal, require_names
from optimizer.errors import DatabaseError, DatabaseUnavailable, SettingsError

# The client writes every address that it asks for to the log; what a user needs to know is raised.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

# A call has 8 s in the database, and waits for a connection there for up to 10 s before that.
CALL_TIMEOUT_SECONDS = 20
_WAIT_SECONDS = 30
_REASON_CHARACTERS_MAX = 300
_FORM = "https://<project>.supabase.co"
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d+)?(/[\w./-]*)?")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
# No connection to the database, no answer from it in time, or no schema cache yet.
_API_WITHOUT_DATABASE = ("PGRST000", "PGRST001", "PGRST002", "PGRST003")
_UNKNOWN_FUNCTION = "PGRST202"
_NO_RIGHT = "42501"
_TOO_LARGE = 413
_PUBLIC_ROLES = ("anon", "authenticated")


class _Refused(Exception):
    """An answer that is not the function's."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(f"{status} {code} {reason}")
        self.status = status
        self.code = code
        self.reason = reason


class Project(NamedTuple):
    """A project's API as settings name it, checked before anything is asked of it."""

    url: str
    key: str

    @classmethod
    def of(cls, url: str, key: str) -> Project:
        """Raises `SettingsError` for what is no address, or no secret key. A key is never repeated."""
        address = re.sub(r"(/rest/v1)?/*$", "", url.strip())
        host = _host(address)
        if not host:
            raise SettingsError(f"SUPABASE_URL is not the address of a Supabase project; write it as {_FORM}.")
        if host in ("supabase.com", "app.supabase.com"):
            raise SettingsError(f"SUPABASE_URL is the dashboard's address; the project's own is {_FORM}.")
        secret = key.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", secret):
            raise SettingsError("SUPABASE_SERVICE_ROLE_KEY is not a key of Supabase; copy it anew from the dashboard.")
        if secret.startswith("sb_publishable_") or _role_of(secret) in _PUBLIC_ROLES:
            raise SettingsError(
                "SUPABASE_SERVICE_ROLE_KEY holds a public key, which may call nothing of ours; copy a secret key "
                "(sb_secret_...) or the service_role key from the dashboard."
            )
        return cls(address, secret)


class SupabaseDatabase:
    """Implements `Database` over one client of Supabase. Open it with `open()`, end it with `close()`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        connections_max: int = 10,
        waiting_max: int = 1000,
        call_timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> None:
        self._project = Project.of(url, key)
        self._where = f"at {_host(self._project.url)}"
        self._call_timeout_seconds = call_timeout_seconds
        self._places = asyncio.Semaphore(connections_max)
        self._waiting, self._waiting_max = 0, waiting_max
        # Our own client: the SDK's speaks HTTP/2, whose connections break in processes that live long.
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS),  # a call has one limit for all of it
            limits=httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max),
            event_hooks={"response": [self._judge]},
        )
        self._client: AsyncClient | None = None

    async def open(self) -> None:
        """Asks for nothing: whether the project answers is told by the first call."""
        options = AsyncClientOptions(httpx_client=self._http, auto_refresh_token=False, persist_session=False)
        self._client = await acreate_client(self._project.url, self._project.key, options)

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, function: str, **arguments: Any) -> Any:
        require_names(function, arguments)
        if self._client is None:
            raise DatabaseError(f"The database {self._where} is not open; open it before {function!r} is called.")
        values = {f"p_{name}": value for name, value in arguments.items()}
        try:
            async with self._turn(function), asyncio.timeout(self._call_timeout_seconds):
                return (await self._client.rpc(f"ratchet_{function}", values).execute()).data
        except _Refused as error:
            raise self._told(function, error) from error
        except TimeoutError as error:
            raise given_up(function, self._call_timeout_seconds) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DatabaseUnavailable(
                f"The database {self._where} cannot be reached ({_first_line(str(error)) or 'no answer in time'}); "
                "check SUPABASE_URL and that the project is not paused."
            ) from error
        except httpx.HTTPError as error:
            raise refusal(self._where, function, "08006", str(error)) from error

    @asynccontextmanager
    async def _turn(self, function: str) -> AsyncGenerator[None]:
        """One of the connections; more callers than there are wait, within bounds."""
        if self._waiting >= self._waiting_max:
            raise DatabaseError(f"{self._waiting} calls wait already, so {function!r} was not made; try again later.")
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise DatabaseError(
                f"The call {function!r} waited {_WAIT_SECONDS} s for others and was not made; try again later."
            ) from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _judge(self, response: httpx.Response) -> None:
        """Raises `_Refused` for anything but a function's answer.

        Here, because the SDK forgets the status of an error, and takes a page that a proxy sends for the answer.
        """
        is_json = response.headers.get("content-type", "").startswith("application/json")
        if response.is_success and is_json:
            return
        await response.aread()
        found = _object(response.content)
        reason = _first_line(str(found.get("message") or response.reason_phrase or "no reason given"))
        reason = reason.replace(self._project.key, "***")
        raise _Refused(response.status_code, str(found.get("code") or ""), reason)

    def _told(self, function: str, error: _Refused) -> DatabaseError:
        status, code, reason = error.status, error.code, error.reason
        if code == _UNKNOWN_FUNCTION:
            return function_missing(self._where, function)
        no_right = code == _NO_RIGHT and f"ratchet_{function}" in reason
        if status == 401 or no_right or (status == 403 and not _SQLSTATE.fullmatch(code)):
            return DatabaseError(
                f"Supabase refused the key ({reason}), so {function!r} was not done; check that "
                "SUPABASE_SERVICE_ROLE_KEY is a secret key of the project in SUPABASE_URL."
            )
        if _SQLSTATE.fullmatch(code):
            return refusal(self._where, function, code, reason)
        if code in _API_WITHOUT_DATABASE or status >= 500 or status == 429:
            return DatabaseUnavailable(
                f"The database {self._where} did not answer {function!r} ({status} {reason}); it may or may not have "
                "taken effect, so try again."
            )
        if status == _TOO_LARGE:
            return DatabaseError(
                f"What {function!r} sends is too large for the server {self._where} ({reason}), so it was not done; "
                "raise its limit to 8 MB."
            )
        return DatabaseError(
            f"The server {self._where} did not answer {function!r} as Supabase does ({status} {reason}); check "
            "SUPABASE_URL."
        )


def _host(address: str) -> str | None:
    """None where it is no address of a server of the web."""
    if not _ADDRESS.fullmatch(address):
        return None
    try:
        parts = urlsplit(address)
        return parts.hostname if parts.port != 0 else None
    except ValueError:
        return None


def _object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else, such as a proxy's page."""
    try:
        found: Any = json.loads(content)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _role_of(key: str) -> str | None:
    """The role that a legacy key names, unverified: a public key is told before anything is asked."""
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except binascii.Error:
        return None
    return _object(claims).get("role")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:_REASON_CHARACTERS_MAX]
