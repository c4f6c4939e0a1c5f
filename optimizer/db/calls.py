"""What every transport says about a call: the names that it may have, and what a refusal by the server means."""

from __future__ import annotations

import re
from collections.abc import Iterable

from optimizer.errors import CallTooLong, DatabaseConflict, DatabaseError, DatabaseUnavailable, FunctionMissing

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Connection lost; the server stops, crashed, or does not take connections yet.
_GONE = re.compile(r"08...|57P0.")
LOST = "08006"
_UNDEFINED_FUNCTION, _CANCELED, _DISK_FULL = "42883", "57014", "53100"
_LOCKED = "55P03"
_IN_EACH_OTHERS_WAY = ("40001", "40P01")


def require_names(function: str, arguments: Iterable[str]) -> None:
    """Raises `DatabaseError` for a name that could be anything else in SQL or in an address."""
    for name in (function, *arguments):
        if not _NAME.fullmatch(name):
            raise DatabaseError(f"{name!r} is not a name of a function or argument.")


def is_gone(sqlstate: str) -> bool:
    """Whether there is no server to talk to any more; one that refused (a full disk, a deadlock) is still there."""
    return _GONE.fullmatch(sqlstate) is not None


def refusal(where: str, function: str, sqlstate: str, reason: str) -> DatabaseError:
    """Our error for what the server said, by its SQLSTATE.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    if is_gone(sqlstate):
        return DatabaseUnavailable(
            f"The database {where} went away during {function!r}; it may or may not have taken effect, so try again."
        )
    if sqlstate == _UNDEFINED_FUNCTION:
        return function_missing(where, function)
    if sqlstate.startswith("23"):
        return DatabaseConflict(f"The database refused {function!r}: {reason}")
    if sqlstate == _CANCELED:
        return CallTooLong(f"The database ended the call {function!r}: {reason}")
    if sqlstate == _DISK_FULL:
        return DatabaseError(
            f"The disk of the database {where} is full ({reason}), so {function!r} was not done; "
            "make room there, then try again."
        )
    if sqlstate == _LOCKED:
        return DatabaseError(
            f"The database ended {function!r} because somebody holds a lock on what it reads ({reason}); try again."
        )
    if sqlstate in _IN_EACH_OTHERS_WAY:
        return DatabaseError(
            f"The database ended {function!r} because of others who wrote the same ({reason}), so it "
            "was not done; try again."
        )
    return DatabaseError(f"The call {function!r} failed in the database: {reason}")


def function_missing(where: str, function: str) -> FunctionMissing:
    return FunctionMissing(
        f"The database {where} does not know the function 'ratchet_{function}'; run `ratchet migrate`."
    )


def given_up(function: str, seconds: float) -> CallTooLong:
    """For a call whose answer we did not wait for."""
    return CallTooLong(
        f"The call {function!r} took more than {seconds:.0f} s and was given up; it may or may not have taken effect, "
        "so try again."
    )
