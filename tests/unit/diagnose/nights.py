"""Nights of healthy but messy traffic with 30 days of history, drawn as sums, and problems of known size in them.

Errors come in few sessions, some sessions call three times, costs are lognormal with sigma 1, weekends are slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from optimizer.records.facts import Labels, Measure, Measures, labels_of
from optimizer.records.snapshot import DAY, MONTH, WEEK, Look, Slot, Snapshot
from optimizer.records.window import Window
from tests.unit.diagnose.builders import UNTIL

TOOLS = [f"tool_{number}" for number in range(14)]
# Chances that a healthy session calls a tool 0, 1, 2 or 3 times; the last tool is a rare one.
CALLS = np.array([[0.5, 0.3, 0.12, 0.08]] * 4 + [[0.7, 0.2, 0.08, 0.02]] * 9 + [[0.96, 0.04, 0.0, 0.0]])
# Every tenth session is a bad one, in which 30 % of the calls fail: 3 % of all calls.
BAD_SESSIONS, BAD_ERRORS = 0.1, 0.3
TRIPLE_SESSIONS = 0.04  # call tool_0 three times with the same arguments
LATENCY_SIGMA = 0.6
WEEKLY = np.array([1.15, 1.20, 1.20, 1.15, 1.05, 0.70, 0.55])
# From the newest on, in days: the looks and what lies before them are sums of these.
SEGMENT_DAYS = np.array([1, 6, 23, 1, 6, 23])
STARTS = np.concatenate([[0], np.cumsum(SEGMENT_DAYS)[:-1]])
DAYS = int(SEGMENT_DAYS.sum())
LOOKS = ((DAY, slice(0, 1), slice(1, 4)), (WEEK, slice(0, 2), slice(2, 5)), (MONTH, slice(0, 3), slice(3, 6)))


@dataclass(frozen=True)
class Rates:
    """What a session is like."""

    success: float = 0.8
    cost_times: float = 1.0
    steps: float = 8.0
    messages: float = 2.0
    escalated: float = 0.03
    repeating: float = 0.03
    heavy: float = 0.1
    silent_tool: str | None = None
    errors: Mapping[str, float] = field(default_factory=dict[str, float])  # tool -> share of its calls
    latency_times: Mapping[str, float] = field(default_factory=dict[str, float])


HEALTHY = Rates()


@dataclass(frozen=True)
class Case:
    """What one tool can do in one session."""

    calls: int
    errors: int
    ends_in_error: bool


CASES = [
    Case(calls, errors, last)
    for calls in range(4)
    for errors in range(calls + 1)
    for last in (False, True)
    if (errors or not last) and (errors < calls or last or not calls)
]


def chances(errors: float) -> np.ndarray:
    """For each tool the chance of each case, when that share of its calls fails and none is tried again."""

    def of(case: Case) -> float:
        free = case.calls - 1
        if case.calls == 0:
            return 1.0
        ways = math.comb(free, case.errors - case.ends_in_error)
        return ways * errors**case.errors * (1 - errors) ** (case.calls - case.errors)

    within = np.array([of(case) for case in CASES])
    return CALLS[:, [case.calls for case in CASES]] * within


class Rows:
    """The measures of one segment."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Labels], Measure] = {}

    def add(self, name: str, n: float, total: float, total_sq: float = 0.0, largest: float = 0, **labels: str) -> None:
        if n:
            self.rows[name, labels_of(**labels)] = Measure(int(n), float(total), float(total_sq), float(largest))

    def add_values(self, name: str, values: np.ndarray, **labels: str) -> None:
        if len(values):
            self.add(name, len(values), values.sum(), (values**2).sum(), values.max(), **labels)


