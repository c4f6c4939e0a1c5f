"""The psycopg transport: any PostgreSQL 15 to 18, a transaction-mode pooler included."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic_core import to_json

from optimizer.db.address import CONNECT_TIMEOUT_SECONDS, name_of, refused
from optimizer.db.calls import LOST, given_up, is_gone, refusal, require_names

# The driver's remarks are for who sets up logging; what a user needs to know is raised.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_OPEN_TIMEOUT_SECONDS = 15
# A transaction-mode pooler keeps no prepared statements; autocommit makes one call one transaction.
_CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
}


class PostgresDatabase:
    """Implements `Database` over one pool. Open it with `open()`, end it with `close()`."""

    def __init__(
        self,
        dsn: str,
        *,
        connections_max: int = 10,
        waiting_max: int = 1000,
        call_timeout_seconds: float = 120,
        revive: Callable[[], None] | None = None,
    ) -> None:
        """`revive` is called (in a thread) when the server is gone: the embedded one can be started again."""
        self._where = name_of(dsn)
        self._dsn = dsn
        self._call_timeout_seconds = call_timeout_seconds
        self._revive = revive
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=connections_max,
            max_waiting=waiting_max,
            timeout=30,
            reconnect_timeout=20,
            kwargs=_CONNECTION,
            open=False,
        )

    async def open(self) -> None:
        """Raises `DatabaseUnavailable` with the server's own reason, which a pool would only write to a log."""
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_SECONDS):
                await (await psycopg.AsyncConnection.connect(self._dsn, **_CONNECTION)).close()
                await self._pool.open(wait=True, timeout=_OPEN_TIMEOUT_SECONDS)
        except (psycopg.OperationalError, PoolTimeout, TimeoutError) as error:
            await self._pool.close()
            raise refused(self._where, error) from error

    async def close(self) -> None:
        await self._pool.close()

    async def call(self, function: str, **arguments: Any) -> Any:
        query = _query(function, tuple(arguments))
        values = {name: _adapt(value) for name, value in arguments.items()}
        try:
            async with asyncio.timeout(self._call_timeout_seconds), self._pool.connection() as connection:
                cursor = await connection.execute(query, values)
                row = await cursor.fetchone()
        except TimeoutError as error:
            raise given_up(function, self._call_timeout_seconds) from error
        except psycopg.Error as error:
            sqlstate = _sqlstate(error)
            if is_gone(sqlstate):
                await self._recover()
            raise refusal(self._where, function, sqlstate, _first_line(error)) from error
        return row[0] if row else None

    async def _recover(self) -> None:
        """Brings the embedded server back where there is one, and drops the connections that died with it."""
        if self._revive is not None:
            await asyncio.to_thread(self._revive)
        await self._pool.check()


@lru_cache(maxsize=512)
def _query(function: str, names: tuple[str, ...]) -> sql.Composed:
    require_names(function, names)
    pairs = [sql.SQL("{} => {}").format(sql.Identifier(f"p_{name}"), sql.Placeholder(name)) for name in names]
    return sql.SQL("select public.{}({})").format(sql.Identifier(f"ratchet_{function}"), sql.SQL(", ").join(pairs))


def _adapt(value: Any) -> Any:
    """Containers travel as jsonb, whose keys have no order; everything else as the driver sends it."""
    return Jsonb(value, dumps=to_json) if isinstance(value, dict | list | tuple) else value


def _sqlstate(error: psycopg.Error) -> str:
    """The server's, or that of a lost connection where no server is left to say it."""
    if error.sqlstate is not None:
        return error.sqlstate
    return LOST if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) else ""


def _first_line(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).splitlines()[0]
