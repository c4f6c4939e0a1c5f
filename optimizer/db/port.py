"""The database port: every read and every write is one named SQL function."""

from __future__ import annotations

from typing import Any, Protocol


class Database(Protocol):
    """Calls `public.ratchet_<function>(p_<argument> => value, ...)` and returns its `jsonb` as Python.

    - Arguments are JSON values (dicts and lists travel as `jsonb`), `datetime`s (aware) and `UUID`s.
    - One call is one transaction. No transaction spans two calls: read with a revision, decide in
      Python, write with one function that compares the revision.
    - An expected refusal is a returned value, never an exception.
    - Errors are ours: `DatabaseUnavailable` (the call may or may not have taken effect: every
      function may be called again), `CallTooLong` (ask for less at once), `DatabaseConflict` (a
      constraint refused), `FunctionMissing` (the schema is too old), `DatabaseError` for the rest.
      The driver's error is the cause.
    - No call takes longer than 8 s: that is what a hosted database allows. Long work goes in chunks.
    - Safe for concurrent callers; more than the transport can serve wait their turn, within bounds.
    """

    async def call(self, function: str, **arguments: Any) -> Any: ...

    async def close(self) -> None: ...
