"""What repeats itself in a session: identical calls, one long text in call after call."""

from __future__ import annotations

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
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.bounds import binomial_tail
from optimizer.text.excerpt import is_name, one_line
from optimizer.text.numbers import about, count, percent


def redundant_calls(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool is called again with arguments that it already had in the session."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        for tool, calls in evidence.now.by("tool.calls", "tool").items():
            if calls.n < thresholds["sessions_min"]:
                continue
            redundant = part_of(evidence.now.get("redundant_calls", tool=tool), calls)
            p_value = binomial_tail(redundant.n, calls.n, thresholds["healthy_share"])
            worth = worth_an_item(p_value, redundant.n, thresholds["repeating_sessions_min"])
            tests.append(
                evidence.test(
                    f"redundant_calls:{tool}",
                    p_value,
                    _redundant_finding(evidence, tool, calls, redundant) if worth else None,
                    f"{shown(tool)} repeats identical calls in {redundant.n} of {calls.n}"
                    if worth_a_line(p_value, redundant.n, thresholds["healthy_share"] * calls.n)
                    else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def repeated_text(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """The same long text is passed to tools again and again in one session."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        sessions = evidence.sessions
        if sessions < thresholds["sessions_min"]:
            continue
        for argument, repeated in evidence.now.by("repeated_text", "argument").items():
            p_value = binomial_tail(min(repeated.n, sessions), sessions, thresholds["healthy_share"])
            worth = worth_an_item(p_value, repeated.n, thresholds["repeating_sessions_min"])
            tests.append(
                evidence.test(
                    f"repeated_text:{argument}",
                    p_value,
                    _repeated_finding(evidence, argument, repeated) if worth else None,
                    f"same {_kind(argument)} text passed {repeated.largest:.0f}x in {count(repeated.n, 'session')}"
                    if worth_a_line(p_value, repeated.n, thresholds["healthy_share"] * sessions)
                    else None,
                )
            )
    return RuleOutcome(tests=tuple(tests))


def _redundant_finding(evidence: Evidence, tool: str, calls: Measure, redundant: Measure) -> Finding:
    before = share(evidence.before.get("redundant_calls", tool=tool), evidence.before.get("tool.calls", tool=tool))
    repeats = evidence.per_day(redundant.total)
    extra_tokens = repeats * evidence.tokens_per_step()
    part = redundant.n / calls.n
    return Finding(
        key=f"redundant_calls:{tool}",
        rule="redundant_calls",
        goal=Goal.cost,
        title=(
            f"{shown(tool)} repeats identical calls in {percent(part)} of sessions"
            f"{evidence.within} ({evidence.pace(redundant.total, 'call')})"
        ),
        detail=(
            f"In {redundant.n} of the {count(calls.n, 'session')} that call {shown(tool)}"
            f"{known_before(before)} the agent called it again with arguments that it already had in that "
            f"session: {evidence.pace(redundant.total, 'call')}{evidence.costs(extra_tokens)}."
        ),
        severity=part,
        severity_max=1.0,
        impact=extra_tokens,
        cites=(
            evidence.cite(
                "redundant_calls",
                redundant.total,
                redundant.n,
                samples=redundant.samples,
                labels={"tool": tool},
            ),
            evidence.cite("tool.calls", calls.total, calls.n, labels={"tool": tool}),
        ),
        tool=tool,
        advice=_redundant_advice(tool),
    )


def _repeated_finding(evidence: Evidence, argument: str, repeated: Measure) -> Finding:
    wasted = evidence.per_day(repeated.total) / evidence.snapshot.characters_per_token
    kind = _kind(argument)
    return Finding(
        key=f"repeated_text:{argument}",
        rule="repeated_text",
        goal=Goal.cost,
        title=(
            f"Same {kind} text passed {repeated.largest:.0f}x in one session (~{about(wasted)} tokens/day"
            f"{evidence.within})"
        ),
        detail=(
            f"In {repeated.n} of {count(evidence.sessions, 'session')} the agent wrote the same text of 500 "
            f"characters or more into the argument {one_line(argument, 40)!r} of three tool calls or more: "
            f"{evidence.cost_a_day(wasted, written=True)} beyond the first time. Let the tools keep the "
            "text and pass a reference to it."
        ),
        severity=repeated.n / evidence.sessions,
        severity_max=1.0,
        impact=wasted,
        cites=(
            evidence.cite(
                "repeated_text.tokens",
                repeated.total / evidence.snapshot.characters_per_token,
                repeated.n,
                samples=repeated.samples,
                labels={"argument": argument},
            ),
        ),
    )


def _redundant_advice(tool: str) -> str | None:
    if not is_name(tool):
        return None
    return (
        f"Use the result of an earlier `{tool}` call with the same arguments, unless something has changed since then."
    )


def _kind(argument: str) -> str:
    words = one_line(argument, 24).replace("_", " ").removesuffix("text").rstrip()
    return words if words and is_name(argument) else "long"
