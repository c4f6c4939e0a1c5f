"""What costs more, takes more steps or takes longer than before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from optimizer.diagnose.evidence import (
    Evidence,
    looks,
    milliseconds,
    shown,
    worth_a_change_line,
    worth_an_item,
)
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import CitedFact, Finding, Goal
from optimizer.records.snapshot import Snapshot
from optimizer.stats.histogram import quantile
from optimizer.stats.means import mean_rose
from optimizer.stats.sequential import Sample
from optimizer.text.numbers import about, count, percent, usd

# Behind a session that costs more: what it may have more of, and how that is called.
COST_PARTS = (
    ("steps", "steps"),
    ("tokens_in", "tokens in"),
    ("tokens_out", "tokens out"),
)
QUANTILES = (("p50", 0.5, "at the median"), ("p95", 0.95, "at the 95th percentile"))


@dataclass(frozen=True)
class Rise:
    """One quantity per session, now and before, by what it typically is (log scale) and by its mean."""

    evidence: Evidence
    p_value: float
    now: Measure
    before: Measure

    @property
    def is_real(self) -> bool:
        """Enough on both sides for a mean that can be named."""
        return bool(self.now.n and self.before.n and self.before.mean > 0)

    @property
    def times(self) -> float:
        return self.now.mean / self.before.mean

    @property
    def more(self) -> str:
        return percent(self.times - 1.0)


def risen(evidence: Evidence, name: str, thresholds: Thresholds) -> Rise | None:
    """The quantity `name` by its logarithm `<name>_log`; None where there is too little to compare."""
    now_log, before_log = evidence.now.get(f"{name}_log"), evidence.before.get(f"{name}_log")
    if now_log.n < thresholds["sessions_min"] or before_log.n < thresholds["sessions_before_min"]:
        return None
    p_value = mean_rose(Sample.of(now_log), Sample.of(before_log), math.log(thresholds["times_allowed"]))
    return Rise(evidence, p_value, evidence.now.get(name), evidence.before.get(name))


def cost_up(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A session costs more than before: typically, and on average."""
    return _rises(snapshot, thresholds, "cost_up", "cost_usd", ("cost", usd), _cost_finding)