def _tools(rng: np.random.Generator, rows: Rows, sessions: int, rates: Rates) -> None:
    bad = int(rng.binomial(sessions, BAD_SESSIONS))
    triples = int(rng.binomial(sessions, TRIPLE_SESSIONS))
    healthy, troubled = chances(0.0), chances(BAD_ERRORS)
    for number, tool in enumerate(TOOLS):
        if tool == rates.silent_tool:
            continue
        if tool in rates.errors:
            counts = rng.multinomial(sessions, chances(rates.errors[tool])[number])
        else:
            counts = rng.multinomial(bad, troubled[number]) + rng.multinomial(sessions - bad, healthy[number])
        seen = list(zip(CASES, counts.tolist(), strict=True))
        extra = triples if tool == TOOLS[0] else 0
        calling = sum(n for case, n in seen if case.calls) + extra
        errors = sum(case.errors * n for case, n in seen)
        rows.add("tool.calls", calling, sum(case.calls * n for case, n in seen) + 3 * extra, tool=tool)
        rows.add("tool.errors", sum(n for case, n in seen if case.errors), errors, tool=tool)
        rows.add("tool.error_signature", errors, errors, tool=tool, signature="Request timed out")
        given_up = sum(n for case, n in seen if case.ends_in_error)
        rows.add("tool.abandoned", given_up, given_up, tool=tool)
        rows.add("loop", extra, 2 * extra, largest=3, tool=tool)
        rows.add("redundant_calls", extra, 2 * extra, tool=tool)
        waited = rng.normal(6.0 + math.log(rates.latency_times.get(tool, 1.0)), LATENCY_SIGMA, calling)
        rows.add_values("tool.latency_log", waited, tool=tool)
        milliseconds = np.exp(waited)
        buckets, times = np.unique(np.floor(waited / math.log(1.04)).astype(int), return_counts=True)
        rows.rows["tool.latency_ms", labels_of(tool=tool)] = Measure(
            calling, milliseconds.sum(), buckets=dict(zip(buckets.tolist(), times.tolist(), strict=True))
        )
    rows.add("tool.calls", sessions, 5 * sessions)
    failing = bad * 0.9 + sum(share * 0.4 * sessions for share in rates.errors.values())
    rows.add("tool.errors", min(sessions, round(failing)), round(1.5 * failing))


def _segment(rng: np.random.Generator, sessions: int, costs: np.ndarray, rates: Rates) -> Measures:
    rows = Rows()
    rows.add("sessions", sessions, sessions)
    _tools(rng, rows, sessions, rates)
    rows.add_values("cost_usd", costs)
    rows.add_values("cost_usd_log", np.log(costs))
    steps = 1 + rng.poisson(rates.steps, sessions)
    messages = 1 + rng.exponential(rates.messages, sessions).astype(int)
    for name, values in (("steps", steps), ("user_messages", messages)):
        rows.add_values(name, values.astype(float))
        rows.add_values(f"{name}_log", np.log1p(values))
    rows.add("many_messages", (messages >= 10).sum(), (messages >= 10).sum())
    rows.add("success", sessions, rng.binomial(sessions, rates.success))
    rows.add("tokens_in", sessions, 10_000 * sessions)
    rows.add("tokens_out", sessions, 300 * sessions)
    shares = {"escalations": rates.escalated, "repeated_request": rates.repeating, "input_heavy": rates.heavy}
    for name, share in shares.items():
        seen = int(rng.binomial(sessions, share))
        rows.add(name, seen, 20_000 * seen if name == "input_heavy" else seen)
    return Measures(rows.rows)


def _sum(parts: list[Measures]) -> Measures:
    rows: dict[tuple[str, Labels], Measure] = {}
    for part in parts:
        for row, measure in part.rows.items():
            rows[row] = rows[row] + measure if row in rows else measure
    return Measures(rows)


def nights(a_day: int, today: Rates = HEALTHY, *, count: int, seed: int = 1) -> Iterator[Snapshot]:
    """Independent nights; `today` is what the run's own day is like, all days before are healthy."""
    rng = np.random.default_rng([seed, a_day])
    for _ in range(count):
        weekdays = (int(rng.integers(7)) - np.arange(DAYS)) % 7
        sessions = np.maximum(1, rng.poisson(a_day * WEEKLY[weekdays]))
        costs = np.exp(rng.normal(-3.5, 1.0, sessions.sum()))
        costs[: sessions[0]] *= today.cost_times
        first = np.concatenate([[0], np.cumsum(sessions)[:-1]])
        by_day = np.add.reduceat(costs, first)
        ends = [*first[STARTS[1:]].tolist(), len(costs)]
        segments = [
            _segment(rng, end - begin, costs[begin:end], today if begin == 0 else HEALTHY)
            for begin, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
        looks = [
            Look(span, Window(since=UNTIL - span, until=UNTIL), _sum(segments[now]), _sum(segments[before]))
            for span, now, before in LOOKS
        ]
        slots = [
            Slot(Window(since=UNTIL - (day + 1) * DAY, until=UNTIL - day * DAY), int(sessions[day]), float(by_day[day]))
            for day in range(1, 31)
        ]
        yield replace(_EMPTY, window=looks[0].window, main=looks[0], wider=tuple(looks[1:]), history=tuple(slots))


_NOTHING = Look(DAY, Window(since=UNTIL - timedelta(days=1), until=UNTIL), Measures({}), Measures({}))
_EMPTY = Snapshot(
    agent="healthy",
    environment="prod",
    window=_NOTHING.window,
    main=_NOTHING,
    wider=(),
    prompts={},
    tools=tuple(TOOLS),
    escalation_tools=("tool_12",),
    characters_per_token=3.8,
    tokens_estimated=True,
    facts=(),
)
