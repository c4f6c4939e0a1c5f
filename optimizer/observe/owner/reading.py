"""Pages of rows -> traces in our store, and what became of each row."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from optimizer.clock import Clock
from optimizer.errors import InputError
from optimizer.observe.owner.mapping import Mapped
from optimizer.observe.owner.merging import Merging
from optimizer.observe.owner.messages import message_of
from optimizer.observe.owner.rows import trace_of
from optimizer.observe.owner.walk import ROW_BYTES_MAX, Used
from optimizer.records.trace import Trace
from optimizer.stores.owner_tables import Kept, OwnerTableStore, Page, Row

_WRITE_BYTES_MAX = 4 * 1024 * 1024
_REASON_CHARACTERS_MAX = 300


@dataclass(frozen=True)
class Pulled:
    """What one pull did; `alarms` are sentences for the head of a run's message."""

    rows: int = 0  # new or changed
    gone: int = 0
    refused: int = 0
    alarms: tuple[str, ...] = ()

    def __add__(self, other: Pulled) -> Pulled:
        return Pulled(
            self.rows + other.rows, self.gone + other.gone, self.refused + other.refused, self.alarms + other.alarms
        )


class TraceReading:
    """Pages of the table of traces."""

    def __init__(
        self, store: OwnerTableStore, mapped: Mapped, agent: str | None, merging: Merging | None, clock: Clock
    ) -> None:
        self._store, self._mapped, self._agent, self._merging, self._clock = store, mapped, agent, merging, clock
        self.pulled = Pulled()

    async def use(self, page: Page) -> Used:
        read = await asyncio.to_thread(lambda: [self._read(row) for row in page.rows])
        forgotten: dict[str, list[str]] = defaultdict(list)
        for row, kept, _ in read:
            # A row that is another trace now is no longer the one that it was.
            if row.was is not None and kept.refused is None and row.was != (kept.agent, kept.trace_id):
                forgotten[row.was[0]].append(row.was[1])
        for gone in page.gone:
            if gone.agent is not None and gone.trace_id is not None:
                forgotten[gone.agent].append(gone.trace_id)
        for agent in sorted(forgotten):
            await self._store.forget(agent, forgotten[agent], at=self._clock.now())
        traces = [(kept.agent, trace, row.bytes) for row, kept, trace in read if kept.agent and trace is not None]
        await self._write(traces)
        if self._merging is not None:
            await self._merging.merge([trace for _, trace, _ in traces])
        refused = sum(kept.refused is not None for _, kept, _ in read)
        self.pulled += Pulled(rows=len(read), gone=len(page.gone), refused=refused)
        return Used([kept for _, kept, _ in read], [gone.id for gone in page.gone])

    def _read(self, row: Row) -> tuple[Row, Kept, Trace | None]:
        try:
            if row.doc is None:
                raise InputError(f"it is larger than {ROW_BYTES_MAX // 1024**2} MB")
            agent, trace = trace_of(row.doc, row.id, self._mapped, self._agent, now=self._clock.now())
        except InputError as error:
            was_agent, was_trace = row.was or (None, None)
            reason = str(error)[:_REASON_CHARACTERS_MAX]
            return row, Kept(row.id, row.key, row.sha256, was_agent, was_trace, refused=reason), None
        kept = Kept(row.id, row.key, row.sha256, agent, trace["trace_id"], trace["session_id"])
        return row, kept, trace

    async def _write(self, traces: list[tuple[str, Trace, int]]) -> None:
        batches: dict[str, list[Trace]] = defaultdict(list)
        size = 0
        for agent, trace, row_bytes in traces:
            batches[agent].append(trace)
            size += row_bytes
            if size >= _WRITE_BYTES_MAX:
                await self._flush(batches)
                batches.clear()
                size = 0
        await self._flush(batches)

    async def _flush(self, batches: dict[str, list[Trace]]) -> None:
        for agent in sorted(batches):
            await self._store.replace(agent, batches[agent], at=self._clock.now())


class MessageReading:
    """Pages of the table of messages: whose sessions have something new to merge."""

    def __init__(self, mapped: Mapped, merging: Merging) -> None:
        self._mapped, self._merging = mapped, merging
        self.pulled = Pulled()

    async def use(self, page: Page) -> Used:
        kept: list[Kept] = []
        times: list[datetime] = [self._merging.lately] if page.gone else []
        for row in page.rows:
            try:
                message = message_of(row.doc, self._mapped) if row.doc is not None else None
                refused = None if row.doc is not None else f"it is larger than {ROW_BYTES_MAX // 1024**2} MB"
            except InputError as error:
                message, refused = None, str(error)[:_REASON_CHARACTERS_MAX]
            session_id = message.session_id if message is not None else None
            if message is not None:
                times.append(message.at)
            kept.append(Kept(row.id, row.key, row.sha256, session_id=session_id, refused=refused))
        sessions = {one.session_id for one in (*kept, *page.gone) if one.session_id is not None}
        if times:
            await self._merging.merge_sessions(sessions, min(times), max(times))
        self.pulled += Pulled(len(kept), len(page.gone), sum(one.refused is not None for one in kept))
        return Used(kept, [gone.id for gone in page.gone])
