"""Why a line was refused, in plain words that name the field."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from optimizer.records.trace import EVENT_TYPES, IDENTIFIER_CHARACTERS_MAX

VALUE_CHARACTERS_MAX = 40

_TIME = "a time; write it as 2026-02-26T06:00:00Z"
_EXPECTED = {
    "events": "a list of events",
    "type": f"one of {', '.join(EVENT_TYPES)}",
    "t_ms": "a whole number of milliseconds",
    "tokens_in": "a whole number of tokens",
    "tokens_cached": "a whole number of tokens",
    "tokens_out": "a whole number of tokens",
    "cost_usd": "an amount in dollars",
    "started_at": _TIME,
    "ok": "true or false",
    "success": "true or false",
    "reward": "a number",
    "prompts": "an object of prompt names and their versions",
    "outcome": "an object with success, reward and end",
}


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    errors = error.errors(include_url=False, include_context=True)
    first, more = errors[0], len(errors) - 1
    return _sentence(first) + (f" (and {more} more)" if more else "")


def shown(value: object) -> str:
    """The value as it was given, cut short."""
    text = repr(value)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."


def _sentence(error: Any) -> str:
    location: tuple[str | int, ...] = error["loc"]
    path, kind, value = _path(location), str(error["type"]), error["input"]
    if kind == "missing":
        return f"{path} is missing"
    if kind == "string_too_short":
        return f"{path} is empty"
    if kind == "string_too_long":
        return f"{path} has more than {IDENTIFIER_CHARACTERS_MAX} characters"
    if kind == "greater_than_equal":
        return f"{path} is {shown(value)}, below zero"
    if kind == "less_than_equal":
        limit = "more than a year after the trace began" if location[-1] == "t_ms" else "too large"
        return f"{path} is {shown(value)}, {limit}"
    if location and isinstance(location[-1], int):
        return f"{path} is {shown(value)}, not an object"
    field = str(location[-1]) if location else ""
    return f"{path} is {shown(value)}, not {_EXPECTED.get(field, 'a text')}"


def _path(location: tuple[str | int, ...]) -> str:
    """`events[3].t_ms`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
