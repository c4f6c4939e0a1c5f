"""Addresses of a PostgreSQL: how they are named in a message, and why one does not let us in. Never a password."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from optimizer.errors import DatabaseUnavailable, UsageError

CONNECT_TIMEOUT_SECONDS = 8  # for each address that a name stands for

_FORM = "postgresql://user:password@host:5432/database"
_PREFIX = re.compile(r"connection (to server )?.*?failed: |(FATAL|ERROR): +")


def name_of(dsn: str) -> str:
    """Database and host of a connection string. Raises `UsageError` when it is none."""
    try:
        parts = conninfo_to_dict(dsn)
    except (psycopg.Error, UnicodeError):
        # The cause would repeat what it could not read, and that may be the password.
        raise UsageError(
            f"DATABASE_URL is not a PostgreSQL address; write it as {_FORM}, other characters in the password as %XX."
        ) from None
    named = {key: str(parts.get(key) or "") for key in ("dbname", "user", "host", "port")}
    if "://" in dsn and any("@" in named[key] for key in ("dbname", "host", "port")):
        raise UsageError(
            f"The password in DATABASE_URL holds a character that ends it; write @ as %40, / as %2F, in {_FORM}."
        )
    port = f":{named['port']}" if named["port"] else ""
    return f"{named['dbname'] or named['user'] or 'postgres'} at {named['host'] or 'localhost'}{port}"


def refused(where: str, error: BaseException) -> DatabaseUnavailable:
    """The error for a connection that did not come about."""
    return DatabaseUnavailable(
        f"The database {where} cannot be reached ({_reason(error)}); check DATABASE_URL and that the server runs."
    )


def connect(dsn: str) -> psycopg.Connection:
    """A connection of one's own, for what is no call of the port. Raises `DatabaseUnavailable`."""
    try:
        return psycopg.connect(dsn, autocommit=True, prepare_threshold=None, connect_timeout=CONNECT_TIMEOUT_SECONDS)
    except psycopg.OperationalError as error:
        raise refused(name_of(dsn), error) from error


def _reason(error: BaseException) -> str:
    """What the server or the network said, without what libpq says around it."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    while (prefix := _PREFIX.match(first)) is not None:
        first = first[prefix.end() :]
    return first.rstrip(".")
