"""Tools that fail, and tools that fail and are not tried again."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.diagnose.evidence import (
    Evidence,
    known_before,
    looks,
    part_of,
    share,
    shown,
    worth_a_line,
    worth_an_item,
)
from optimizer.diagnose.failures import Fault, Trouble, troubles
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import CitedFact, Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import binomial_tail, lower_bound, share_rose
from optimizer.text.numbers import count, percent

TITLE_CHARACTERS_MAX = 80
SIGNATURES_CITED_MAX = 3
# From this share of the failing sessions on, giving up is what the finding speaks of.
MOSTLY_GIVEN_UP = 0.8


@dataclass(frozen=True)
class _Tool:
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


def failing(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool fails in more of the sessions that call it than a few failing calls explain.

    Where too few sessions call it for a finding, it is only watched, and takes nothing from the other tests.
    """
    tests: list[Test] = []
    watching: list[Test] = []
    for evidence in looks(snapshot):
        for tool in _tools(evidence):
            test = _test_failing(tool, thresholds)
            (tests if tool.calls.n >= thresholds["sessions_min"] else watching).append(test)
    return RuleOutcome(tests=tuple(tests), watching=tuple(watching))


def abandoned(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool fails and is not tried again: in too many sessions, or in more than before.

    Errors of the caller are left to `failing`: not to send the same arguments again is right.
    """
    tests: list[Test] = []
    for evidence in looks(snapshot):
        for tool in _tools(evidence):
            if tool.calls.n >= thresholds["sessions_min"] and tool.trouble.fault is not Fault.caller:
                tests += _test_abandoned(tool, thresholds)
    return RuleOutcome(tests=tuple(tests))


def _tools(evidence: Evidence) -> list[_Tool]:
    by_tool = troubles(evidence.now)
    return [
        _Tool(
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


def _test_failing(tool: _Tool, thresholds: Thresholds) -> Test:
    healthy = tool.healthy_share(thresholds["healthy_call_share"])
    p_value = binomial_tail(tool.errors.n, tool.calls.n, healthy)
    finding = None
    if worth_an_item(p_value, tool.errors.n, thresholds["failing_sessions_min"]):
        given_up = tool.abandoned.n >= MOSTLY_GIVEN_UP * tool.errors.n
        says_given_up = given_up and tool.trouble.fault is Fault.outage
        finding = _abandoned_finding(tool) if says_given_up else _failing_finding(tool)
    watching = worth_a_line(p_value, tool.errors.n, healthy * tool.calls.n)
    return tool.evidence.test(tool.key, p_value, finding, tool.seen if watching else None)


def _test_abandoned(tool: _Tool, thresholds: Thresholds) -> list[Test]:
    before_calls = tool.evidence.before.get("tool.calls", tool=tool.name)
    before = part_of(tool.evidence.before.get("tool.abandoned", tool=tool.name), before_calls)
    p_values = [binomial_tail(tool.abandoned.n, tool.calls.n, thresholds["healthy_share"])]
    if before_calls.n >= thresholds["calling_before_min"]:
        p_values.append(share_rose(tool.abandoned.n, tool.calls.n, before.n, before_calls.n))
    return [
        tool.evidence.test(
            tool.key,
            p_value,
            _abandoned_finding(tool)
            if worth_an_item(p_value, tool.abandoned.n, thresholds["failing_sessions_min"])
            and tool.abandoned.n >= thresholds["share_min"] * tool.calls.n
            else None,
        )
        for p_value in p_values
    ]


def _failing_finding(tool: _Tool) -> Finding:
    advice = tool.trouble.advice(tool.name)
    if advice is not None:
        remedy = "The arguments are at fault: a rule in the prompt can say what to take care of."
    elif tool.trouble.fault is Fault.outage:
        remedy = f"The tool {tool.trouble.verb}: no prompt helps, its code or its server has to."
    else:
        remedy = "The error does not say whose fault it is: look at a sample session and at the tool's code."
    return Finding(
        key=tool.key,
        rule="tool_failing",
        goal=Goal.accuracy,
        title=_failing_title(tool),
        detail=f"{_what_happened(tool)} {remedy}",
        severity=tool.severity,
        impact=tool.evidence.per_day(tool.errors.n),
        cites=_cites(tool),
        tool=tool.name,
        advice=advice,
    )


def _abandoned_finding(tool: _Tool) -> Finding:
    given_up = tool.abandoned.n
    cite = tool.evidence.cite(
        "tool.abandoned", given_up, tool.calls.n, samples=tool.abandoned.samples, labels={"tool": tool.name}
    )
    detail = (
        f"{_what_happened(tool)} In {count(given_up, 'session')} the last result was an error, and the agent "
        "did not call the tool again. Let the code that calls it wait and try again, or give it more time."
    )
    return Finding(
        key=tool.key,
        rule="tool_abandoned",
        goal=Goal.accuracy,
        title=f"{shown(tool.name)} {tool.trouble.verb} and is not tried again "
        f"({count(given_up, 'session')}{tool.evidence.within})",
        detail=detail,
        severity=tool.severity,
        impact=tool.evidence.per_day(given_up),
        cites=_cites(tool, cite),
        tool=tool.name,
    )


def _failing_title(tool: _Tool) -> str:
    sessions = count(tool.calls.n, "session")
    head = f"{shown(tool.name)} {tool.trouble.verb} in {tool.errors.n} of {sessions}{tool.evidence.within}"
    quoted = tool.trouble.quotable
    if quoted is None:
        return head
    text, measure = quoted
    tail = f" ({measure.total:.0f}x)"
    clause = text.split(", ")[0].split(": ")[0]
    room = TITLE_CHARACTERS_MAX - len(head) - len(": ") - len(tail)
    return f"{head}: {clause}{tail}" if len(clause) <= room else head


def _what_happened(tool: _Tool) -> str:
    evidence = tool.evidence
    calls_before = evidence.before.get("tool.calls", tool=tool.name)
    before = share(evidence.before.get("tool.errors", tool=tool.name), calls_before)
    at_least = lower_bound(tool.errors.n, tool.calls.n, 0.02)
    said = (
        f"{shown(tool.name)} failed in {tool.errors.n} of the {count(tool.calls.n, 'session')} that call it"
        f"{known_before(before)}, that is {percent(tool.severity)} (at least {percent(at_least)}, allowing "
        f"for chance), and {tool.errors.total:.0f} of {tool.calls.total:.0f} calls. "
        f"That is {evidence.pace(tool.errors.n, 'session')}."
    )
    quoted = tool.trouble.quotable
    return f"{said} Most often: `{quoted[0]}` ({quoted[1].total:.0f}x)." if quoted else said


def _cites(tool: _Tool, *more: CitedFact) -> tuple[CitedFact, ...]:
    evidence, labels = tool.evidence, {"tool": tool.name}
    calls_before = evidence.before.get("tool.calls", tool=tool.name)
    errors_before = evidence.before.get("tool.errors", tool=tool.name)
    rate_before = errors_before.total / calls_before.total if calls_before.total else None
    rate = tool.errors.total / tool.calls.total
    n = round(tool.calls.total)
    return (
        evidence.cite("tool.error_rate", rate, n, baseline=rate_before, samples=tool.errors.samples, labels=labels),
        evidence.cite("tool.errors", tool.errors.total, tool.errors.n, samples=tool.errors.samples, labels=labels),
        evidence.cite("tool.calls", tool.calls.total, tool.calls.n, labels=labels),
        *more,
        *(
            evidence.cite(
                "tool.error_signature",
                measure.total,
                measure.n,
                samples=measure.samples,
                labels={**labels, "signature": signature},
            )
            for signature, measure in tool.trouble.signatures[:SIGNATURES_CITED_MAX]
        ),
    )
