"""The half-open time span that a run looks at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from pydantic import model_validator

from optimizer.records.base import Record


class Window(Record):
    """`[since, until)`, both aware and in UTC."""

    since: datetime
    until: datetime

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since >= self.until:
            raise ValueError(f"the window ends at {self.until.isoformat()}, not after it began; swap the two times")
        return self

    @property
    def hours(self) -> float:
        return (self.until - self.since) / timedelta(hours=1)

    @property
    def days(self) -> float:
        return self.hours / 24

    def last(self, span: timedelta) -> Window:
        """The window of this length that ends where this one ends."""
        return Window(since=self.until - span, until=self.until)

    def before(self, span: timedelta) -> Window:
        """The window of this length that ends where this one begins."""
        return Window(since=self.since - span, until=self.since)


def spell(span: timedelta) -> str:
    """`24h`, `7d`: the label that a fact over another window carries."""
    hours = round(span / timedelta(hours=1))
    return f"{hours // 24}d" if hours > 24 and hours % 24 == 0 else f"{hours}h"
