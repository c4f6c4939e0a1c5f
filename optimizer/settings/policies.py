"""What has to hold before something is deployed, as `[agents.<slug>.policy]` says it."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from optimizer.settings.tables import Section
from optimizer.settings.times import Timezone

_PATTERN_CHARACTERS_MAX = 500
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The checks of a changed prompt that a policy may let a second yes pass.
Confirmable = Literal["address", "instruction", "tainted", "changed_too_much"]


def _clock(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise PydanticCustomError("clock", 'it should be a time of day, as in "22:00"')
    return time.fromisoformat(text)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise PydanticCustomError("pattern", "it is no regular expression ({why})", {"why": str(error)}) from error
    return text


ClockTime = Annotated[time, BeforeValidator(_clock)]
Pattern = Annotated[str, Field(min_length=1, max_length=_PATTERN_CHARACTERS_MAX), AfterValidator(_pattern)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class QuietHoursSettings(Section):
    """When nothing is deployed: from one time of day to another, past midnight too, and on whole days."""

    start: ClockTime = time(0)
    end: ClockTime = time(0)  # equal to `start`: no hours, only the days
    days: tuple[Weekday, ...] = ()  # all day long
    timezone: Timezone = "UTC"

    @model_validator(mode="after")
    def _leaves_a_time(self) -> Self:
        if set(self.days) == set(WEEKDAYS):
            raise PydanticCustomError("quiet", 'it names every day, so nothing could ever be deployed; say "freeze"')
        return self


class PolicySettings(Section):
    approvals_min: int = Field(default=1, ge=1, le=10)  # by distinct people, for each item
    requester_excluded: bool = False  # who asked for the run does not count
    deployments_per_day_max: int | None = Field(default=None, ge=1)  # decisions that deploy, in 24 hours
    changed_share_max: float | None = Field(default=None, gt=0, le=1)  # of a prompt's characters, for one session
    protected: tuple[Pattern, ...] = ()  # what these regular expressions match must stay as it is
    quiet_hours: QuietHoursSettings | None = None
    confirmable: tuple[Confirmable, ...] = ("tainted",)  # checks that a second yes, for the item alone, passes
