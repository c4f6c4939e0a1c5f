"""Rollups over the database port: fold what is queued, read a window."""

from __future__ import annotations

from typing import NamedTuple

from optimizer.db.port import Database
from optimizer.records.facts import Measures
from optimizer.records.window import Window


class Folded(NamedTuple):
    hours: int  # folded by this call
    left: int  # still queued, also those that another folder holds


class RollupStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def fold(self, agent: str | None, *, hours_max: int) -> Folded:
        """Folds queued hours, newest first: of one agent, or of all."""
        return Folded(**await self._database.call("rollups_fold", agent=agent, hours_max=hours_max))

    async def read(self, agent: str, window: Window) -> Measures:
        """The measures of a window: whole hours as they were folded, its edges from the traces."""
        rows = await self._database.call("rollups_read", agent=agent, since=window.since, until=window.until)
        return Measures.from_rows(rows)

    async def queued(self, agent: str, window: Window) -> int:
        """How many hours of the window are out of date."""
        return int(await self._database.call("rollups_queued", agent=agent, since=window.since, until=window.until))
