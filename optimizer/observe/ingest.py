"""Files of trace lines into the store: batch by batch, each batch whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from optimizer.clock import Clock
from optimizer.errors import InputError
from optimizer.observe.lines import LINE_BYTES_MAX, Lines
from optimizer.observe.normalise import normalise
from optimizer.observe.parse import parse_line
from optimizer.observe.refusal import shown
from optimizer.records.trace import Trace
from optimizer.stores.traces import TraceStore, Written
from optimizer.text.slug import SLUG_RULE, is_slug

BATCH_TRACES_MAX = 500
BATCH_BYTES_MAX = 4 * 1024 * 1024
REFUSED_SHOWN_MAX = 20
NO_AGENT = "agent is missing; name the agent with --agent"


class Refused(NamedTuple):
    line: int
    reason: str  # "events[3].t_ms is 'abc', not a whole number of milliseconds"

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True)
class ImportReport:
    """What became of the lines of one file so far."""

    new: int = 0
    grown: int = 0  # known, replaced by a longer one
    rated: int = 0  # known, took the outcome that it had not
    known: int = 0
    refused: tuple[Refused, ...] = ()  # the first 20
    refused_count: int = 0
    cleaned: int = 0  # traces in which characters that cannot be stored were replaced
    agents: tuple[str, ...] = ()  # whose traces these are, sorted
    truncated: str | None = None  # where a damaged gzip file ended
    bytes_read: int = 0
    bytes_total: int = 0

    @property
    def lines(self) -> int:
        return self.new + self.grown + self.rated + self.known + self.refused_count

    def with_written(self, agent: str, written: Written) -> ImportReport:
        return replace(
            self,
            new=self.new + written.new,
            grown=self.grown + written.grown,
            rated=self.rated + written.rated,
            known=self.known + written.known,
            agents=tuple(sorted({*self.agents, agent})),
        )

    def with_batch(self, batch: _Batch, lines: Lines) -> ImportReport:
        return replace(
            self,
            refused=(*self.refused, *batch.refused)[:REFUSED_SHOWN_MAX],
            refused_count=self.refused_count + batch.refused_count,
            cleaned=self.cleaned + batch.cleaned,
            bytes_read=lines.bytes_read,
            bytes_total=lines.bytes_total,
        )


@dataclass
class _Batch:
    """Traces that are sent together, and what was seen on the way to them."""

    traces: dict[str, list[Trace]] = field(default_factory=dict[str, list[Trace]])  # by agent
    refused: list[Refused] = field(default_factory=list[Refused])
    refused_count: int = 0
    cleaned: int = 0
    count: int = 0
    bytes: int = 0

    @property
    def full(self) -> bool:
        return self.count >= BATCH_TRACES_MAX or self.bytes >= BATCH_BYTES_MAX

    def refuse(self, line: int, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < REFUSED_SHOWN_MAX:
            self.refused.append(Refused(line, reason))


async def import_file(
    path: Path, traces: TraceStore, clock: Clock, *, agent: str | None = None
) -> AsyncGenerator[ImportReport]:
    """Imports one file; yields the report so far after each batch, the last time when all is done.

    `agent` wins over the line's. A line that cannot be used is refused with its reason and the rest goes on;
    what was reported is committed. Running it again changes nothing. Raises `InputError` if the file cannot
    be read.
    """
    lines = Lines(path)
    batches = _batches(lines, clock, agent)
    report = ImportReport()
    # Futures, and shielded: one that is cancelled would be done before its thread is.
    read = partial(asyncio.get_running_loop().run_in_executor, None, lambda: next(batches, None))
    reading = read()
    try:
        while (batch := await asyncio.shield(reading)) is not None:
            # The next batch is read while the database takes this one.
            reading = read()
            for name in sorted(batch.traces):
                written = await traces.put(name, batch.traces[name], at=clock.now())
                report = report.with_written(name, written)
            report = report.with_batch(batch, lines)
            yield report
    finally:
        # A thread that reads cannot be stopped; it ends with its batch.
        await asyncio.wait([reading])
        batches.close()
    yield replace(report, truncated=lines.truncated, bytes_read=lines.bytes_total, bytes_total=lines.bytes_total)


def _batches(lines: Lines, clock: Clock, agent: str | None) -> Generator[_Batch]:
    batch = _Batch()
    for number, raw in lines:
        if raw is None:
            batch.refuse(number, f"it is longer than {LINE_BYTES_MAX // 1024**2} MB")
            continue
        try:
            line, cleaned = parse_line(raw)
            own_agent, trace = normalise(line, now=clock.now())
            name = agent or own_agent
            if name is None:
                raise InputError(NO_AGENT)
            if not is_slug(name):
                raise InputError(f"agent is {shown(name)}, not {SLUG_RULE}")
        except InputError as error:
            batch.refuse(number, str(error))
            continue
        batch.traces.setdefault(name, []).append(trace)
        batch.cleaned += cleaned
        batch.count += 1
        batch.bytes += len(raw)
        if batch.full:
            yield batch
            batch = _Batch()
    yield batch
