"""Business time. One clock is injected everywhere; SQL receives it as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


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
