"""Values as they stand in the wild: numbers as text, times in any unit, success in words, JSON inside of text."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from optimizer.errors import InputError
from optimizer.observe.owner.fields import BAD, GOOD, snake
from optimizer.observe.parse import parse_line

_NUMBER = re.compile(r"\s*\$?\s*([-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|[-+]?\.\d+)\s*(?:usd|USD)?\s*")
_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (1e9, 1.0))  # since 1970: in ns, us, ms, s
_EPOCH_MAX = 253_370_764_800  # the year 9999
_MS_MAX = 366 * 24 * 3600 * 1000


class Relative(NamedTuple):
    """A time since the run began; `unit` is None where the name does not say which."""

    value: float
    unit: str | None  # "ms" | "s"


def number(value: Any) -> float | None:
    """The number, also out of text like "$0.02" or "1,200"; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else None
    if isinstance(value, str) and len(value) < 50 and (match := _NUMBER.fullmatch(value)):
        found = float(match[1].replace(",", ""))
        return found if math.isfinite(found) else None
    return None


def text(value: Any) -> str | None:
    """A name or id: text that is not empty, or a whole number; None for anything else."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: Any) -> datetime | None:
    """An ISO time (UTC where it has no offset) or the time since 1970 in s, ms, us or ns; None for anything else."""
    found = number(value)
    if found is not None:
        return _since_1970(found)
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _since_1970(value: float) -> datetime | None:
    unit = next((unit for least, unit in _UNITS if value >= least), None)
    seconds = value * unit if unit else _EPOCH_MAX
    return datetime.fromtimestamp(seconds, UTC) if seconds < _EPOCH_MAX else None


def time_of(name: str, value: Any) -> datetime | Relative | None:
    """The time that a field of an event holds; small numbers are since the run began."""
    found = moment(value)
    if found is not None:
        return found
    since = number(value)
    if since is None:
        return None
    unit = "ms" if name.endswith("_ms") else "s" if name.endswith(("_s", "_sec", "_seconds")) else None
    return Relative(max(since, 0.0), unit)


def milliseconds(value: Relative, bare_unit: str) -> int:
    """`bare_unit` is the unit of names that do not say one. Longer than a year is said to be that by the normaliser."""
    scaled = value.value * (1000 if (value.unit or bare_unit) == "s" else 1)
    return round(min(scaled, 2.0 * _MS_MAX))


def verdict(value: Any) -> bool | None:
    """Success as a boolean, a word, or 0 and 1; None where it says neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = snake(value)
        if word in GOOD or word in ("true", "yes", "1"):
            return True
        return False if word in BAD or word in ("false", "no", "0") else None
    return {0: False, 1: True}.get(value) if isinstance(value, int) else None


def inside(value: Any, what: str) -> Any:
    """What a text of JSON holds, and anything else as it is. Raises `InputError` where it only begins like JSON."""
    if not isinstance(value, str):
        return value
    stripped = value.strip()
    if not stripped.startswith(("{", "[", '"')):
        return value
    try:
        line, _ = parse_line(b'{"value":' + stripped.encode() + b"}")
    except InputError as error:
        raise InputError(f"{what} is a text that begins like JSON, but {error}") from error
    return line["value"]


def as_object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    return cast("list[Any]", value) if isinstance(value, list) else None
