"""One pass over a table of the owner's, page by page, that can be stopped anywhere and goes on from there.

The first pass reads the last two days forwards, then the time before them backwards, so that what a run looks at
is there first. Later passes read from the newest row that was seen, with an overlap of an hour for rows that appear
late; the first pass of a day reads the last two days again, which finds what was changed or deleted.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from optimizer.clock import Clock
from optimizer.errors import CallTooLong
from optimizer.observe.owner.mapping import Mapped
from optimizer.records.base import Record
from optimizer.stores.owner_tables import Kept, OwnerTableStore, Page, Position

OVERLAP = timedelta(hours=1)
REREAD = timedelta(days=2)
_KEEP = REREAD + timedelta(days=1)  # hashes: longer than anything is read again
_KEEP_REFUSED = timedelta(days=30)
PAGE_ROWS_MAX = 500
_PAGE_BYTES_MAX = 4 * 1024 * 1024  # as stored: PostgreSQL compresses
ROW_BYTES_MAX = 8 * 1024 * 1024
_SHARE_MAX = 64  # of a page that takes too long: the smallest that is tried


class Used(NamedTuple):
    """What became of the rows of a page."""

    kept: Sequence[Kept]
    gone: Sequence[str]


class Mark(Record):
    """How far a table was read."""

    cursor: Position | None = None  # where a pass that was stopped goes on
    newest: datetime | None = None  # the key of the newest row that was seen
    low: Position  # everything from here on was read once
    bottom: bool  # nothing below is wanted
    reread_at: datetime  # when a pass last began two days back


@dataclass(frozen=True)
class Walk:
    store: OwnerTableStore
    mapped: Mapped
    clock: Clock
    deadline: float  # of time.monotonic()
    history: timedelta | None  # how far back the first passes go; None: the last two days alone

    async def run(self, use: Callable[[Page], Awaitable[Used]]) -> Mark:
        """Calls `use` with each page and keeps the place after it; time was up where a cursor or the bottom is left."""
        at = self.clock.now()
        mark = await self._begin(at)
        while mark.cursor is not None:
            page = await self._page(mark.cursor, None)
            used = await use(page)
            place = page.last or mark.cursor
            newest = _newest(mark, page.last.key if page.last else None, at)
            mark = mark.model_copy(update={"cursor": None if page.ended else place, "newest": newest})
            await self._keep(mark, used, at)
            if self._time_is_up():
                return mark
        while not mark.bottom and self.history is not None:
            page = await self._page(mark.low, at - self.history)
            used = await use(page)
            newest = _newest(mark, max((row.key for row in page.rows), default=None), at)
            mark = mark.model_copy(update={"low": page.last or mark.low, "bottom": page.ended, "newest": newest})
            await self._keep(mark, used, at)
            if self._time_is_up():
                return mark
        return mark

    async def _begin(self, at: datetime) -> Mark:
        two_days_ago = Position(key=at - REREAD)
        row = await self.store.mark(self.mapped.source)
        if row is None or row["digest"] != self.mapped.digest:
            return Mark(cursor=two_days_ago, low=two_days_ago, bottom=self.history is None, reread_at=at)
        mark = Mark.model_validate(row["mark"])
        due = mark.reread_at.date() < at.date()
        start = mark.cursor or Position(key=mark.newest - OVERLAP if mark.newest else mark.low.key)
        if due and start.key > two_days_ago.key:
            start = two_days_ago
        return mark.model_copy(update={"cursor": start, "reread_at": at if due else mark.reread_at})

    async def _page(self, start: Position, backwards_until: datetime | None, share: int = 1) -> Page:
        try:
            return await self.store.page(
                self.mapped.source,
                self.mapped.ref,
                self.mapped.digest,
                start,
                backwards_until=backwards_until,
                rows_max=PAGE_ROWS_MAX // share,
                bytes_max=_PAGE_BYTES_MAX // share,
                row_bytes_max=ROW_BYTES_MAX,
            )
        except CallTooLong:
            if share >= _SHARE_MAX:
                raise
            return await self._page(start, backwards_until, share * 4)

    async def _keep(self, mark: Mark, used: Used, at: datetime) -> None:
        await self.store.keep(
            self.mapped.source,
            self.mapped.digest,
            mark.model_dump(mode="json"),
            used.kept,
            used.gone,
            keep_since=at - _KEEP,
            keep_refused_since=at - _KEEP_REFUSED,
            at=at,
        )

    def _time_is_up(self) -> bool:
        return time.monotonic() > self.deadline


def _newest(mark: Mark, seen: datetime | None, at: datetime) -> datetime | None:
    """The newest key so far; one in the future must not hide what comes until then."""
    return max((key for key in (mark.newest, seen and min(seen, at)) if key is not None), default=None)
