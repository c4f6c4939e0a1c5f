"""Days of generated traffic in a real database, each read once, and windows that are put together from them.

A day is real all the way: its traces are stored, folded to rollups, and read as the measures of its 24 hours.
Measures of days add up, as the snapshot adds up hours: counts, sums, sums of squares and histogram buckets
are summed, the largest is kept, and the first five samples. So a window of any 60 days costs some sums.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from random import Random

import numpy as np

from optimizer.db.port import Database
from optimizer.observe.facts import facts_of
from optimizer.observe.snapshot import fold_all
from optimizer.prompts.tokens import CHARACTERS_PER_TOKEN
from optimizer.records.facts import Labels, Measure, Measures
from optimizer.records.snapshot import DAY, MONTH, WEEK, Look, Slot, Snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.bench.noise import HUMAN, TOOLS, Traffic, day_of

FIRST_DAY = date(2023, 1, 2)  # a Monday
BATCH_TRACES = 500
WRITERS = FOLDERS = 2
READERS = 4
SAMPLES_MAX = 5
ESCALATION_TOOLS = ("transfer_to_human*",)


@dataclass(frozen=True)
class Stretch:
    """So many days in a row of one agent's traffic."""

    agent: str
    traffic: Traffic
    days: int
    seed: int

    def window(self, number: int) -> Window:
        since = datetime.combine(FIRST_DAY + timedelta(days=number), time(0), tzinfo=UTC)
        return Window(since=since, until=since + DAY)


async def store(database: Database, stretches: Sequence[Stretch]) -> int:
    """Writes the traces of all stretches and folds them; returns how many agent sessions that are."""
    agents, traces = AgentStore(database), TraceStore(database)
    at = datetime.combine(FIRST_DAY, time(0), tzinfo=UTC)
    for stretch in stretches:
        await agents.register(stretch.agent, at=at, tools=[*TOOLS, HUMAN], escalation_tools=list(ESCALATION_TOOLS))
    waiting = iter([(stretch, number) for stretch in stretches for number in range(stretch.days)])
    written = 0

    async def write() -> None:
        nonlocal written
        for stretch, number in waiting:
            day = iter(day_of(stretch.traffic, FIRST_DAY + timedelta(days=number), stretch.seed))
            while batch := list(islice(day, BATCH_TRACES)):
                put = await traces.put(stretch.agent, batch, at=at)
                written += put.new

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    rollups = RollupStore(database)
    await asyncio.gather(*(fold_all(rollups, None) for _ in range(FOLDERS)))
    return written


@dataclass(frozen=True)
class Day:
    """One day of a pool: its place in the pool's tables, and when it was."""

    row: int
    window: Window
    measures: Measures

    @property
    def weekday(self) -> int:
        return self.window.since.weekday()


class Pool:
    """The days of several stretches, as tables that add up fast: a row for each day, a column for each measure."""

    def __init__(self, days: Sequence[tuple[Window, Measures]]) -> None:
        self.days = [Day(row, window, measures) for row, (window, measures) in enumerate(days)]
        self._keys = sorted({key for day in self.days for key in day.measures.rows})
        columns = {key: column for column, key in enumerate(self._keys)}
        self._sampled = {key for day in self.days for key, measure in day.measures.rows.items() if measure.samples}
        self._sums = np.zeros((len(days), len(columns), 3))
        self._largest = np.full((len(days), len(columns)), -np.inf)  # -inf: the day has no such measure
        cells = sorted({(columns[key], bucket) for day in self.days for key, bucket in _buckets(day.measures)})
        self._cells = cells
        places = {cell: place for place, cell in enumerate(cells)}
        self._counts = np.zeros((len(days), len(cells)), dtype=np.int64)
        for day in self.days:
            for key, measure in day.measures.rows.items():
                column = columns[key]
                self._sums[day.row, column] = measure.n, measure.total, measure.total_sq
                self._largest[day.row, column] = measure.largest
                for bucket, count in measure.buckets.items():
                    self._counts[day.row, places[column, bucket]] = count

    def sum(self, days: Sequence[Day]) -> Measures:
        """The measures of these days together."""
        if not days:
            return Measures({})
        rows = [day.row for day in days]
        sums, largest = self._sums[rows].sum(axis=0), self._largest[rows].max(axis=0)
        counts = self._counts[rows].sum(axis=0)
        buckets: dict[int, dict[int, int]] = {}
        for place in np.flatnonzero(counts):
            column, bucket = self._cells[place]
            buckets.setdefault(column, {})[bucket] = int(counts[place])
        return Measures(
            {
                self._keys[column]: Measure(
                    n=int(sums[column, 0]),
                    total=float(sums[column, 1]),
                    total_sq=float(sums[column, 2]),
                    largest=float(largest[column]),
                    buckets=buckets.get(column, {}),
                    samples=_samples(self._keys[column], days) if self._keys[column] in self._sampled else (),
                )
                for column in map(int, np.flatnonzero(largest > -np.inf))
            }
        )


