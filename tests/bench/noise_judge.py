"""The whole table of rules over many windows, of healthy days and of days with a planted problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from optimizer.diagnose.alarms import traffic_alarms
from optimizer.diagnose.rules import diagnose
from optimizer.records.snapshot import Snapshot
from tests.bench.noise_pool import Day, Pool, draw_past, snapshot_of
from tests.bench.noise_problems import Problem

# A run on the first day of a problem, and one on its seventh, which has six bad days in its past.
AGES = (1, 7)
DRAW_SEED = 7


@dataclass
class Noise:
    """What the windows of healthy days showed."""

    days: int  # in the pool
    windows: int = 0
    with_finding: int = 0
    by_rule: Counter[str] = field(default_factory=Counter[str])  # windows in which the rule speaks
    with_alarm: int = 0
    watching: int = 0  # lines
    tests: int = 0


class Planted(NamedTuple):
    """In how many windows a planted problem was found."""

    windows: int
    named: int  # a finding is about it
    found: int  # and says the right figure


def judge_noise(pool: Pool, healthy: Sequence[Day], windows: int, history_days: int) -> Noise:
    """Each day in turn as the run's window, with a past that is drawn for it among the others."""
    noise = Noise(len(healthy))
    random, decks = Random(DRAW_SEED), by_weekday(healthy)
    for number in range(windows):
        main = healthy[number % len(healthy)]
        snapshot = snapshot_of(pool, main, draw_past(main, decks, history_days, random))
        diagnosis = diagnose(snapshot)
        noise.windows += 1
        noise.with_finding += bool(diagnosis.findings)
        noise.by_rule.update({finding.rule for finding in diagnosis.findings})
        noise.with_alarm += has_alarm(snapshot)
        noise.watching += len(diagnosis.watching)
        noise.tests += diagnosis.tests
    return noise


def judge_planted(
    problem: Problem, pool: Pool, healthy: Sequence[Day], bad: Sequence[Day], history_days: int, age: int
) -> Planted:
    """Bad days as the run's window, the `age`th of the problem: the days since it began are bad, too."""
    random, decks = Random(DRAW_SEED), by_weekday(bad if problem.steady else healthy)
    windows = named = found = 0
    for number in range(max(AGES) - 1, len(bad)):
        recent = [] if problem.steady else list(reversed(bad[number - age + 1 : number]))
        past = [*recent, *draw_past(bad[number], decks, history_days, random)[len(recent) :]]
        snapshot = snapshot_of(pool, bad[number], past)
        windows += 1
        if problem.alarms:
            named += has_alarm(snapshot)
            found += has_alarm(snapshot)
        else:
            findings = diagnose(snapshot).findings
            named += any(map(problem.is_named_by, findings))
            found += any(map(problem.is_said_by, findings))
    return Planted(windows, named, found)


def has_alarm(snapshot: Snapshot) -> bool:
    return bool(traffic_alarms(snapshot, snapshot.window.until, exact=False))


def by_weekday(days: Sequence[Day]) -> Mapping[int, Sequence[Day]]:
    return {weekday: [day for day in days if day.weekday == weekday] for weekday in range(7)}
