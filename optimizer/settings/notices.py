"""Who is told what when, as `[agents.<slug>.notices]` says it."""

from __future__ import annotations

from datetime import time
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from optimizer.settings.policies import WEEKDAYS, ClockTime, Weekday
from optimizer.settings.tables import Section

_HOURS_MAX = 30 * 24


class NoticesSettings(Section):
    all_quiet: Literal["each", "weekly", "never"] = "weekly"  # how runs are told that found nothing
    remind_hours: float = Field(default=4.0, ge=0, le=_HOURS_MAX)  # until a reminder, and until the next; 0: none
    weekly_after_ignored: int = Field(default=3, ge=0, le=100)  # lists in a row without an answer; 0: never
    quiet_start: ClockTime = time(21)  # nobody is reminded from here, in their own time zone,
    quiet_end: ClockTime = time(8)  # to here; equal to `quiet_start`: no such hours
    quiet_days: tuple[Weekday, ...] = ("sat", "sun")  # nor on these, all day long

    @model_validator(mode="after")
    def _leaves_a_time(self) -> Self:
        if set(self.quiet_days) == set(WEEKDAYS):
            raise PydanticCustomError(
                "quiet", 'its quiet_days name every day, so nobody could ever be reminded; say "remind_hours = 0"'
            )
        return self
