"""Rollups over the database port: fold what is queued, read windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from optimizer.clock import iso
from optimizer.db.port import Database
from optimizer.records.facts import Labels, Measure, Measures
from optimizer.records.snapshot import Slot
from optimizer.records.window import Window

_Rows = dict[tuple[str, Labels], Measure]


class Folded(NamedTuple):
    hours: int  # folded by this call
    left: int  # still queued, also those that another folder holds


class FoldedDays(NamedTuple):
    days: int  # merged by this call
    left: int  # still to merge, of those whose hours are folded


class RollupStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def fold(self, agent: str | None, *, hours_max: int) -> Folded:
        """Folds queued hours, newest first: of one agent, or of all."""
        return Folded(**await self._database.call("rollups_fold", agent=agent, hours_max=hours_max))

    async def fold_days(self, agent: str | None, *, days_max: int) -> FoldedDays:
        """Merges the hours of days that are older than one of them, newest first. Nothing is wrong before it is done:
        a window reads the hours of such a day."""
        return FoldedDays(**await self._database.call("rollups_fold_days", agent=agent, days_max=days_max))

    async def read(self, agent: str, window: Window) -> Measures:
        """The measures of a window: whole hours and days as they were folded, its edges from the traces."""
        (measures,) = await self.read_all(agent, (window,))
        return measures

    async def read_all(self, agent: str, windows: Sequence[Window]) -> tuple[Measures, ...]:
        """The measures of each window, in one call: what windows share is read once."""
        cuts = sorted({at for window in windows for at in (window.since, window.until)})
        if not cuts:
            return ()
        rows = await self._database.call("rollups_segments", agent=agent, cuts=[iso(cut) for cut in cuts])
        segments = _by_segment(rows)
        return tuple(
            _sum(
                segments[number]
                for number, (since, until) in enumerate(pairwise(cuts), 1)
                if window.since <= since and until <= window.until
            )
            for window in windows
        )

    async def slots(self, agent: str, slots: Sequence[Window]) -> tuple[Slot, ...]:
        """Sessions and cost of stretches of time that follow each other (ascending), by whole hours: an hour belongs
        to the one in which it begins. Only those that begin after the agent's first trace did."""
        if not slots:
            return ()
        cuts = [*(slot.since for slot in slots), slots[-1].until]
        answer = await self._database.call("rollups_slots", agent=agent, cuts=[iso(cut) for cut in cuts])
        if answer["first"] is None:
            return ()
        first = datetime.fromisoformat(answer["first"]).astimezone(UTC)
        counted = {slot: (sessions, cost) for slot, sessions, cost in answer["slots"]}
        return tuple(
            Slot(slot, *counted.get(number, (0, 0.0))) for number, slot in enumerate(slots, 1) if slot.since > first
        )

    async def queued(self, agent: str, window: Window) -> int:
        """How many hours of the window are out of date."""
        return int(await self._database.call("rollups_queued", agent=agent, since=window.since, until=window.until))


def _by_segment(rows: Iterable[Sequence[Any]]) -> defaultdict[int, _Rows]:
    segments: defaultdict[int, _Rows] = defaultdict(dict)
    for segment, name, labels, n, total, total_sq, largest, bucket_ids, bucket_counts, samples in rows:
        segments[segment][name, tuple(sorted(labels.items()))] = Measure(
            n=n,
            total=total,
            total_sq=total_sq,
            largest=largest,
            buckets=dict(zip(bucket_ids or (), bucket_counts or (), strict=True)),
            samples=tuple(samples or ()),
        )
    return segments


def _sum(segments: Iterable[_Rows]) -> Measures:
    summed: _Rows = {}
    for rows in segments:
        for row, measure in rows.items():
            summed[row] = summed[row] + measure if row in summed else measure
    return Measures(summed)
