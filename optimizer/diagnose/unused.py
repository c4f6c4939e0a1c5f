"""Tools that the agent declares and does not call any more."""

from __future__ import annotations

from optimizer.diagnose.evidence import Evidence, looks, shown, worth_an_item
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import share_fell
from optimizer.text.numbers import count, percent

# A rare tool is often not called for a day: only what is more than that is worth a line.
WATCHING_UNUSED_ALPHA = 0.02


def unused(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A declared tool that was called before is not called any more."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        sessions_before = evidence.before.get("sessions").n
        for name in snapshot.tools:
            calls_before = evidence.before.get("tool.calls", tool=name)
            if (
                sessions_before < thresholds["sessions_before_min"]
                or calls_before.n < thresholds["calling_before_min"]
                or calls_before.n < thresholds["share_before_min"] * sessions_before
            ):
                continue
            calling = evidence.now.get("tool.calls", tool=name).n
            p_value = 1.0
            if calling == 0:
                p_value = share_fell(0, evidence.sessions, calls_before.n, sessions_before)
            worth = worth_an_item(p_value, evidence.sessions, thresholds["sessions_min"])
            tests.append(
                evidence.test(
                    f"tool_unused:{name}",
                    p_value,
                    _unused_finding(evidence, name, calls_before) if worth else None,
                    f"{shown(name)} not called in {count(evidence.sessions, 'session')}"
                    if p_value <= WATCHING_UNUSED_ALPHA
                    else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def _unused_finding(evidence: Evidence, name: str, calls_before: Measure) -> Finding:
    before = calls_before.n / evidence.before.get("sessions").n
    without = evidence.pace(before * evidence.sessions, "session")
    return Finding(
        key=f"tool_unused:{name}",
        rule="tool_unused",
        goal=Goal.capability,
        title=f"{shown(name)} not called for {evidence.span}, before that in {percent(before)} of sessions",
        detail=(
            f"The agent declares {shown(name)} and did not call it in any of its "
            f"{count(evidence.sessions, 'session')}; before that, {percent(before)} of sessions "
            f"called it. About {without} go without it. Look whether the prompt still speaks of it, "
            "whether its description changed, and whether the agent still gets it."
        ),
        severity=before,
        severity_max=1.0,
        impact=evidence.per_day(before * evidence.sessions),
        cites=(
            evidence.cite(
                "tool.never_called",
                0.0,
                evidence.sessions,
                labels={"tool": name},
            ),
            evidence.cite(
                "tool.session_share",
                0.0,
                evidence.sessions,
                baseline=before,
                samples=calls_before.samples,
                labels={"tool": name},
            ),
        ),
        tool=name,
    )
