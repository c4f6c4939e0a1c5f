"""Names of time zones and times of the calendar, as `ratchet.toml` has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from optimizer.clock import timezone_named
from optimizer.errors import SettingsError

_CRON_FIELDS = 5


def _timezone(name: str) -> str:
    try:
        timezone_named(name)
    except SettingsError as error:
        raise PydanticCustomError("timezone", "{why}", {"why": str(error)}) from error
    return name


def _cron(text: str) -> str:
    if len(text.split()) != _CRON_FIELDS:
        raise PydanticCustomError("cron", 'it should have five fields, as in "0 6 * * *"')
    return text


Timezone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[str, AfterValidator(_cron)]
