"""A template filled with inputs, as an agent fills it, in a sandbox: bounded in size and in work, with no code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, NamedTuple, cast

from optimizer.errors import InputError
from optimizer.prompts.hidden import visible
from optimizer.prompts.spans import shorten

_NESTED_MAX = 2  # fields inside a field's format, as Python has them

_MUSTACHE = re.compile(r"\{\{\s{0,20}([^\W\d][\w.\-]{0,120})\s{0,20}\}\}|(?<![{$])\{([^\W\d][\w.\-]{0,120})\}(?!\})")
_FIELD = re.compile(r"([^.\[\]]+)((?:\.[^.\[\]]+|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]+)\]")
_LONG_NUMBER = re.compile(r"\d{6}")


class RenderError(InputError):
    """A template that cannot be filled with these inputs."""


class Rendered(NamedTuple):
    text: str
    unfilled: frozenset[str]  # names that stand in the text and that no input fills


def render(text: str, template_format: str, inputs: Mapping[str, Any], *, characters_max: int) -> Rendered:
    """The text with its variables filled, as `template_format` says: jinja2, f-string, or `{{name}}` and `{name}`.

    Raises `RenderError` where it cannot be filled, where it grows above `characters_max`, and where its loops go
    round more than 50,000 times.
    """
    fill = {"jinja2": _jinja, "f-string": _fields}.get(template_format, _names)
    unfilled: set[str] = set()
    pieces: list[str] = []
    size = 0
    try:
        for piece in fill(text, inputs, unfilled):
            pieces.append(piece)
            size += len(piece)
            if size > characters_max:
                raise RenderError(f"it has more than {characters_max:,} characters")
    except RenderError:
        raise
    except Exception as error:  # whatever a foreign template may do
        raise RenderError(visible(shorten(f"{type(error).__name__}: {error}", 120)).rstrip(".")) from error
    return Rendered("".join(pieces), frozenset(unfilled))


def _names(text: str, inputs: Mapping[str, Any], unfilled: set[str]) -> Iterator[str]:
    end = 0
    for match in _MUSTACHE.finditer(text):
        name = match[1] or match[2]
        found, value = _value(inputs, name)
        if not found:
            unfilled.add(name)
        yield text[end : match.start()]
        yield str(value) if found else match[0]
        end = match.end()
    yield text[end:]


def _value(inputs: Mapping[str, Any], path: str) -> tuple[bool, Any]:
    """The input of that name, or what stands in it at that path."""
    if path in inputs:
        return True, inputs[path]
    match = _FIELD.fullmatch(path)
    value: Any = inputs
    steps = [match[1], *(one or other for one, other in _STEP.findall(match[2]))] if match else [path]
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = cast("Mapping[str, Any]", value)[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(step)]
        else:
            return False, None
    return True, value


def _fields(text: str, inputs: Mapping[str, Any], unfilled: set[str], depth: int = _NESTED_MAX) -> Iterator[str]:
    """As `str.format` does it, but that a path leads through inputs alone, never to what Python keeps behind them."""
    formatter = Formatter()
    for literal, field, spec, conversion in formatter.parse(text):
        yield literal
        if field is None:
            continue
        found, value = _value(inputs, field)
        if not found:
            unfilled.add(field)
            continue
        width = "".join(_fields(spec or "", inputs, unfilled, depth - 1)) if depth > 1 else spec or ""
        if _LONG_NUMBER.search(width):
            raise RenderError(f"the width in {shorten(visible(field), 40)!r} is too large")
        yield format(formatter.convert_field(value, cast("Any", conversion)), width)


def _jinja(text: str, inputs: Mapping[str, Any], unfilled: set[str]) -> Iterator[str]:
    from optimizer.prompts import sandbox  # jinja2 takes longer to import than most commands to run

    return sandbox.fill(text, inputs, unfilled)
