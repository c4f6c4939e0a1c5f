"""Snapshots made by hand: counts in, as the rollups would add them up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from optimizer.records.base import sha256_of
from optimizer.records.facts import Fact, Labels, Measure, Measures, labels_of
from optimizer.records.snapshot import DAY, MONTH, WEEK, Look, PromptText, Slot, Snapshot
from optimizer.records.window import Window

UNTIL = datetime(2026, 2, 26, 6, tzinfo=UTC)


@dataclass
class Traffic:
    """What happened over one span. `tools` is tool -> (sessions, calls)."""

    sessions: int
    tools: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[tuple[str, Labels], Measure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("sessions", self.sessions)
        for tool, (sessions, calls) in self.tools.items():
            self.add("tool.calls", sessions, calls, tool=tool)

    def add(self, name: str, n: int, total: float | None = None, *, largest: float = 0, **labels: str) -> Traffic:
        """One row; `total` is n where a session counts one."""
        samples = tuple(f"s{number}" for number in range(min(n, 5)))
        self.rows[name, labels_of(**labels)] = Measure(
            n=n, total=n if total is None else total, largest=largest, samples=samples
        )
        return self

    def values(self, name: str, n: int, mean: float, spread: float = 0.0, **labels: str) -> Traffic:
        """One row of so many values with this mean and standard deviation."""
        total_sq = (n - 1) * spread * spread + n * mean * mean
        samples = tuple(f"s{number}" for number in range(min(n, 5)))
        self.rows[name, labels_of(**labels)] = Measure(n, n * mean, total_sq, largest=9 * mean, samples=samples)
        return self

    def logged(self, name: str, n: int, mean: float, sigma: float = 1.0, **labels: str) -> Traffic:
        """Lognormal values: the row of the values and that of their logarithms."""
        self.values(name, n, mean, mean * math.sqrt(math.exp(sigma * sigma) - 1), **labels)
        return self.values(f"{name}_log", n, math.log(mean) - sigma * sigma / 2, sigma, **labels)

    def fails(
        self, tool: str, sessions: int, errors: int, texts: Mapping[str, int] | None = None, given_up: int = 0
    ) -> Traffic:
        """`errors` error results in so many sessions, `given_up` of which never called the tool again."""
        self.add("tool.errors", sessions, errors, tool=tool)
        if given_up:
            self.add("tool.abandoned", given_up, tool=tool)
        for text, times in (texts or {}).items():
            self.add("tool.error_signature", min(sessions, times), times, tool=tool, signature=text)
        return self

    def loops(self, tool: str, sessions: int, extra_calls: int, longest: int, failing: int = 0) -> Traffic:
        """Loops of one tool; `failing` of the sessions repeated a call that failed."""
        self.add("loop", sessions, extra_calls, largest=longest, tool=tool)
        if failing:
            self.add("error_loop", failing, extra_calls, largest=longest, tool=tool)
        return self

    @property
    def measures(self) -> Measures:
        return Measures(self.rows)


NO_TRAFFIC = Traffic(0)


def prompt(name: str, text: str, **includes: str) -> PromptText:
    return PromptText(name=name, version=1, text=text, sha256=sha256_of(text), includes=includes)


def snapshot(
    now: Traffic,
    before: Traffic = NO_TRAFFIC,
    *,
    week: tuple[Traffic, Traffic] | None = None,
    month: tuple[Traffic, Traffic] | None = None,
    prompts: Sequence[PromptText] = (),
    tools: Sequence[str] = (),
    facts: Sequence[Fact] = (),
    history: Sequence[Slot] = (),
    span: timedelta = DAY,
) -> Snapshot:
    """The snapshot of a run over `now`, with wider looks where they are given as (now, before)."""

    def look(width: timedelta, traffic: tuple[Traffic, Traffic]) -> Look:
        window = Window(since=UNTIL - width, until=UNTIL)
        return Look(span=width, window=window, measures=traffic[0].measures, before=traffic[1].measures)

    wider = tuple(look(width, traffic) for width, traffic in ((WEEK, week), (MONTH, month)) if traffic)
    main = look(span, (now, before))
    return Snapshot(
        agent="blog-writer",
        environment="prod",
        window=main.window,
        main=main,
        wider=wider,
        prompts={text.name: text for text in prompts},
        tools=tuple(tools),
        escalation_tools=("transfer_to_human*",),
        characters_per_token=4.0,
        tokens_estimated=True,
        facts=tuple(facts),
        history=tuple(history),
    )


def slots(*days: tuple[int, float]) -> tuple[Slot, ...]:
    """The days before the run's own, newest first, as (sessions, dollars in all)."""
    return tuple(
        Slot(Window(since=UNTIL - (number + 1) * DAY, until=UNTIL - number * DAY), sessions, cost_usd)
        for number, (sessions, cost_usd) in enumerate(days, 1)
    )
