"""Tools that fail, fail more than before, or fail and are not tried again."""

from __future__ import annotations

from optimizer.diagnose.evidence import (
    looks,
    part_of,
    shown,
    worth_a_change_line,
    worth_a_line,
    worth_an_item,
)
from optimizer.diagnose.failures import Fault
from optimizer.diagnose.fares import ToolFare, fares
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import binomial_tail, odds_of_margin, share_rose
from optimizer.text.numbers import count, percent

TITLE_CHARACTERS_MAX = 80
# From this share of the failing sessions on, giving up is what the finding speaks of.
MOSTLY_GIVEN_UP = 0.8


def failing(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool fails in more of the sessions that call it than a few failing calls explain.

    Where too few sessions call it for a finding, it is only watched, and takes nothing from the other tests.
    """
    tests: list[Test] = []
    watching: list[Test] = []
    for evidence in looks(snapshot):
        for tool in fares(evidence):
            test = _test_failing(tool, thresholds)
            (tests if tool.calls.n >= thresholds["sessions_min"] else watching).append(test)
    return RuleOutcome(tests=tuple(tests), watching=tuple(watching))


def abandoned(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool fails and is not tried again: in too many sessions, or in clearly more than before.

    Giving up is rare, and drifts by a factor: points of a share would hide what is new. Errors of the caller are
    left to `failing`: not to send the same arguments again is right.
    """
    tests: list[Test] = []
    for evidence in looks(snapshot):
        for tool in fares(evidence):
            if tool.calls.n >= thresholds["sessions_min"] and tool.trouble.fault is not Fault.caller:
                tests += _test_abandoned(tool, thresholds)
    return RuleOutcome(tests=tuple(tests))


def errors_up(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool fails in a larger share of the sessions that call it than before, by more than the margin."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        for tool in fares(evidence):
            now, before = tool.calls, tool.calls_before
            if now.n < thresholds["sessions_min"] or before.n < thresholds["sessions_before_min"]:
                continue
            failing_before = tool.errors_before.n
            if tool.errors.n + failing_before < thresholds["failing_sessions_min"]:
                continue  # given so few in all, it cannot become a finding
            allowed = odds_of_margin(failing_before, before.n, thresholds["margin"])
            p_value = share_rose(tool.errors.n, now.n, failing_before, before.n, allowed)
            worth = worth_an_item(p_value, tool.errors.n, thresholds["failing_sessions_min"])
            watched = worth_a_change_line(p_value, tool.severity, failing_before / before.n)
            watched = watched and tool.errors.n >= thresholds["failing_sessions_min"]
            tests.append(
                evidence.test(
                    tool.key,
                    p_value,
                    _rising_finding(tool, failing_before / before.n) if worth else None,
                    tool.seen if watched else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def _test_failing(tool: ToolFare, thresholds: Thresholds) -> Test:
    healthy = tool.healthy_share(thresholds["healthy_call_share"])
    p_value = binomial_tail(tool.errors.n, tool.calls.n, healthy)
    finding = None
    if worth_an_item(p_value, tool.errors.n, thresholds["failing_sessions_min"]):
        given_up = tool.abandoned.n >= MOSTLY_GIVEN_UP * tool.errors.n
        says_given_up = given_up and tool.trouble.fault is Fault.outage
        finding = _abandoned_finding(tool) if says_given_up else _failing_finding(tool)
    watching = worth_a_line(p_value, tool.errors.n, healthy * tool.calls.n)
    return tool.evidence.test(tool.key, p_value, finding, tool.seen if watching else None)


def _test_abandoned(tool: ToolFare, thresholds: Thresholds) -> list[Test]:
    before_calls = tool.calls_before
    before = part_of(tool.evidence.before.get("tool.abandoned", tool=tool.name), before_calls)
    if tool.abandoned.n + before.n < thresholds["failing_sessions_min"]:
        return []  # given so few in all, it cannot become a finding
    p_values = [binomial_tail(tool.abandoned.n, tool.calls.n, thresholds["healthy_share"])]
    if before_calls.n >= thresholds["calling_before_min"]:
        allowed = thresholds["odds_times_allowed"]
        p_values.append(share_rose(tool.abandoned.n, tool.calls.n, before.n, before_calls.n, allowed))
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


def _failing_finding(tool: ToolFare) -> Finding:
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
        detail=f"{tool.what_happened} {remedy}",
        severity=tool.severity,
        severity_max=1.0,
        impact=tool.evidence.per_day(tool.errors.n),
        cites=tool.cites(),
        tool=tool.name,
        advice=advice,
    )


def _rising_finding(tool: ToolFare, before: float) -> Finding:
    found = _failing_finding(tool)
    said = f"{shown(tool.name)} {tool.trouble.verb} in {percent(tool.severity)} of sessions"
    title = f"{said}{tool.evidence.within}, before that in {percent(before)}"
    return found.model_copy(update={"rule": "tool_errors_up", "title": title})


def _abandoned_finding(tool: ToolFare) -> Finding:
    given_up = tool.abandoned.n
    cite = tool.evidence.cite(
        "tool.abandoned", given_up, tool.calls.n, samples=tool.abandoned.samples, labels={"tool": tool.name}
    )
    detail = (
        f"{tool.what_happened} In {count(given_up, 'session')} the last result was an error, and the agent "
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
        severity_max=1.0,
        impact=tool.evidence.per_day(given_up),
        cites=tool.cites(cite),
        tool=tool.name,
    )


def _failing_title(tool: ToolFare) -> str:
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
