"""Healthy but messy traffic gives quiet nights, and what is planted in it is found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.records.facts import Labels, Measure, Measures, labels_of
from optimizer.records.snapshot import DAY, MONTH, WEEK, Look, Snapshot
from optimizer.records.window import Window
from tests.unit.diagnose.builders import UNTIL

NIGHTS = 200
TOOLS = [f"tool_{number}" for number in range(14)]
# Chances that a healthy session calls a tool 0, 1, 2 or 3 times; the last tool is a rare one.
CALLS = np.array([[0.5, 0.3, 0.12, 0.08]] * 4 + [[0.7, 0.2, 0.08, 0.02]] * 9 + [[0.96, 0.04, 0.0, 0.0]])
# Every tenth session is a bad one, in which 30 % of the calls fail: 3 % of all calls.
BAD_SESSIONS, BAD_ERRORS = 0.1, 0.3
TRIPLE_SESSIONS = 0.04  # call tool_0 three times with the same arguments
# From the newest on, in days: the looks and what lies before them are sums of these.
SEGMENT_DAYS = np.array([1, 6, 23, 1, 6, 23])
LOOKS = ((DAY, slice(0, 1), slice(1, 4)), (WEEK, slice(0, 2), slice(2, 5)), (MONTH, slice(0, 3), slice(3, 6)))


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


def counted(rng: np.random.Generator, a_day: int, error_rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sessions per segment, and per tool and case: shapes (6,) and (14, 6, cases)."""
    sessions = a_day * SEGMENT_DAYS
    bad = rng.binomial(sessions, BAD_SESSIONS)
    counts = np.zeros((len(TOOLS), len(SEGMENT_DAYS), len(CASES)), dtype=np.int64)
    healthy, troubled = chances(0.0), chances(BAD_ERRORS)
    for tool, error_rate in enumerate(error_rates):
        if error_rate is not None and not math.isnan(error_rate):
            planted = chances(error_rate)[tool]
            counts[tool] = rng.multinomial(sessions, planted)
        else:
            counts[tool] = rng.multinomial(bad, troubled[tool]) + rng.multinomial(sessions - bad, healthy[tool])
    return sessions, counts


def measures(sessions: int, counts: np.ndarray, triples: int) -> Measures:
    rows: dict[tuple[str, Labels], Measure] = {("sessions", ()): Measure(n=sessions, total=sessions)}

    def add(name: str, n: int, total: int, largest: int = 0, **labels: str) -> None:
        if n:
            rows[name, labels_of(**labels)] = Measure(n=n, total=total, largest=largest)

    for tool, cases in zip(TOOLS, counts, strict=True):
        seen = list(zip(CASES, cases.tolist(), strict=True))
        extra = triples if tool == TOOLS[0] else 0
        calling = sum(n for case, n in seen if case.calls) + extra
        errors = sum(case.errors * n for case, n in seen)
        add("tool.calls", calling, sum(case.calls * n for case, n in seen) + 3 * extra, tool=tool)
        add("tool.errors", sum(n for case, n in seen if case.errors), errors, tool=tool)
        add("tool.error_signature", errors, errors, tool=tool, signature="Request timed out")
        given_up = sum(n for case, n in seen if case.ends_in_error)
        add("tool.abandoned", given_up, given_up, tool=tool)
        add("loop", extra, 2 * extra, 3, tool=tool)
        add("redundant_calls", extra, 2 * extra, tool=tool)
    return Measures(rows)


def nights(a_day: int, planted: dict[str, float] | None = None, *, count: int = NIGHTS) -> Iterator[Snapshot]:
    """Independent nights with 30 days of history; `planted` is tool -> share of its calls that fails."""
    rng = np.random.default_rng(a_day)
    rates = np.array([(planted or {}).get(tool, math.nan) for tool in TOOLS])
    for _ in range(count):
        sessions, counts = counted(rng, a_day, rates)
        triples = rng.binomial(sessions, TRIPLE_SESSIONS)
        looks = [
            Look(
                span,
                Window(since=UNTIL - span, until=UNTIL),
                *(
                    measures(int(sessions[part].sum()), counts[:, part].sum(axis=1), int(triples[part].sum()))
                    for part in (now, before)
                ),
            )
            for span, now, before in LOOKS
        ]
        yield Snapshot(
            agent="healthy",
            environment="prod",
            window=looks[0].window,
            main=looks[0],
            wider=tuple(looks[1:]),
            prompts={},
            tools=tuple(TOOLS),
            escalation_tools=(),
            characters_per_token=3.8,
            tokens_estimated=True,
            facts=(),
        )


def test_the_simulated_traffic_is_what_it_says() -> None:
    night = next(nights(300))
    month = night.looks[2].measures
    calls = sum(measure.total for measure in month.by("tool.calls", "tool").values())
    errors = sum(measure.total for measure in month.by("tool.errors", "tool").values())
    assert errors / calls == pytest.approx(0.03, abs=0.003)
    assert month.get("tool.calls", tool="tool_13").n / 9000 == pytest.approx(0.04, abs=0.01)
    assert sum(chances(0.3)[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("a_day", [12, 50, 300])
def test_healthy_agents_have_quiet_nights(a_day: int) -> None:
    loud = [[finding.title for finding in found] for night in nights(a_day) if (found := diagnose(night).findings)]
    assert len(loud) <= 0.05 * NIGHTS, loud[:3]


@pytest.mark.parametrize("a_day", [50, 300])
def test_a_tool_that_fails_in_30_percent_of_its_calls_is_found(a_day: int) -> None:
    found = [diagnose(night).findings for night in nights(a_day, {"tool_5": 0.3}, count=50)]
    assert sum([finding.tool for finding in night] == ["tool_5"] for night in found) >= 45
