"""What a rule is, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from optimizer.records.findings import Finding, Goal, Watching
from optimizer.records.snapshot import Snapshot

# All rules of one run together raise a false alarm with at most this probability.
FAMILY_ALPHA = 0.02
# Worth a line, not an item: unlikely to be chance (not adjusted for how much was looked at), seen more than
# once, and twice what is healthy.
WATCHING_ALPHA = 0.15
WATCHING_CHANGE_ALPHA = 0.02  # of what is held against the time before: there is much of it, and it drifts
WATCHING_SESSIONS_MIN = 2
WATCHING_TIMES_MIN = 2.0
WATCHING_CHANGE_MIN = 1.25

Thresholds = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Test:
    """One hypothesis that was tested: "this is as it should be", over one look."""

    key: str
    since: datetime  # where the look's window begins
    p_value: float
    finding: Finding | None  # what to say if the hypothesis falls; None where it rests on too few sessions
    watching: Watching | None  # what to say if it does not

    # Not a test class, whatever pytest makes of the name.
    __test__ = False


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    findings: tuple[Finding, ...] = ()  # certain without statistics
    tests: tuple[Test, ...] = ()
    watching: tuple[Test, ...] = ()  # on too little to decide: outside the family, only their lines count


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    id: str
    goal: Goal
    thresholds: Thresholds
    reason: str  # why this is worth a person's time
    check: Callable[[Snapshot, Thresholds], RuleOutcome]
    weight: float = 1.0  # its part of the error probability, beside the other rules that had something to test

    def examine(self, snapshot: Snapshot) -> RuleOutcome:
        return self.check(snapshot, self.thresholds)


@dataclass(frozen=True)
class Diagnosis:
    findings: tuple[Finding, ...]  # accuracy, capability, cost; the costliest first
    watching: tuple[Watching, ...]  # the least likely to be chance first
    tests: int  # how many hypotheses shared the error probability
