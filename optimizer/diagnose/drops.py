"""Fewer sessions that succeed, and more that see an error, than before."""

from __future__ import annotations

from optimizer.diagnose.evidence import Evidence, looks, part_of, worth_a_change_line, worth_an_item
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import CitedFact, Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import odds_of_margin, share_rose
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import count, percent

# Where a fall may come from, and how that is called.
PLACES = (("model", "model"), ("prompt_version", "prompt"), ("task_category", "category"), ("release", "release"))
PLACE_SESSIONS_MIN = 20
PLACE_NAME_CHARACTERS_MAX = 40
# A place is named where the fall is so much larger than on the whole.
PLACE_TIMES_MIN = 1.25


def success_down(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A smaller share of the rated sessions succeeds than before, by more than the margin."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        now, before = evidence.now.get("success"), evidence.before.get("success")
        if now.n < thresholds["sessions_min"] or before.n < thresholds["sessions_before_min"]:
            continue
        failed, failed_before = round(now.n - now.total), round(before.n - before.total)
        allowed = odds_of_margin(failed_before, before.n, thresholds["margin"])
        p_value = share_rose(failed, now.n, failed_before, before.n, allowed)
        worth = worth_an_item(p_value, failed, thresholds["failed_sessions_min"])
        watched = worth_a_change_line(p_value, failed / now.n, failed_before / before.n)
        line = f"{percent(now.mean)} of {count(now.n, 'session')} succeeded, before {percent(before.mean)}"
        tests.append(
            evidence.test(
                "success_down",
                p_value,
                _success_finding(evidence, now, before) if worth else None,
                line if watched else None,
            )
        )
    return RuleOutcome(tests=tuple(tests))


def errors_up(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """Of the sessions that call tools, a larger share sees an error than before, by more than the margin."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        calls, calls_before = evidence.now.get("tool.calls"), evidence.before.get("tool.calls")
        if calls.n < thresholds["sessions_min"] or calls_before.n < thresholds["sessions_before_min"]:
            continue
        errors = part_of(evidence.now.get("tool.errors"), calls)
        errors_before = part_of(evidence.before.get("tool.errors"), calls_before)
        allowed = odds_of_margin(errors_before.n, calls_before.n, thresholds["margin"])
        p_value = share_rose(errors.n, calls.n, errors_before.n, calls_before.n, allowed)
        worth = worth_an_item(p_value, errors.n, thresholds["failing_sessions_min"])
        part, part_before = errors.n / calls.n, errors_before.n / calls_before.n
        line = f"tool errors in {percent(part)} of sessions, before {percent(part_before)}"
        tests.append(
            evidence.test(
                "errors_up",
                p_value,
                _errors_finding(evidence, part, part_before) if worth else None,
                line if worth_a_change_line(p_value, part, part_before) else None,
            )
        )
    return RuleOutcome(tests=tuple(tests))


def _success_finding(evidence: Evidence, now: Measure, before: Measure) -> Finding:
    fall = 100 * (before.mean - now.mean)
    place, cites = _place(evidence, now, before)
    lost = (before.mean - now.mean) * now.n
    return Finding(
        key="success_down",
        rule="success_down",
        goal=Goal.accuracy,
        title=f"Success down {fall:.0f} points to {percent(now.mean)} (before {percent(before.mean)}){evidence.within}",
        detail=(
            f"{percent(now.mean)} of {count(now.n, 'rated session')} succeeded, before that {percent(before.mean)} of "
            f"{before.n:,}: about {evidence.pace(lost, 'session')} more that fail.{place} "
            "Look at a few of them, and at what changed."
        ),
        severity=1.0 - now.mean,
        severity_max=1.0,
        impact=evidence.per_day(lost),
        cites=(
            evidence.cite("success_rate", now.mean, now.n, baseline=before.mean, samples=now.samples),
            *cites,
        ),
    )


def _place(evidence: Evidence, now: Measure, before: Measure) -> tuple[str, tuple[CitedFact, ...]]:
    """Where it fell most, if that says more than the whole does."""
    falls = [
        (before_part.mean - part.mean, label, noun, value, part, before_part)
        for label, noun in PLACES
        for value, part in evidence.now.by("success", label).items()
        if part.n >= PLACE_SESSIONS_MIN
        and (before_part := evidence.before.get("success", **{label: value})).n >= PLACE_SESSIONS_MIN
    ]
    if not falls:
        return "", ()
    fall, label, noun, value, part, before_part = max(falls, key=lambda one: one[0])
    if fall < PLACE_TIMES_MIN * (before.mean - now.mean):
        return "", ()
    name = one_line(value, PLACE_NAME_CHARACTERS_MAX)
    said = f" Most of all under {noun} {name}: {percent(part.mean)} (before {percent(before_part.mean)})."
    cite = evidence.cite(
        "success_rate", part.mean, part.n, baseline=before_part.mean, samples=part.samples, labels={label: value}
    )
    return said, (cite,)


def _errors_finding(evidence: Evidence, part: float, part_before: float) -> Finding:
    calls, errors = evidence.now.get("tool.calls"), evidence.now.get("tool.errors")
    return Finding(
        key="errors_up",
        rule="errors_up",
        goal=Goal.accuracy,
        title=f"Tool errors in {percent(part)} of sessions{evidence.within} (before {percent(part_before)})",
        detail=(
            f"{errors.n} of the {count(calls.n, 'session')} that call tools saw an error; before that "
            f"{percent(part_before)} did. No single tool stands out: look at what they share, such as a network, a "
            "key or a release."
        ),
        severity=part,
        severity_max=1.0,
        impact=evidence.per_day(errors.n),
        cites=(
            evidence.cite("tool.error_session_rate", part, calls.n, baseline=part_before, samples=errors.samples),
            evidence.cite("tool.errors", errors.total, errors.n, samples=errors.samples),
        ),
    )
