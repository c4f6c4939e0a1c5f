"""Business time. One clock is injected everywhere; SQL receives it as an argument."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from optimizer.errors import SettingsError


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class ManualClock:
    """A clock that stands still until it is moved: for the demo and for tests."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def advance(self, step: timedelta) -> None:
        self.at += step


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC, with seconds at least: `2026-02-26T06:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def timezone_named(name: str) -> tzinfo:
    """`Europe/Paris` -> its timezone. Raises `SettingsError` with the nearest name; `name` is not repeated."""
    if name == "UTC":  # also where the machine has no tz database
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        folded = {known.casefold(): known for known in available_timezones()}
        close = difflib.get_close_matches(name[:100].casefold(), list(folded), n=1, cutoff=0.5)
        meant = f" (did you mean {folded[close[0]]!r}?)" if close else ""
        raise SettingsError(f'it is no timezone that this machine knows{meant}, as in "Europe/Paris"') from None
