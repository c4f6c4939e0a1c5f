"""What a deployment did to live traffic, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cards.card import Line, Tone
from bot.cards.words import safe
from optimizer.records.verdict import Comparison, Outcome, ToldBy, Verdict
from optimizer.text.numbers import about, change, count, percent, usd

_OUTCOMES = {
    Outcome.better: "better",
    Outcome.worse: "worse",
    Outcome.no_difference: "no clear difference",
}
_TONES: dict[Outcome, Tone] = {Outcome.better: "good", Outcome.worse: "bad"}
_METRICS = {
    "cost_usd": "cost per session",
    "success": "success",
    "errors": "sessions with errors",
    "user_messages": "user messages per session",
}
_SHARES = frozenset({"success", "errors"})


_TOLD_BY = {
    ToldBy.label: "versions told by where the label pointed",
    ToldBy.first_seen: "versions told by first appearance",
    ToldBy.time: "compared by time only: traces name no known version",
}


def verdict_line(verdict: Verdict) -> Line:
    """`master_system_core v2 (deployed), better: cost per session -14.2% (-17 to -11), ...`."""
    opening = f"{safe(verdict.prompt)} v{verdict.new_version} (deployed)"
    # By time alone, whatever else changed is in it: told, and neither praised nor blamed.
    tone: Tone = "plain" if verdict.told_by is ToldBy.time else _TONES.get(verdict.outcome, "plain")
    return Line(f"{opening}{verdict_words(verdict)}", tone)


def verdict_words(verdict: Verdict) -> str:
    """What follows the version: `, better: ...` or `: not enough data yet (12 sessions under v2).`"""
    how = _how(verdict)
    if verdict.outcome is Outcome.not_enough_data:
        return f": not enough data yet ({_fewer(verdict)}{how})."
    sure = [one for one in verdict.comparisons if one.outcome in (Outcome.better, Outcome.worse)]
    unsure = [one for one in verdict.comparisons if one not in sure]
    first, rest = (_all(sure), _all(unsure)) if sure else (_all(unsure), "")
    doubt = f"; not sure yet: {rest}" if rest else ""
    sides = f"{count(verdict.sessions_after, 'session')} after, {verdict.sessions_before:,} before"
    since = " since then" if verdict.told_by is ToldBy.time else ""
    return f", {_OUTCOMES[verdict.outcome]}{since}: {first}{doubt}; {sides}{how}."


def _how(verdict: Verdict) -> str:
    """How the versions were told apart, where it was not by name, and how many sessions could not be."""
    how = f"; {_TOLD_BY[verdict.told_by]}" if verdict.told_by in _TOLD_BY else ""
    if verdict.told_by is ToldBy.time or not verdict.sessions_unknown:
        return how
    of_all = f"{verdict.sessions_unknown:,} of {count(verdict.sessions_in_all, 'session')}"
    return f"{how}; {of_all} did not name a known version and are left out"


def _all(comparisons: Sequence[Comparison]) -> str:
    return ", ".join(told for one in comparisons if (told := _told(one)))


def _fewer(verdict: Verdict) -> str:
    """The side that data is missing on."""
    if verdict.told_by is ToldBy.time:
        after = verdict.sessions_after <= verdict.sessions_before
        fewer = verdict.sessions_after if after else verdict.sessions_before
        return f"{count(fewer, 'session')} {'after' if after else 'before'}"
    if verdict.sessions_after <= verdict.sessions_before:
        return f"{count(verdict.sessions_after, 'session')} under v{verdict.new_version}"
    return f"{count(verdict.sessions_before, 'session')} under v{verdict.base_version}"


def _told(one: Comparison) -> str:
    name = _METRICS.get(one.metric, safe(one.metric))
    if one.before is None or one.after is None:
        return ""
    if one.metric == "cost_usd" and one.change is not None and one.low is not None and one.high is not None:
        return f"{name} {change(one.change, one.low, one.high)}"
    return f"{name} {_value(one.metric, one.before)} -> {_value(one.metric, one.after)}"


def _value(metric: str, value: float) -> str:
    if metric in _SHARES:
        return percent(value)
    return usd(value) if metric == "cost_usd" else about(value) if value >= 10 else f"{value:.1f}"
