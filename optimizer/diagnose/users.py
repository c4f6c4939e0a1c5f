"""What users go through: handed to a human, many messages, the same request twice."""

from __future__ import annotations

from fnmatch import fnmatchcase

from optimizer.diagnose.evidence import (
    Evidence,
    known_before,
    looks,
    part_of,
    share,
    shown,
    worth_a_change_line,
    worth_a_line,
    worth_an_item,
)
from optimizer.diagnose.rises import Rise, about_one, mean_cite, risen
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import binomial_tail, odds_of_margin, share_rose
from optimizer.text.numbers import count, percent

TOOLS_NAMED_MAX = 3


def escalations(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """More sessions are handed to a human than before; without a history, more than a healthy share."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        escalated = evidence.now.get("escalations")
        p_value = _against_history(evidence, "escalations", thresholds)
        if p_value is None:
            continue
        worth = worth_an_item(p_value, escalated.n, thresholds["sessions_seen_min"])
        line = f"{escalated.n} of {count(evidence.sessions, 'session')} handed to a human"
        tests.append(
            evidence.test(
                "escalations",
                p_value,
                _escalation_finding(evidence, escalated) if worth else None,
                line if _watched(evidence, "escalations", p_value, thresholds) else None,
            )
        )
    return RuleOutcome(tests=tuple(tests))


def many_messages(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """Users need many messages: ten or more in more sessions, or more per session than before."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        many = evidence.now.get("many_messages")
        p_value = _against_history(evidence, "many_messages", thresholds)
        if p_value is not None:
            worth = worth_an_item(p_value, many.n, thresholds["sessions_seen_min"])
            line = f"10 user messages or more in {many.n} of {count(evidence.sessions, 'session')}"
            tests.append(
                evidence.test(
                    "many_messages",
                    p_value,
                    _many_finding(evidence, many) if worth else None,
                    line if _watched(evidence, "many_messages", p_value, thresholds) else None,
                )
            )
        rise = risen(evidence, "user_messages", thresholds)
        if rise is not None and rise.is_real:
            worth = worth_an_item(rise.p_value, rise.now.n, thresholds["sessions_min"])
            worth = worth and rise.times >= thresholds["times_allowed"]
            tests.append(evidence.test("many_messages", rise.p_value, _more_finding(rise, many) if worth else None))
    return RuleOutcome(tests=tuple(tests))


def repeated_request(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """Users send the same request twice: in too many sessions, or in more than before."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        repeated = evidence.now.get("repeated_request")
        ever = repeated.n + evidence.before.get("repeated_request").n
        if evidence.sessions < thresholds["sessions_min"] or ever < thresholds["sessions_seen_min"]:
            continue
        healthy = thresholds["healthy_share"]
        p_values = [binomial_tail(min(repeated.n, evidence.sessions), evidence.sessions, healthy)]
        if evidence.before.get("sessions").n >= thresholds["sessions_before_min"]:
            p_values.append(_risen_share(evidence, "repeated_request", thresholds["margin"]))
        line = f"same request twice in {repeated.n} of {count(evidence.sessions, 'session')}"
        for p_value in p_values:
            worth = worth_an_item(p_value, repeated.n, thresholds["sessions_seen_min"])
            tests.append(
                evidence.test(
                    "repeated_request",
                    p_value,
                    _repeated_finding(evidence, repeated) if worth else None,
                    line if worth_a_line(p_value, repeated.n, healthy * evidence.sessions) else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def _against_history(evidence: Evidence, name: str, thresholds: Thresholds) -> float | None:
    """The p-value of "no more sessions than before", or than a healthy share.

    None on too few sessions, and where it was seen so seldom in all that it cannot become a finding.
    """
    seen = min(evidence.now.get(name).n, evidence.sessions)
    ever = seen + evidence.before.get(name).n
    if evidence.sessions < thresholds["sessions_min"] or ever < thresholds["sessions_seen_min"]:
        return None
    if evidence.before.get("sessions").n >= thresholds["sessions_before_min"]:
        return _risen_share(evidence, name, thresholds["margin"])
    return binomial_tail(seen, evidence.sessions, thresholds["healthy_share"])


def _risen_share(evidence: Evidence, name: str, margin: float) -> float:
    sessions, before = evidence.now.get("sessions"), evidence.before.get("sessions")
    seen = part_of(evidence.now.get(name), sessions).n
    seen_before = part_of(evidence.before.get(name), before).n
    return share_rose(seen, sessions.n, seen_before, before.n, odds_of_margin(seen_before, before.n, margin))


def _watched(evidence: Evidence, name: str, p_value: float, thresholds: Thresholds) -> bool:
    seen, before = evidence.now.get(name).n, share(evidence.before.get(name), evidence.before.get("sessions"))
    if before is None:
        return worth_a_line(p_value, seen, thresholds["healthy_share"] * evidence.sessions)
    return seen >= thresholds["sessions_seen_min"] and worth_a_change_line(p_value, seen / evidence.sessions, before)


def _escalation_tools(evidence: Evidence) -> list[tuple[str, Measure]]:
    """The tools that hand over to a human and were called, the most frequent first."""
    patterns = evidence.snapshot.escalation_tools
    called = [
        (tool, calls)
        for tool, calls in evidence.now.by("tool.calls", "tool").items()
        if any(fnmatchcase(tool, pattern) for pattern in patterns)
    ]
    return sorted(called, key=lambda one: (-one[1].n, one[0]))[:TOOLS_NAMED_MAX]


def _escalation_finding(evidence: Evidence, escalated: Measure) -> Finding:
    part = escalated.n / evidence.sessions
    before = share(evidence.before.get("escalations"), evidence.before.get("sessions"))
    tools = _escalation_tools(evidence)
    named = ", ".join(f"{shown(tool)} in {count(calls.n, 'session')}" for tool, calls in tools)
    return Finding(
        key="escalations",
        rule="escalations",
        goal=Goal.accuracy,
        title=f"{percent(part)} of sessions handed to a human{evidence.within}{known_before(before)}",
        detail=(
            f"{escalated.n} of {count(evidence.sessions, 'session')} were handed to a human{known_before(before)}, by "
            f"{named}. Read what the user wanted just before it: what is asked often, the agent could be taught or "
            "given a tool for."
        ),
        severity=part,
        severity_max=1.0,
        impact=evidence.per_day(escalated.n),
        cites=(
            evidence.cite("escalation_rate", part, evidence.sessions, baseline=before, samples=escalated.samples),
            evidence.cite("escalations", escalated.n, evidence.sessions, samples=escalated.samples),
            *(evidence.cite("tool.calls", calls.total, calls.n, labels={"tool": tool}) for tool, calls in tools),
        ),
    )


def _many_finding(evidence: Evidence, many: Measure) -> Finding:
    part = many.n / evidence.sessions
    before = share(evidence.before.get("many_messages"), evidence.before.get("sessions"))
    messages = evidence.now.get("user_messages")
    return Finding(
        key="many_messages",
        rule="many_messages",
        goal=Goal.accuracy,
        title=(
            f"Users write 10 messages or more in {percent(part)} of sessions{evidence.within}{known_before(before)}"
        ),
        detail=(
            f"In {many.n} of {count(evidence.sessions, 'session')}{known_before(before)} the user wrote ten messages "
            f"or more; the mean is {about_one(messages.mean)} a session. Look at what they have to "
            "ask again, or have to be asked for."
        ),
        severity=messages.mean,
        impact=evidence.per_day(many.n),
        cites=(
            evidence.cite("many_messages_rate", part, evidence.sessions, baseline=before, samples=many.samples),
            mean_cite(evidence, "user_messages"),
        ),
    )


def _more_finding(rise: Rise, many: Measure) -> Finding:
    evidence = rise.evidence
    part = many.n / evidence.sessions
    before = share(evidence.before.get("many_messages"), evidence.before.get("sessions"))
    return Finding(
        key="many_messages",
        rule="many_messages",
        goal=Goal.accuracy,
        title=(
            f"User messages per session up {rise.more} to {about_one(rise.now.mean)} "
            f"(before {about_one(rise.before.mean)}){evidence.within}"
        ),
        detail=(
            f"Users wrote {about_one(rise.now.mean)} messages a session on average ({count(rise.now.n, 'session')}), "
            f"before that {about_one(rise.before.mean)}; in {percent(part)} of sessions{known_before(before)} it was "
            "ten or more. Look at what they have to ask again, or have to be asked for."
        ),
        severity=rise.now.mean,
        impact=evidence.per_day(many.n),
        cites=(
            mean_cite(evidence, "user_messages"),
            evidence.cite("many_messages_rate", part, evidence.sessions, baseline=before, samples=many.samples),
        ),
    )


def _repeated_finding(evidence: Evidence, repeated: Measure) -> Finding:
    part = repeated.n / evidence.sessions
    before = share(evidence.before.get("repeated_request"), evidence.before.get("sessions"))
    return Finding(
        key="repeated_request",
        rule="repeated_request",
        goal=Goal.accuracy,
        title=(
            f"Users send the same request twice in {percent(part)} of sessions{evidence.within}{known_before(before)}"
        ),
        detail=(
            f"In {repeated.n} of {count(evidence.sessions, 'session')}{known_before(before)} the user sent a message "
            f"again, word for word, {count(repeated.total, 'time')} in all: what they had asked for was not done or "
            "not seen. Look at the answer that they got the first time."
        ),
        severity=part,
        severity_max=1.0,
        impact=evidence.per_day(repeated.n),
        cites=(
            evidence.cite("repeated_request_rate", part, evidence.sessions, baseline=before, samples=repeated.samples),
            evidence.cite("repeated_requests", repeated.total, repeated.n, samples=repeated.samples),
        ),
    )
