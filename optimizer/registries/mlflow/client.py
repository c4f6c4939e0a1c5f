"""MLflow's own client: imported when it is needed, called in a thread, bounded, its errors told without secrets."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError, SettingsError

REQUEST_SECONDS = 5
CALL_SECONDS = 12.0  # of all requests of one call: less than the lease of a deployment
WAITS_SECONDS = (0.5, 1.5)  # before another try of a read
VERSION_MIN = (3, 11)
_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_REASON_CHARACTERS_MAX = 300
_LOGIN = re.compile(r"//[^/\s]*@")
_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_REFUSED_LOGIN = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_IN_THE_WAY = ("RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT", "ALREADY_EXISTS", "ABORTED")
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "INVALID_STATE", "NOT_IMPLEMENTED")
_NO_MLFLOW = ("ENDPOINT_NOT_FOUND",)
_T = TypeVar("_T")


class Client(Protocol):
    """What we use of `mlflow.MlflowClient`; none of it goes through its cache of prompts."""

    def create_prompt(self, name: str) -> object: ...

    def create_prompt_version(
        self,
        name: str,
        template: str | list[dict[str, Any]],
        *,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        response_format: dict[str, Any] | None = None,
        model_config: dict[str, Any] | None = None,
    ) -> object: ...

    def get_prompt_version(self, name: str, version: int) -> object: ...

    def search_prompt_versions(self, name: str, max_results: int) -> Sequence[object]: ...

    def search_registered_models(self, filter_string: str, max_results: int) -> Sequence[Any]: ...

    def set_prompt_alias(self, name: str, alias: str, version: int) -> None: ...


class NotAnswered(RegistryError):
    """What was asked for may or may not have been done."""


class Mlflow:
    """One server or database. Raises `SettingsError` for what is neither, before anything is imported or asked."""

    def __init__(
        self,
        tracking_uri: str,
        credentials: Mapping[str, str] | None = None,
        *,
        request_seconds: int = REQUEST_SECONDS,
        call_seconds: float = CALL_SECONDS,
        waits_seconds: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        """`credentials` are environment variables of MLflow's client (`MLFLOW_TRACKING_TOKEN`, ...)."""
        self._uri = tracking_uri.strip()
        self._scheme = _scheme(self._uri)
        self._credentials = dict(credentials or {})
        self._request_seconds = request_seconds
        self._call_seconds = call_seconds
        self.waits_seconds = tuple(waits_seconds)
        self._opening = asyncio.Lock()
        self._client: Client | None = None

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """A few calls within the time of one. Raises `NotAnswered` when that is over, and `SettingsError` where the
        client is not installed.
        """
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._open)  # importing it takes seconds
        try:
            async with asyncio.timeout(self._call_seconds):
                yield Session(self._client, self._judged, self.waits_seconds)
        except TimeoutError as error:
            raise NotAnswered(f"MLflow did not answer within {self._call_seconds:g} s; try again.") from error

    def _open(self) -> Client:
        # The client has no arguments for these. It would send what failed again seven times, also what was done.
        os.environ.update(
            self._credentials,
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
            MLFLOW_HTTP_REQUEST_TIMEOUT=str(self._request_seconds),
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_LOGGING_LEVEL="ERROR",
        )
        package = "mlflow-skinny" if self._scheme in _SERVERS else "mlflow"
        required = f"{package}>={'.'.join(map(str, VERSION_MIN))},<4"
        if not _is_installed(package):
            raise SettingsError(
                "The registry 'mlflow' in ratchet.toml needs MLflow's client, which is not installed here in a version "
                f"that can be used; run `pip install '{required}'`."
            )
        try:
            client: Any = importlib.import_module("mlflow").MlflowClient
            return cast("Client", client(tracking_uri=self._uri, registry_uri=self._uri))
        except Exception as error:
            raise SettingsError(
                f"MLflow's client cannot be used ({self._reason(error)}); check MLFLOW_TRACKING_URI, or run "
                f"`pip install --force-reinstall '{required}'`."
            ) from error

    def _judged(self, error: Exception, what: str) -> RegistryError:
        code, reason = str(getattr(error, "error_code", "")), self._reason(error)
        if code in _NOT_THERE:
            return PromptNotFound(f"MLflow does not have {what} ({reason}); check the name.")
        if code in _REFUSED_LOGIN:
            return RegistryError(
                f"MLflow refused the login ({reason}), so {what} was not done; check MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            )
        if code in _IN_THE_WAY:
            return RegistryConflict(f"MLflow refused {what} ({reason}): someone else is at it; look again.")
        if code in _REFUSED:
            return RegistryError(f"MLflow refused {what} ({reason}); correct that, then try again.")
        if code in _NO_MLFLOW:
            return RegistryError(f"The server did not answer {what} as MLflow does; check MLFLOW_TRACKING_URI.")
        return NotAnswered(
            f"MLflow did not answer {what} ({reason}); check that it runs where MLFLOW_TRACKING_URI says, then try "
            "again."
        )

    def _reason(self, error: Exception) -> str:
        """The first line of what it says, without the login of an address or a secret of ours."""
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        parts = urlsplit(self._uri)
        for secret in (self._uri, parts.netloc.rpartition("@")[0], parts.password, *self._credentials.values()):
            said = said.replace(secret, "***") if secret else said
        return _LOGIN.sub("//***@", said)[:_REASON_CHARACTERS_MAX]


class Session:
    """Calls, one after the other. `what` says in errors what is asked for."""

    def __init__(
        self, client: Client, judged: Callable[[Exception, str], RegistryError], waits_seconds: Sequence[float]
    ) -> None:
        self._client = client
        self._judged = judged
        self._waits_seconds = waits_seconds

    async def read(self, what: str, ask: Callable[[Client], _T]) -> _T:
        """Tries again where there is no answer."""
        for wait_seconds in self._waits_seconds:
            try:
                return await self.write(what, ask)
            except NotAnswered:
                await asyncio.sleep(wait_seconds)
        return await self.write(what, ask)

    async def write(self, what: str, ask: Callable[[Client], _T]) -> _T:
        """Once. Raises `NotAnswered` for what may have been done."""
        try:
            return await asyncio.to_thread(ask, self._client)
        except Exception as error:  # whatever its stores, drivers and plugins raise
            raise self._judged(error, what) from error


def _scheme(uri: str) -> str:
    try:
        scheme = urlsplit(uri).scheme.partition("+")[0].lower()
    except ValueError:
        scheme = ""
    if scheme not in (*_SERVERS, *_DATABASES):
        raise SettingsError(
            "MLFLOW_TRACKING_URI is not the address of an MLflow server or of its database; write it as "
            "http://host:5000 or sqlite:////path/to/mlflow.db."
        )
    return scheme


def _is_installed(package: str) -> bool:
    """Without importing it; the whole package brings the small one along."""
    try:
        numbers = re.findall(r"\d+", version(package))[:2]
    except PackageNotFoundError:
        return False
    return find_spec("mlflow") is not None and VERSION_MIN <= tuple(map(int, numbers)) < (4,)
