"""The same call again and again in one session: for nothing, or into the same error."""

from __future__ import annotations

from optimizer.diagnose.evidence import Evidence, known_before, looks, share, shown, worth_a_line, worth_an_item
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import binomial_tail
from optimizer.text.excerpt import is_name
from optimizer.text.numbers import count


def error_loops(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """One tool fails with the same arguments again and again: three calls or more, two errors or more."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        sessions = evidence.sessions
        if sessions < thresholds["sessions_min"]:
            continue
        for tool in evidence.now.by("tool.calls", "tool"):
            failing = evidence.now.get("error_loop", tool=tool)
            p_value = binomial_tail(min(failing.n, sessions), sessions, thresholds["healthy_share"])
            worth = worth_an_item(p_value, failing.n, thresholds["looping_sessions_min"])
            tests.append(
                evidence.test(
                    f"error_loop:{tool}",
                    p_value,
                    _error_loop_finding(evidence, tool, failing) if worth else None,
                    f"{shown(tool)} failed again and again in {failing.n} of {count(sessions, 'session')}"
                    if worth_a_line(p_value, failing.n, thresholds["healthy_share"] * sessions)
                    else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def loops(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """One tool is called with the same arguments three times or more in a session.

    A third look at the same thing happens in healthy sessions; long repeats hardly do: they are held against
    a smaller share.
    """
    tests: list[Test] = []
    for evidence in looks(snapshot):
        sessions = evidence.sessions
        if sessions < thresholds["sessions_min"]:
            continue
        for tool in evidence.now.by("tool.calls", "tool"):
            loop = evidence.now.get("loop", tool=tool)
            long = loop.n > 0 and loop.total / loop.n >= thresholds["long_repeats"]
            healthy = thresholds["healthy_share_long" if long else "healthy_share_short"]
            p_value = binomial_tail(min(loop.n, sessions), sessions, healthy)
            worth = worth_an_item(p_value, loop.n, thresholds["looping_sessions_min"])
            tests.append(
                evidence.test(
                    f"loop:{tool}",
                    p_value,
                    _loop_finding(evidence, tool, loop) if worth else None,
                    f"{shown(tool)} looped in {loop.n} of {count(sessions, 'session')}"
                    if worth_a_line(p_value, loop.n, healthy * sessions)
                    else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def _error_loop_finding(evidence: Evidence, tool: str, failing: Measure) -> Finding:
    before = share(evidence.before.get("error_loop", tool=tool), evidence.before.get("sessions"))
    loop, labels = evidence.now.get("loop", tool=tool), {"tool": tool}
    return Finding(
        key=f"error_loop:{tool}",
        rule="error_loop",
        goal=Goal.accuracy,
        title=(
            f"{shown(tool)} fails again and again with the same arguments "
            f"({count(failing.n, 'session')}{evidence.within})"
        ),
        detail=(
            f"In {failing.n} of {count(evidence.sessions, 'session')}{known_before(before)} the agent called "
            f"{shown(tool)} three times or more with the same arguments and got two errors or more, up to "
            f"{failing.largest:.0f} calls and {failing.total:.0f} errors in all. What has just failed fails again."
        ),
        severity=failing.n / evidence.sessions,
        severity_max=1.0,
        impact=evidence.per_day(failing.n),
        cites=(
            evidence.cite(
                "error_loop.sessions",
                failing.n,
                evidence.sessions,
                samples=failing.samples,
                labels=labels,
            ),
            evidence.cite("error_loop.errors", failing.total, failing.n, labels=labels),
            evidence.cite("error_loop.longest", failing.largest, failing.n, labels=labels),
            evidence.cite("loop.sessions", loop.n, evidence.sessions, samples=loop.samples, labels=labels),
        ),
        tool=tool,
        advice=(
            f"Do not call `{tool}` again with arguments that have just failed: correct them first, and after two "
            "errors tell the user what is missing."
            if is_name(tool)
            else None
        ),
    )


def _loop_finding(evidence: Evidence, tool: str, loop: Measure) -> Finding:
    before = share(evidence.before.get("loop", tool=tool), evidence.before.get("sessions"))
    extra_tokens = evidence.per_day(loop.total) * evidence.tokens_per_step()
    labels = {"tool": tool}
    return Finding(
        key=f"loop:{tool}",
        rule="loop",
        goal=Goal.cost,
        title=(
            f"{shown(tool)} called with the same arguments up to {loop.largest:.0f} times "
            f"({count(loop.n, 'session')}{evidence.within})"
        ),
        detail=(
            f"In {loop.n} of {count(evidence.sessions, 'session')}{known_before(before)} the agent called "
            f"{shown(tool)} three times or more with the same arguments, up to {loop.largest:.0f} times. The repeats "
            f"bring what is already known: {evidence.pace(loop.total, 'call')} for nothing"
            f"{evidence.costs(extra_tokens)}."
        ),
        severity=loop.n / evidence.sessions,
        severity_max=1.0,
        impact=extra_tokens,
        cites=(
            evidence.cite("loop.sessions", loop.n, evidence.sessions, samples=loop.samples, labels=labels),
            evidence.cite("loop.longest", loop.largest, loop.n, labels=labels),
        ),
        tool=tool,
        advice=(
            f"Do not call `{tool}` again with the same arguments: use the result that is already there, and go on or "
            "finish."
            if is_name(tool)
            else None
        ),
    )
