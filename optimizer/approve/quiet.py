"""Quiet hours on the calendar of their time zone, past midnight and across changes of the clock. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from optimizer.clock import timezone_named
from optimizer.settings.policies import WEEKDAYS, QuietHoursSettings

_DAY = timedelta(days=1)
_SPANS_MAX = 32  # quiet spans that follow each other without a pause; a week has no more than 14


def quiet_until(quiet: QuietHoursSettings, at: datetime) -> datetime | None:
    """When the quiet that holds at this moment ends, in the time zone of the setting; None when there is none."""
    zone = timezone_named(quiet.timezone)
    end = at
    for _ in range(_SPANS_MAX):
        later = max((until for since, until in _spans(quiet, end, zone) if since <= end < until), default=None)
        if later is None:
            break
        end = later
    return end.astimezone(zone) if end > at else None


def _spans(quiet: QuietHoursSettings, at: datetime, zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """The quiet spans around a moment, `[since, until)` in UTC."""
    today = at.astimezone(zone).date()
    spans: list[tuple[datetime, datetime]] = []
    for day in (today - _DAY, today, today + _DAY):
        if WEEKDAYS[day.weekday()] in quiet.days:
            spans.append((_first(day, time(0), zone), _last(day + _DAY, time(0), zone)))
        if quiet.start != quiet.end:
            last_day = day if quiet.start < quiet.end else day + _DAY
            spans.append((_first(day, quiet.start, zone), _last(last_day, quiet.end, zone)))
    return spans


def _first(day: date, clock: time, zone: tzinfo) -> datetime:
    """The first moment at which a clock there can be said to show it: some nights it does twice, or never."""
    return min(_moments(day, clock, zone))


def _last(day: date, clock: time, zone: tzinfo) -> datetime:
    return max(_moments(day, clock, zone))


def _moments(day: date, clock: time, zone: tzinfo) -> list[datetime]:
    local = datetime.combine(day, clock, tzinfo=zone)
    return [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
