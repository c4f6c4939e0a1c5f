"""Quiet is not blind, and a slow Sunday is no alarm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizer.diagnose.alarms import traffic_alarms
from optimizer.records.snapshot import Slot
from optimizer.records.window import Window
from tests.unit.diagnose.builders import NO_TRAFFIC, UNTIL, Traffic, slots, snapshot


def alarmed(sessions: int, history: tuple[Slot, ...] = (), before: Traffic = NO_TRAFFIC) -> tuple[str, ...]:
    return traffic_alarms(snapshot(Traffic(sessions), before, history=history), UNTIL, exact=False)


def weeks(*a_week: int) -> tuple[Slot, ...]:
    """30 days before the run's own, of a week that is told newest first: its last day is like the run's own."""
    return slots(*[(a_week[day % 7], 0.0) for day in range(30)])


STEADY = weeks(12, 12, 12, 12, 12, 12, 12)
QUIET_TODAY = weeks(14, 15, 14, 16, 13, 8, 2)


def test_no_session_is_always_an_alarm() -> None:
    assert alarmed(0, QUIET_TODAY) == (
        "No agent sessions in the last 24h; the newest trace began 2026-02-26 06:00 UTC: "
        "check that traces still arrive.",
    )
    said = traffic_alarms(snapshot(Traffic(0)), None, exact=True)
    assert said[0].startswith("No agent sessions from 2026-02-25 to 2026-02-26; no trace was ever imported")


def test_far_fewer_than_usual() -> None:
    assert alarmed(1, STEADY) == ("Only 1 agent session in the last 24h, usually about 12: check the traces.",)
    # Held against the same day of the week, not against the other days.
    assert "usually about 100:" in alarmed(40, weeks(300, 310, 290, 305, 280, 150, 100))[0]


@pytest.mark.parametrize(
    ("sessions", "history"),
    [
        (5, STEADY),  # chance
        (1, QUIET_TODAY),  # as on every Sunday
        (160, weeks(300, 310, 290, 305, 280, 310, 300)),  # more than half
        (5, slots(*[((5, 0, 90, 2, 130)[day % 5], 0.0) for day in range(30)])),  # it comes in bursts
        (1, slots((12, 0.0), (12, 0.0), (12, 0.0))),  # three days are no history
    ],
)
def test_what_is_no_alarm(sessions: int, history: tuple[Slot, ...]) -> None:
    assert alarmed(sessions, history) == ()


def test_a_young_agent_is_held_against_all_its_days() -> None:
    assert alarmed(6, slots(*[(120, 0.0)] * 10))


def test_short_windows_are_held_against_the_same_hour() -> None:
    hour = timedelta(hours=1)
    history = tuple(
        Slot(Window(since=UNTIL - (n + 1) * hour, until=UNTIL - n * hour), 2 if n % 24 == 0 else 60, 0.0)
        for n in range(1, 7 * 24 + 1)
    )
    quiet_hour = snapshot(Traffic(1), history=history, span=hour)
    assert traffic_alarms(quiet_hour, None, exact=False) == ()
    assert alarmed(1, tuple(slot for slot in history if slot.sessions == 60))


def test_without_slots_the_month_before_tells_what_is_usual() -> None:
    assert alarmed(6, before=Traffic(1200))
    assert alarmed(25, before=Traffic(1200)) == ()
    assert alarmed(1, before=Traffic(20)) == ()
