"""Where money goes: much read for little written, and a window that costs far more than the ones before."""

from __future__ import annotations

import math
import statistics

from optimizer.diagnose.evidence import Evidence, looks, worth_a_line, worth_an_item
from optimizer.diagnose.rises import mean_cite
from optimizer.diagnose.rule import RuleOutcome, Test, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal, ItemType
from optimizer.records.snapshot import Slot, Snapshot
from optimizer.stats.bounds import binomial_tail
from optimizer.stats.means import outlier_tail
from optimizer.text.numbers import about, count, percent, tokens, usd

# More or fewer of something than usual is named from here on.
NAMED_TIMES_MIN = 1.25


def input_heavy(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """Many sessions read, uncached, far more than they write."""
    tests: list[Test] = []
    for evidence in looks(snapshot):
        known = evidence.now.get("tokens_in").n
        if known < thresholds["sessions_min"]:
            continue
        heavy = evidence.now.get("input_heavy")
        p_value = binomial_tail(min(heavy.n, known), known, thresholds["healthy_share"])
        worth = worth_an_item(p_value, heavy.n, thresholds["heavy_sessions_min"])
        tests.append(
            evidence.test(
                "input_heavy",
                p_value,
                _heavy_finding(evidence, heavy, known) if worth else None,
                f"input far above output in {heavy.n} of {count(known, 'session')}"
                if worth_a_line(p_value, heavy.n, thresholds["healthy_share"] * known)
                else None,
            )
        )
    return RuleOutcome(tests=tuple(tests))


def cost_spike(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """The run's window costs far more, in all, than windows of its length did before."""
    evidence = Evidence(snapshot, snapshot.main)
    cost = evidence.now.get("cost_usd")
    slots = [slot for slot in snapshot.history if slot.cost_usd > 0]
    if len(slots) < thresholds["slots_min"] or cost.total <= 0:
        return RuleOutcome()
    series = [math.log(slot.cost_usd) for slot in slots]
    p_value = outlier_tail(math.log(cost.total), series)
    usual = math.exp(statistics.fmean(series))
    worth = worth_an_item(p_value, cost.n, thresholds["sessions_min"]) and cost.total >= thresholds["times"] * usual
    return RuleOutcome(
        tests=(evidence.test("cost_spike", p_value, _spike_finding(evidence, cost, slots, usual) if worth else None),)
    )


def _heavy_finding(evidence: Evidence, heavy: Measure, known: int) -> Finding:
    part, each = heavy.n / known, heavy.total / heavy.n
    sent, written, cached = (evidence.now.get(name) for name in ("tokens_in", "tokens_out", "tokens_cached"))
    daily = evidence.per_day(heavy.total)
    from_cache = f", {about(cached.mean)} of them from a cache" if cached.n else ", none known to come from a cache"
    dollars = evidence.usd_of(daily)
    return Finding(
        key="input_heavy",
        rule="input_heavy",
        goal=Goal.cost,
        title=(
            f"{percent(part)} of sessions read 10k+ tokens, over 50x what they write "
            f"(~{about(daily)} tokens/day{evidence.within})"
        ),
        detail=(
            f"{heavy.n} of {count(known, 'session')} sent 10,000 input tokens or more, not counting cached ones, and "
            f"over 50 for each that the model wrote: {tokens(each, estimated=False)} each. On average a session reads "
            f"{about(sent.mean)}{from_cache}, and writes {about(written.mean) if written.n else 'an unknown number'}. "
            "Keep the unchanging text at the start and let the vendor cache it; send old tool results shortened or not "
            f"at all.{f' These tokens cost up to ~{usd(dollars)} a day.' if dollars else ''}"
        ),
        severity=heavy.total / known,
        impact=daily,
        cites=(
            evidence.cite("input_heavy_rate", part, known, samples=heavy.samples),
            evidence.cite("input_heavy.tokens", heavy.total, heavy.n, samples=heavy.samples),
            *(
                mean_cite(evidence, name)
                for name in ("tokens_in", "tokens_out", "tokens_cached")
                if evidence.now.get(name).n
            ),
        ),
        by_hand=ItemType.config_change,
    )


def _spike_finding(evidence: Evidence, cost: Measure, slots: list[Slot], usual: float) -> Finding:
    sessions = evidence.sessions
    usual_sessions = statistics.median(slot.sessions for slot in slots)
    usual_each = sum(slot.cost_usd for slot in slots) / max(1, sum(slot.sessions for slot in slots))
    each = cost.total / max(1, sessions)
    more, dearer = sessions >= NAMED_TIMES_MIN * usual_sessions, each >= NAMED_TIMES_MIN * usual_each
    cause = {
        (True, False): f"more sessions ({sessions:,}, usually {usual_sessions:,.0f})",
        (False, True): f"dearer sessions ({usd(each)} each, usually {usd(usual_each)})",
    }.get((more, dearer), f"{sessions:,} sessions at {usd(each)}, usually {usual_sessions:,.0f} at {usd(usual_each)}")
    return Finding(
        key="cost_spike",
        rule="cost_spike",
        goal=Goal.cost,
        title=f"{evidence.span} cost {usd(cost.total)}, usually {usd(usual)}: {cause}",
        detail=(
            f"All sessions of the last {evidence.span} together cost {usd(cost.total)}. In the {len(slots)} windows of "
            f"that length before, it was typically {usd(usual)} and at most "
            f"{usd(max(slot.cost_usd for slot in slots))}. {cause[:1].upper()}{cause[1:]}; the dearest session cost "
            f"{usd(cost.largest)}. Look whether someone tests, loads or misuses the agent, and whether a limit per "
            "session is set."
        ),
        severity=cost.total,
        impact=evidence.tokens_of(evidence.per_day(cost.total - usual)),
        cites=(
            evidence.cite("cost_usd.total", cost.total, cost.n, samples=cost.samples),
            evidence.cite("cost_usd.usual", usual, len(slots)),
            evidence.cite("cost_usd.largest", cost.largest, cost.n, samples=cost.samples),
            evidence.cite("sessions", sessions, sessions),
            evidence.cite("sessions.usual", usual_sessions, len(slots)),
            evidence.cite("cost_usd.mean", cost.mean, cost.n),
        ),
        by_hand=ItemType.config_change,
    )
