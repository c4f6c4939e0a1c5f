"""Traces over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from optimizer.db.port import Database
from optimizer.records.trace import Trace
from optimizer.records.window import Window


class Written(NamedTuple):
    """What became of the traces of one batch."""

    new: int
    grown: int  # known, replaced by a longer one
    rated: int  # known, took the outcome that it had not
    known: int  # nothing changed


class TraceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, agent: str) -> datetime | None:
        """When the newest trace began; None where there is none."""
        at = await self._database.call("traces_newest", agent=agent)
        return datetime.fromisoformat(at).astimezone(UTC) if at else None

    async def first_under(self, agent: str, window: Window) -> dict[tuple[str, str], datetime]:
        """When each prompt version first ran in the window, by (prompt, reference) as the traces name it."""
        rows = await self._database.call("traces_first", agent=agent, since=window.since, until=window.until)
        return {(row["prompt"], row["reference"]): datetime.fromisoformat(row["at"]).astimezone(UTC) for row in rows}

    async def put(self, agent: str, traces: Sequence[Trace], *, at: datetime) -> Written:
        """Writes a batch in one transaction, and queues the hours that it changes. May be repeated."""
        answer = await self._database.call("traces_put", agent=agent, traces=list(traces), at=at)
        return Written(**answer)