def steps_up(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """The agent takes more steps in a session than before: typically, and on average."""
    return _rises(snapshot, thresholds, "steps_up", "steps", ("steps", about_one), _steps_finding)


def latency_up(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """A tool takes longer than before, by the mean logarithm of its latencies in each session."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        for tool, now in evidence.now.by("tool.latency_log", "tool").items():
            before = evidence.before.get("tool.latency_log", tool=tool)
            if now.n < thresholds["sessions_min"] or before.n < thresholds["sessions_before_min"]:
                continue
            p_value = mean_rose(Sample.of(now), Sample.of(before), math.log(thresholds["times_allowed"]))
            worth = worth_an_item(p_value, now.n, thresholds["sessions_min"])
            finding = _latency_finding(evidence, tool, now, thresholds["times_allowed"]) if worth else None
            tests.append(evidence.test(f"latency_up:{tool}", p_value, finding))
    return RuleOutcome(tests=tuple(tests))


def mean_cite(evidence: Evidence, name: str) -> CitedFact:
    now, before = evidence.now.get(name), evidence.before.get(name)
    return evidence.cite(f"{name}.mean", now.mean, now.n, baseline=before.mean if before.n else None)


def about_one(value: float) -> str:
    """A mean per session: `5.2`, `34`, `1.2k`."""
    return f"{value:.1f}".removesuffix(".0") if value < 9.95 else about(value)


def _rises(
    snapshot: Snapshot,
    thresholds: Thresholds,
    key: str,
    name: str,
    spoken: tuple[str, Callable[[float], str]],
    finding_of: Callable[[Rise], Finding],
) -> RuleOutcome:
    tests: list[Test] = []
    noun, say = spoken
    for evidence in looks(snapshot):
        rise = risen(evidence, name, thresholds)
        if rise is None or not rise.is_real:
            continue
        worth = worth_an_item(rise.p_value, rise.now.n, thresholds["sessions_min"])
        worth = worth and rise.times >= thresholds["times_allowed"]
        watched = worth_a_change_line(rise.p_value, rise.now.mean, rise.before.mean)
        line = f"{noun} per session {say(rise.now.mean)}, before {say(rise.before.mean)}"
        tests.append(evidence.test(key, rise.p_value, finding_of(rise) if worth else None, line if watched else None))
    return RuleOutcome(tests=tuple(tests))


def _cost_finding(rise: Rise) -> Finding:
    evidence = rise.evidence
    parts = [
        (name, f"{noun} {about_one(part.mean)} (before {about_one(part_before.mean)})")
        for name, noun in COST_PARTS
        if (part := evidence.now.get(name)).n and (part_before := evidence.before.get(name)).n
    ]
    told = "; ".join(words for _, words in parts)
    extra = evidence.per_day(rise.now.total) * (1.0 - 1.0 / rise.times)
    now, before = usd(rise.now.mean), usd(rise.before.mean)
    return Finding(
        key="cost_up",
        rule="cost_up",
        goal=Goal.cost,
        title=f"Cost per session up {rise.more} to {now} (before {before}){evidence.within}",
        detail=(
            f"{count(rise.now.n, 'session')} cost {now} each on average, {count(rise.before.n, 'session')} before that "
            f"{before}; a typical session costs more as well, not only a few dear ones. "
            f"That is {usd(extra)} a day."
            + (f" Per session: {told}." if told else "")
            + " Look at what changed: the prompt, the model, the tools, or what users ask for."
        ),
        severity=rise.now.mean,
        impact=evidence.tokens_of(extra),
        cites=(mean_cite(evidence, "cost_usd"), *(mean_cite(evidence, name) for name, _ in parts)),
    )


def _steps_finding(rise: Rise) -> Finding:
    evidence = rise.evidence
    more = evidence.per_day(rise.now.total - rise.before.mean * rise.now.n)
    extra_tokens = more * evidence.tokens_per_step()
    return Finding(
        key="steps_up",
        rule="steps_up",
        goal=Goal.cost,
        title=(
            f"Steps per session up {rise.more} to {about_one(rise.now.mean)} "
            f"(before {about_one(rise.before.mean)}){evidence.within}"
        ),
        detail=(
            f"{count(rise.now.n, 'session')} took {about_one(rise.now.mean)} steps each on average (tool calls and "
            f"answers), {count(rise.before.n, 'session')} before that {about_one(rise.before.mean)}: "
            f"{count(more, 'step')} more a day{evidence.costs(extra_tokens)}. Look at what the agent does more often."
        ),
        severity=rise.now.mean,
        impact=extra_tokens,
        cites=(mean_cite(evidence, "steps"),),
    )


def _latency_finding(evidence: Evidence, tool: str, log: Measure, times_allowed: float) -> Finding | None:
    """By the first quantile that shows it; None where neither does."""
    now = evidence.now.get("tool.latency_ms", tool=tool)
    before = evidence.before.get("tool.latency_ms", tool=tool)
    if not now.n or not before.n:
        return None
    seen = [(name, words, quantile(now.buckets, q), quantile(before.buckets, q)) for name, q, words in QUANTILES]
    clear = next((one for one in seen if one[2] >= times_allowed * one[3]), None)
    if clear is None:
        return None
    _, words, took, took_before = clear
    labels = {"tool": tool}
    waited = evidence.per_day((now.mean - before.mean) * now.n) / 60_000
    longer = f" Users wait about {count(round(waited), 'minute')} a day longer." if waited >= 1 else ""
    return Finding(
        key=f"latency_up:{tool}",
        rule="latency_up",
        goal=Goal.cost,
        title=(
            f"{shown(tool)} takes {milliseconds(took)} {words}, before {milliseconds(took_before)}{evidence.within}"
        ),
        detail=(
            f"{shown(tool)} took longer in {count(log.n, 'session')} than before: "
            + ", ".join(f"{milliseconds(a)} {said} (before {milliseconds(b)})" for _, said, a, b in seen)
            + f".{longer} No prompt helps: look at the tool's code, its server, and what it is asked for."
        ),
        severity=math.exp(log.mean),
        impact=0.0,
        cites=tuple(
            evidence.cite(f"tool.latency_ms.{name}", value, now.n, baseline=then, samples=log.samples, labels=labels)
            for name, _, value, then in seen
        ),
        tool=tool,
    )
