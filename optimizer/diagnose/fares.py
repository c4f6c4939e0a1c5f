"""How one tool fared in one look: its calls, its errors, and how to speak of them."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.diagnose.evidence import Evidence, part_of, share, shown
from optimizer.diagnose.failures import Trouble, troubles
from optimizer.records.facts import Measure
from optimizer.records.findings import CitedFact
from optimizer.stats.bounds import lower_bound
from optimizer.text.numbers import count, percent

SIGNATURES_CITED_MAX = 3


@dataclass(frozen=True)
class ToolFare:
    """How one tool fared in one look."""

    evidence: Evidence
    name: str
    calls: Measure
    errors: Measure
    abandoned: Measure
    trouble: Trouble

    @property
    def key(self) -> str:
        """One key for both rules: failing and giving up are one trouble of one tool, answered once."""
        return f"tool_failing:{self.name}"

    @property
    def severity(self) -> float:
        return self.errors.n / self.calls.n

    @property
    def seen(self) -> str:
        return f"{shown(self.name)} failed {self.errors.n} of {self.calls.n}"

    def healthy_share(self, call_share: float) -> float:
        """The share of sessions with an error when that share of the calls fails.

        A session that needs the tool k times sees an error with probability 1 - (1 - p)^k; at the mean k this
        is the most that it can be (the function is concave in k). Another attempt after an error is no need
        of its own, so of the error results in a session one is counted.
        """
        needs = (self.calls.total - self.errors.total + self.errors.n) / self.calls.n
        return 1.0 - (1.0 - call_share) ** max(1.0, needs)

    @property
    def calls_before(self) -> Measure:
        return self.evidence.before.get("tool.calls", tool=self.name)

    @property
    def errors_before(self) -> Measure:
        return part_of(self.evidence.before.get("tool.errors", tool=self.name), self.calls_before)

    @property
    def what_happened(self) -> str:
        evidence, errors, calls = self.evidence, self.errors, self.calls
        before = share(self.errors_before, self.calls_before)
        then = "" if before is None else f", before that {percent(before)}"
        at_least = percent(lower_bound(errors.n, calls.n, 0.02))
        # Said once: where each session calls it once, calls are sessions, and a day's sessions are those of a day.
        in_calls = f", and {errors.total:.0f} of {calls.total:.0f} calls" if calls.total > calls.n else ""
        daily = "" if evidence.look.window.days == 1 else f" That is {evidence.pace(errors.n, 'session')}."
        said = (
            f"{shown(self.name)} failed in {errors.n} of the {count(calls.n, 'session')} that call it "
            f"({percent(self.severity)}{then}; at least {at_least}, allowing for chance){in_calls}.{daily}"
        )
        quoted = self.trouble.quotable
        return f"{said} Most often: `{quoted[0]}` ({quoted[1].total:.0f}x)." if quoted else said

    def cites(self, *more: CitedFact) -> tuple[CitedFact, ...]:
        evidence, labels = self.evidence, {"tool": self.name}
        calls_before, errors_before = self.calls_before, self.errors_before
        rate_before = errors_before.total / calls_before.total if calls_before.total else None
        rate = self.errors.total / self.calls.total
        n = round(self.calls.total)
        return (
            evidence.cite("tool.error_rate", rate, n, baseline=rate_before, samples=self.errors.samples, labels=labels),
            evidence.cite("tool.errors", self.errors.total, self.errors.n, samples=self.errors.samples, labels=labels),
            evidence.cite("tool.calls", self.calls.total, self.calls.n, labels=labels),
            *more,
            *(
                evidence.cite(
                    "tool.error_signature",
                    measure.total,
                    measure.n,
                    samples=measure.samples,
                    labels={**labels, "signature": signature},
                )
                for signature, measure in self.trouble.signatures[:SIGNATURES_CITED_MAX]
            ),
        )


def fares(evidence: Evidence) -> list[ToolFare]:
    """Every tool that was called, by name."""
    by_tool = troubles(evidence.now)
    return [
        ToolFare(
            evidence,
            name,
            calls,
            errors=part_of(evidence.now.get("tool.errors", tool=name), calls),
            abandoned=part_of(evidence.now.get("tool.abandoned", tool=name), calls),
            trouble=by_tool.get(name, Trouble()),
        )
        for name, calls in evidence.now.by("tool.calls", "tool").items()
        if calls.n
    ]
