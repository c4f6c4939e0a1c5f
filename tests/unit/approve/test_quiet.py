"""Quiet hours: past midnight, on whole days, and on the nights when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.approve.quiet import quiet_until
from optimizer.errors import SettingsError
from optimizer.settings import parse_values
from optimizer.settings.policies import WEEKDAYS, QuietHoursSettings

PARIS = ZoneInfo("Europe/Paris")
NIGHT = QuietHoursSettings.model_validate({"start": "22:00", "end": "07:00", "timezone": "Europe/Paris"})
WEEKEND = QuietHoursSettings.model_validate({"days": ["sat", "sun"], "timezone": "Europe/Paris"})
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu")


def paris(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold)


def until(quiet: QuietHoursSettings, text: str) -> str | None:
    end = quiet_until(quiet, paris(text))
    return end and f"{end:%Y-%m-%d %H:%M}"


def test_a_night_goes_past_midnight() -> None:
    assert until(NIGHT, "2026-03-02T21:59") is None
    assert until(NIGHT, "2026-03-02T22:00") == "2026-03-03 07:00"
    assert until(NIGHT, "2026-03-03T03:00") == "2026-03-03 07:00"
    assert until(NIGHT, "2026-03-03T06:59") == "2026-03-03 07:00"
    assert until(NIGHT, "2026-03-03T07:00") is None


def test_hours_of_one_day() -> None:
    lunch = QuietHoursSettings.model_validate({"start": "12:00", "end": "13:30", "timezone": "Europe/Paris"})
    assert until(lunch, "2026-03-02T12:45") == "2026-03-02 13:30"
    assert until(lunch, "2026-03-02T13:30") is None


def test_a_weekend_is_one_time_and_hours_that_touch_it_belong_to_it() -> None:
    assert until(WEEKEND, "2026-02-27T23:59") is None
    assert until(WEEKEND, "2026-02-28T00:00") == "2026-03-02 00:00"
    assert until(WEEKEND, "2026-03-01T18:00") == "2026-03-02 00:00"
    both = QuietHoursSettings.model_validate(NIGHT.model_dump(mode="json") | _clocks(NIGHT) | {"days": ["sat", "sun"]})
    assert until(both, "2026-02-27T22:30") == "2026-03-02 07:00"  # Friday evening


def _clocks(quiet: QuietHoursSettings) -> dict[str, str]:
    return {"start": f"{quiet.start:%H:%M}", "end": f"{quiet.end:%H:%M}"}


def test_the_night_that_is_an_hour_shorter_and_the_one_that_is_longer() -> None:
    for day, hours in (("2026-03-28", 8), ("2026-03-27", 9), ("2026-10-24", 10)):
        since = paris(f"{day}T22:00")
        end = quiet_until(NIGHT, since)
        assert end is not None
        assert (f"{end:%H:%M}", end - since.astimezone(UTC)) == ("07:00", timedelta(hours=hours))


def test_an_end_that_the_clock_shows_twice_is_the_second_and_one_that_it_skips_is_just_after() -> None:
    early = QuietHoursSettings.model_validate({"start": "22:00", "end": "02:30", "timezone": "Europe/Paris"})
    twice = quiet_until(early, paris("2026-10-25T02:15"))
    assert twice is not None
    assert twice.astimezone(UTC) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert quiet_until(early, paris("2026-10-25T02:45")) is not None
    assert quiet_until(early, paris("2026-10-25T02:45", fold=1)) is None
    assert until(early, "2026-03-29T01:00") == "2026-03-29 03:30"


clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))
quiets = st.builds(
    lambda start, end, days, zone: QuietHoursSettings.model_validate(
        {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "days": sorted(days), "timezone": zone}
    ),
    clocks,
    clocks,
    st.sets(st.sampled_from(WEEKDAYS), max_size=6),
    st.sampled_from(ZONES),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))


@given(quiets, moments)
def test_when_it_ends_it_is_over_and_not_before(quiet: QuietHoursSettings, at: datetime) -> None:
    end = quiet_until(quiet, at)
    if end is None:
        return
    assert end > at
    assert end - at < timedelta(days=8)
    assert quiet_until(quiet, end) is None
    for part in (0.25, 0.5, 0.999):
        assert quiet_until(quiet, at + (end - at) * part) == end


@given(quiets, moments)
def test_what_the_clock_on_the_wall_calls_quiet_is_quiet(quiet: QuietHoursSettings, at: datetime) -> None:
    local = at.astimezone(ZoneInfo(quiet.timezone))
    clock = local.time()
    after, before = clock >= quiet.start, clock < quiet.end
    in_hours = quiet.start != quiet.end and (after and before if quiet.start < quiet.end else after or before)
    called = in_hours or WEEKDAYS[local.weekday()] in quiet.days
    assert not called or quiet_until(quiet, at) is not None


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"start": "25:00"}, 'a time of day, as in "22:00"'),
        ({"days": ["monday"]}, "days"),
        ({"days": list(WEEKDAYS)}, "it names every day"),
        ({"timezone": "Europe/Pariss"}, "did you mean 'Europe/Paris'?"),
        ({"begin": "22:00"}, "'agents.a.policy.quiet_hours.begin' is not known"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(table: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_values({"agents": {"a": {"policy": {"quiet_hours": table}}}})
    assert told in str(refused.value)
