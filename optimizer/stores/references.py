"""Which prompt versions traces name, over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from optimizer.clock import iso
from optimizer.db.port import Database
from optimizer.records.traced import Ran, Segment
from optimizer.records.window import Window

REFERENCES_MAX = 100  # of one span: who names a version for each run names none


class ReferenceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, agent: str, cuts: Sequence[datetime]) -> tuple[Segment, ...]:
        """The spans between neighbouring cuts (ascending, at least two), by whole folded hours.

        An hour that holds a cut counts where it begins.
        """
        rows = await self._database.call(
            "prompts_references", agent=agent, cuts=[iso(cut) for cut in cuts], limit=REFERENCES_MAX + 1
        )
        sessions: dict[int, int] = {}
        found: dict[int, dict[tuple[str, str], Ran]] = {}
        for row in rows:
            if row["reference"] is None:
                sessions[row["segment"]] = row["n"]
                continue
            prompt, _, reference = row["reference"].rpartition("@")
            first, last = (datetime.fromisoformat(row[end]).astimezone(UTC) for end in ("first", "last"))
            found.setdefault(row["segment"], {})[prompt, reference] = Ran(row["n"], first, last)
        return tuple(
            Segment(
                window=Window(since=since, until=until),
                sessions=sessions.get(number, 0),
                references=found.get(number, {}),
                complete=len(found.get(number, {})) <= REFERENCES_MAX,
            )
            for number, (since, until) in enumerate(pairwise(cuts))
        )
