"""When somebody is told: in every time zone, over every change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.timing import Waiting, free_at, is_quiet, next_reminder, waits_for_its_week
from optimizer.settings.notices import NoticesSettings
from optimizer.settings.policies import WEEKDAYS

ZONES = ("UTC", "Europe/Paris", "America/Sao_Paulo", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut",
         "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca")  # fmt: skip
PARIS = ZoneInfo("Europe/Paris")
moments = st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
clock_times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
settings_ = st.builds(
    NoticesSettings.model_construct,
    quiet_start=clock_times,
    quiet_end=clock_times,
    quiet_days=st.lists(st.sampled_from(WEEKDAYS), max_size=6, unique=True).map(tuple),
)


@given(moments, st.sampled_from(ZONES), settings_, st.floats(0, 0.9999))
def test_the_next_free_moment_is_free_and_all_before_it_is_quiet(
    at: datetime, zone: str, settings: NoticesSettings, part: float
) -> None:
    timezone = ZoneInfo(zone)
    free = free_at(at, timezone, settings)
    assert free >= at
    assert not is_quiet(free, timezone, settings)
    assert free == at or is_quiet(at + (free - at) * part, timezone, settings)


@pytest.mark.parametrize(
    ("at", "free"),
    [
        ("2026-03-27T20:30:00+01:00", "2026-03-27T20:30:00+01:00"),  # Friday
        ("2026-03-27T21:00:00+01:00", "2026-03-30T08:00:00+02:00"),  # the weekend in which the clock goes forward
        ("2026-10-23T23:59:00+02:00", "2026-10-26T08:00:00+01:00"),  # and back
        ("2026-02-24T02:00:00+01:00", "2026-02-24T08:00:00+01:00"),
    ],
)
def test_nobody_is_reminded_at_night_and_on_weekends_where_they_live(at: str, free: str) -> None:
    assert free_at(datetime.fromisoformat(at), PARIS, NoticesSettings()) == datetime.fromisoformat(free)


NOON = datetime(2026, 2, 24, 10, tzinfo=UTC)
PEOPLE = (("dana", PARIS), ("sam", UTC), ("eve", UTC))


def test_the_first_person_is_reminded_once_then_the_next_and_then_nobody() -> None:
    waiting = Waiting(NOON, NOON + timedelta(hours=72))
    first = next_reminder(waiting, PEOPLE, NoticesSettings())
    assert first is not None
    assert (first.person, first.at) == ("dana", NOON + timedelta(hours=4))
    late = first.at + timedelta(hours=1)
    second = next_reminder(Waiting(NOON, waiting.expires_at, None, (late,)), PEOPLE, NoticesSettings())
    assert second is not None
    assert (second.person, second.at) == ("sam", late + timedelta(hours=4))
    assert next_reminder(Waiting(NOON, waiting.expires_at, None, (late, second.at)), PEOPLE, NoticesSettings()) is None
    assert next_reminder(Waiting(NOON, waiting.expires_at, None, (late,)), PEOPLE[:1], NoticesSettings()) is None


def test_a_snoozed_list_is_reminded_of_from_its_new_time_on() -> None:
    until = NOON + timedelta(hours=2)
    due = next_reminder(Waiting(NOON, NOON + timedelta(hours=72), until), PEOPLE, NoticesSettings())
    assert due is not None
    assert due.at == until + timedelta(hours=4)


@given(moments, st.integers(1, 200), st.sampled_from(ZONES))
def test_nobody_is_reminded_of_what_is_over(created_at: datetime, hours: int, zone: str) -> None:
    expires_at = created_at + timedelta(hours=hours)
    due = next_reminder(Waiting(created_at, expires_at), (("dana", ZoneInfo(zone)),), NoticesSettings())
    assert due is None or created_at + timedelta(hours=4) <= due.at < expires_at


def test_reminders_can_be_switched_off() -> None:
    waiting = Waiting(NOON, NOON + timedelta(hours=72))
    assert next_reminder(waiting, PEOPLE, NoticesSettings(remind_hours=0)) is None


def test_lists_that_nobody_answers_are_told_once_a_week() -> None:
    week = timedelta(days=7)
    assert not waits_for_its_week(2, NOON, NOON + timedelta(days=1), NoticesSettings())
    assert waits_for_its_week(3, NOON, NOON + timedelta(days=1), NoticesSettings())
    assert not waits_for_its_week(3, NOON, NOON + week - timedelta(minutes=5), NoticesSettings())
    assert not waits_for_its_week(3, None, NOON, NoticesSettings())
    assert not waits_for_its_week(9, NOON, NOON, NoticesSettings(weekly_after_ignored=0))


def test_an_hour_that_comes_twice_is_never_answered_with_its_first() -> None:
    settings = NoticesSettings.model_construct(quiet_start=time(0), quiet_end=time(1, 30), quiet_days=())
    second = datetime.fromisoformat("2026-11-01T01:10:00-05:00")
    assert free_at(second, ZoneInfo("America/New_York"), settings) == second + timedelta(minutes=20)