async def read_days(database: Database, stretches: Sequence[Stretch]) -> dict[str, list[tuple[Window, Measures]]]:
    """Each day of each stretch, by agent."""
    rollups = RollupStore(database)
    found: dict[str, list[tuple[Window, Measures]]] = {stretch.agent: [] for stretch in stretches}
    waiting = iter([(stretch.agent, stretch.window(number)) for stretch in stretches for number in range(stretch.days)])

    async def read() -> None:
        for agent, window in waiting:
            found[agent].append((window, await rollups.read(agent, window)))

    await asyncio.gather(*(read() for _ in range(READERS)))
    return {agent: sorted(days, key=lambda day: day[0].since) for agent, days in found.items()}


def draw_past(main: Day, from_: Mapping[int, Sequence[Day]], days: int, random: Random) -> list[Day]:
    """A past for `main`, newest first: each day is drawn among those of its weekday, none twice while they last."""
    decks: dict[int, list[Day]] = {}
    past: list[Day] = []
    for ago in range(1, days + 1):
        weekday = (main.weekday - ago) % 7
        if not decks.get(weekday):
            decks[weekday] = [day for day in from_[weekday] if day.row != main.row]
            random.shuffle(decks[weekday])
        past.append(decks[weekday].pop())
    return past


def snapshot_of(pool: Pool, main: Day, past: Sequence[Day]) -> Snapshot:
    """The snapshot of a run whose window is `main`, with these days before it, newest first.

    Looks and comparison windows are those of `observe.take_snapshot`; there is nothing before the last day of
    the past.
    """
    days = [main, *past]
    looks: list[Look] = []
    for span in (DAY, WEEK, MONTH):
        length = span // DAY
        looks.append(
            Look(
                span=span,
                window=main.window.last(span),
                measures=pool.sum(days[:length]),
                before=pool.sum(days[length : length + MONTH // DAY]),
            )
        )
    tools = (*TOOLS, HUMAN)
    return Snapshot(
        agent="noise",
        environment="prod",
        window=main.window,
        main=looks[0],
        wider=tuple(looks[1:]),
        prompts={},
        tools=tools,
        escalation_tools=ESCALATION_TOOLS,
        characters_per_token=CHARACTERS_PER_TOKEN,
        tokens_estimated=True,
        facts=facts_of(looks[0].measures, looks[0].before, tools=tools, characters_per_token=CHARACTERS_PER_TOKEN),
        history=tuple(_slot(main, ago, day) for ago, day in enumerate(past[: MONTH // DAY], 1)),
    )


def _slot(main: Day, ago: int, day: Day) -> Slot:
    window = Window(since=main.window.since - ago * DAY, until=main.window.until - ago * DAY)
    return Slot(window, day.measures.get("sessions").n, day.measures.get("cost_usd").total)


def _buckets(measures: Measures) -> Iterable[tuple[tuple[str, Labels], int]]:
    return ((key, bucket) for key, measure in measures.rows.items() for bucket in measure.buckets)


def _samples(key: tuple[str, Labels], days: Sequence[Day]) -> tuple[str, ...]:
    """The first ones in time; the days are given newest first."""
    found: list[str] = []
    for day in reversed(days):
        if (measure := day.measures.rows.get(key)) is not None:
            found += measure.samples
        if len(found) >= SAMPLES_MAX:
            break
    return tuple(found[:SAMPLES_MAX])
