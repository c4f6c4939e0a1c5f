"""When somebody is told: quiet hours and days in each person's time zone, reminders, and what is told once a week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from optimizer.settings.notices import NoticesSettings
from optimizer.settings.policies import WEEKDAYS

REMINDERS_MAX = 2  # one to the first person named, one to the next
WEEK = timedelta(days=7)
_STEPS_MAX = 20  # of one search: seven days, each with its hours and its change of the clock


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits for a decision."""

    created_at: datetime
    expires_at: datetime
    snoozed_until: datetime | None = None
    reminded_at: tuple[datetime, ...] = ()  # in order


@dataclass(frozen=True, slots=True)
class Reminder:
    n: int  # from 0
    person: str
    at: datetime  # not before


def is_quiet(at: datetime, timezone: tzinfo, settings: NoticesSettings) -> bool:
    """Whether nobody there is reminded at that moment."""
    local = at.astimezone(timezone)
    return WEEKDAYS[local.weekday()] in settings.quiet_days or _in_quiet_hours(local.time(), settings)


def free_at(at: datetime, timezone: tzinfo, settings: NoticesSettings) -> datetime:
    """The first moment from `at` on, in UTC, that is not quiet there."""
    moment = at.astimezone(UTC)
    for _ in range(_STEPS_MAX):
        if not is_quiet(moment, timezone, settings):
            return moment
        local = moment.astimezone(timezone)
        if WEEKDAYS[local.weekday()] in settings.quiet_days:
            moment = _next(moment, local.date() + timedelta(days=1), time(0), timezone)
        else:
            past_midnight = settings.quiet_start > settings.quiet_end and local.time() >= settings.quiet_start
            moment = _next(moment, local.date() + timedelta(days=past_midnight), settings.quiet_end, timezone)
    return moment


def next_reminder(session: Waiting, people: Sequence[tuple[str, tzinfo]], settings: NoticesSettings) -> Reminder | None:
    """Who is reminded next and when; None when nobody is before the session expires. `people`: as they are named."""
    n = len(session.reminded_at)
    if not settings.remind_hours or n >= min(REMINDERS_MAX, len(people)):
        return None
    person, timezone = people[n]
    since = max((session.created_at, *session.reminded_at, session.snoozed_until or session.created_at))
    at = free_at(since + timedelta(hours=settings.remind_hours), timezone, settings)
    return Reminder(n, person, at) if at < session.expires_at else None


def waits_for_its_week(ignored: int, told_at: datetime | None, now: datetime, settings: NoticesSettings) -> bool:
    """Whether a new list is not told: the last ones were not answered, and one was told within a week."""
    return (
        bool(settings.weekly_after_ignored)
        and ignored >= settings.weekly_after_ignored
        and told_at is not None
        and now - told_at < WEEK - timedelta(hours=1)  # a run that is early by some minutes is next week's
    )


def _in_quiet_hours(at: time, settings: NoticesSettings) -> bool:
    start, end = settings.quiet_start, settings.quiet_end
    return start <= at < end if start <= end else at >= start or at < end


def _next(after: datetime, day: date, at: time, timezone: tzinfo) -> datetime:
    """That time of that day, in UTC: where the clock goes back over it, the one after `after`."""
    local = datetime.combine(day, at, tzinfo=timezone)
    first = local.astimezone(UTC)
    return first if first > after else local.replace(fold=1).astimezone(UTC)
