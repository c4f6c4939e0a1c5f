"""Quiet is not blind: no traffic, or far less than usual, is said before anything else."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from optimizer.records.snapshot import DAY, MONTH, WEEK, Slot, Snapshot
from optimizer.records.window import Window, spell
from optimizer.stats.bounds import count_fell
from optimizer.text.numbers import count

ALPHA = 0.001  # once in three years of daily runs
SHARE_MAX = 0.5  # of the usual traffic: with more than half of it, the traces arrive
# A weekly rhythm is told from three weeks on, a daily one from a week on; without either, all slots count.
RHYTHMS = ((WEEK, 3), (DAY, 7))
SLOTS_MIN = 5


@dataclass(frozen=True)
class _Usual:
    """How many sessions windows like this one had before."""

    mean: float
    periods: float  # of the window's length
    dispersion: float  # variance by mean, at least that of chance


def traffic_alarms(snapshot: Snapshot, newest: datetime | None, *, exact: bool) -> tuple[str, ...]:
    """What is wrong with the traffic itself, in sentences.

    No agent session at all is always an alarm. Fewer than usual is one where it is half or less, and less
    than chance explains: the usual is that of the same hours of earlier weeks, where there are enough, so that
    a quiet Sunday is no news. `newest`: when the newest trace of the agent began.
    """
    sessions = snapshot.main.measures.get("sessions").n
    when = f"{'from' if exact else 'in the last'} {spell_window(snapshot.window, exact=exact)}"
    if not sessions:
        seen = f"the newest trace began {newest:%Y-%m-%d %H:%M} UTC" if newest else "no trace was ever imported"
        return (f"No agent sessions {when}; {seen}: check that traces still arrive.",)
    usual = _usual(snapshot)
    p_value = count_fell(sessions, usual.mean * usual.periods, usual.periods, usual.dispersion)
    if sessions <= SHARE_MAX * usual.mean and p_value <= ALPHA:
        return (f"Only {count(sessions, 'agent session')} {when}, usually about {usual.mean:.0f}: check the traces.",)
    return ()


def spell_window(window: Window, *, exact: bool) -> str:
    """`24h`, or the dates where they were given."""
    return f"{window.since:%Y-%m-%d} to {window.until:%Y-%m-%d}" if exact else spell(window.until - window.since)


def _usual(snapshot: Snapshot) -> _Usual:
    """From the earlier slots that are like this window; without a history, from the 30 days before as a whole."""
    slots = _alike(snapshot.window, snapshot.history)
    if not slots:
        periods = MONTH / (snapshot.window.until - snapshot.window.since)
        return _Usual(snapshot.main.before.get("sessions").n / periods, periods, 1.0)
    counts = [slot.sessions for slot in slots]
    mean, scatter = statistics.fmean(counts), statistics.variance(counts)
    return _Usual(mean, len(counts), max(1.0, scatter / mean) if mean else 1.0)


def _alike(window: Window, history: Sequence[Slot]) -> list[Slot]:
    """The slots at the same time of the week, else of the day, else all; none where even these are too few."""
    for rhythm, slots_min in RHYTHMS:
        alike = [slot for slot in history if (window.since - slot.window.since) % rhythm == timedelta(0)]
        if len(alike) >= slots_min:
            return alike
    return list(history) if len(history) >= SLOTS_MIN else []
