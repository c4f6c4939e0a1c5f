"""The bytes of a line -> a JSON object that PostgreSQL can store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import from_json, to_json

from optimizer.errors import InputError

DEPTH_MAX = 200  # of nested objects and lists, as in the fast parser; well inside what PostgreSQL can walk

# Escapes that stand for NUL or a surrogate; a pair of surrogates is one good character.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "�"


def parse_line(raw: bytes) -> tuple[dict[str, Any], bool]:
    """The line's object, and whether characters that cannot be stored (NUL, lone surrogates, bytes that are
    no UTF-8) were replaced by U+FFFD. Raises `InputError` with the reason in plain words.
    """
    if _SUSPECT.search(raw) is None:
        try:
            # Refuses NaN, control characters, bad UTF-8 and more than 200 levels.
            value = from_json(raw, allow_inf_nan=False)
        except ValueError:
            value, cleaned = _parse_with_care(raw)
        else:
            # 1e999 has become infinite: written again, it shows (or a text that holds the word: no harm).
            value, cleaned = _clean(value, 0) if b"Infinity" in to_json(value) else (value, False)
    else:
        value, cleaned = _parse_with_care(raw)
    if not isinstance(value, dict):
        raise InputError(f"it is {_kind(value)}, not a JSON object")
    return cast("dict[str, Any]", value), cleaned


def _parse_with_care(raw: bytes) -> tuple[Any, bool]:
    try:
        text, undecodable = raw.decode("utf-8"), False
    except UnicodeDecodeError:
        text, undecodable = raw.decode("utf-8", "replace"), True
    try:
        value = json.loads(text, parse_constant=_refuse_constant, strict=False)
    except json.JSONDecodeError as error:
        raise InputError(f"it is not JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise InputError(f"it is nested more than {DEPTH_MAX} levels deep") from error
    except ValueError as error:
        raise InputError("it holds a number of thousands of digits") from error
    value, cleaned = _clean(value, 0)
    return value, cleaned or undecodable


def _refuse_constant(name: str) -> float:
    raise InputError(f"it holds {name}, which is no number in JSON")


def _clean(value: Any, depth: int) -> tuple[Any, bool]:
    """The value with storable texts only, and whether that changed it."""
    if isinstance(value, str):
        cleaned, count = _UNSTORABLE.subn(_REPLACEMENT, value)
        return cleaned, count > 0
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError("it holds a number that is too large")
    if depth > DEPTH_MAX:
        raise InputError(f"it is nested more than {DEPTH_MAX} levels deep")
    if isinstance(value, list):
        items = [_clean(item, depth + 1) for item in cast("list[Any]", value)]
        return [item for item, _ in items], any(changed for _, changed in items)
    if isinstance(value, dict):
        pairs = [
            (_clean(key, depth + 1), _clean(item, depth + 1)) for key, item in cast("Mapping[str, Any]", value).items()
        ]
        return {key: item for (key, _), (item, _) in pairs}, any(k or v for (_, k), (_, v) in pairs)
    return value, False


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names[type(value)]
