"""The outline of a prompt: its lines, and which of them hold others together.

Markdown headings (also bold lines and lines in capitals that end in a colon), XML-like tags on lines of their
own, and code fences. None of them reaches from one message of a template into the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from optimizer.prompts.messages import messages_of

Kind = Literal["text", "blank", "heading", "open", "close", "fence", "code", "message"]

PSEUDO_HEADING_LEVEL = 7

_MARKDOWN_HEADING = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_BOLD_HEADING = re.compile(r"(?:\*\*([^*\n]{2,80})\*\*|__([^_\n]{2,80})__):?")
_CAPITALS_HEADING = re.compile(r"([^\Wa-z\d_][^a-z]{2,60}):")
_TAG = re.compile(r"<(/?)([A-Za-z][\w.-]{0,60})(?:\s[^<>]{0,300})?>")
_FENCE = re.compile(r"(```+|~~~+)")


class Line(NamedTuple):
    """One line without its line break and without blanks at its end."""

    start: int
    end: int  # where the line break begins, blanks included
    text: str
    kind: Kind
    name: str = ""  # of a heading, a tag or a message
    level: int = 0  # of a heading: 1 to 6, 7 for bold lines and capitals


@dataclass(frozen=True)
class Hold:
    """A line that holds the lines `first` to `last` together: it may only go when all of them go."""

    first: int
    last: int


def read_lines(text: str) -> tuple[Line, ...]:
    """The lines of the text, each with its kind; nothing counts as structure inside a code fence."""
    lines: list[Line] = []
    fence = ""
    start = 0
    messages = {message.body.start - 1: message.name for message in messages_of(text)}  # by the end of their lines
    for part in text.split("\n"):
        name = messages.get(start + len(part))
        line = _read_line(part, start, fence) if name is None else Line(start, start + len(part), part, "message", name)
        if line.kind == "message":
            fence = ""
        elif line.kind == "fence":
            fence = "" if fence else line.name
        lines.append(line)
        start += len(part) + 1
    return tuple(lines)


def holds(lines: Sequence[Line]) -> dict[int, Hold]:
    """For each heading, tag and fence its extent, by line number.

    A heading reaches to the next one of its level or to the end of the tag that it stands in; tags and fences
    from one end to the other. A tag without its counterpart holds nothing.
    """
    found = {**_pairs(lines), **_fences(lines)}
    opened: list[int] = []  # headings and open tags around the current line
    for number, line in enumerate(lines):
        if line.kind == "message":
            found.update((heading, Hold(heading, number - 1)) for heading in opened)
            opened.clear()
        elif line.kind == "heading":
            while opened and lines[opened[-1]].kind == "heading" and lines[opened[-1]].level >= line.level:
                heading = opened.pop()
                found[heading] = Hold(heading, number - 1)
            opened.append(number)
        elif line.kind == "open" and number in found:
            opened.append(number)
        elif line.kind == "close" and number in found:
            while (inner := opened.pop()) != found[number].first:
                found[inner] = Hold(inner, number - 1)
    found.update((heading, Hold(heading, len(lines) - 1)) for heading in opened)
    return found


def heading_above(lines: Sequence[Line], number: int) -> str:
    """The name of the nearest heading or open tag at or above the line; empty if there is none."""
    closed: list[str] = []
    for line in reversed(lines[: number + 1]):
        if line.kind == "message":
            return ""
        if line.kind == "close":
            closed.append(line.name)
        elif line.kind == "open" and closed and closed[-1] == line.name:
            closed.pop()
        elif not closed and line.kind in ("heading", "open"):
            return line.name
    return ""


def _read_line(part: str, start: int, fence: str) -> Line:
    text = part.rstrip()
    end = start + len(part) - part.endswith("\r")
    stripped = text.lstrip()
    mark = _FENCE.match(stripped)
    if mark and (not fence or (stripped.startswith(fence) and stripped == mark[0])):
        return Line(start, end, text, "fence", mark[1])
    if not text:
        return Line(start, end, text, "blank")
    if fence:
        return Line(start, end, text, "code")
    if tag := _TAG.fullmatch(stripped):
        return Line(start, end, text, "close" if tag[1] else "open", tag[2].replace("_", " "))
    if heading := _MARKDOWN_HEADING.fullmatch(text):
        return Line(start, end, text, "heading", _clean(heading[2]), len(heading[1]))
    if pseudo := _BOLD_HEADING.fullmatch(text) or _CAPITALS_HEADING.fullmatch(text):
        name = _clean(next(group for group in pseudo.groups() if group))
        return Line(start, end, text, "heading", name, PSEUDO_HEADING_LEVEL)
    return Line(start, end, text, "text")


def _clean(heading: str) -> str:
    return heading.strip().strip("#*_` ").rstrip(":").rstrip()


def _pairs(lines: Sequence[Line]) -> dict[int, Hold]:
    found: dict[int, Hold] = {}
    opened: list[int] = []
    names: Counter[str] = Counter()
    for number, line in enumerate(lines):
        if line.kind == "message":
            opened.clear()
            names.clear()
        elif line.kind == "open":
            opened.append(number)
            names[line.name] += 1
        elif line.kind == "close" and names[line.name]:
            while True:
                first = opened.pop()
                names[lines[first].name] -= 1
                if lines[first].name == line.name:
                    break
            found[first] = found[number] = Hold(first, number)
    return found


def _fences(lines: Sequence[Line]) -> dict[int, Hold]:
    found: dict[int, Hold] = {}
    first: int | None = None
    for number, line in enumerate(lines):
        if line.kind == "message":
            first = None
        elif line.kind == "fence" and first is None:
            first = number
        elif line.kind == "fence" and first is not None:
            found[first] = found[number] = Hold(first, number)
            first = None
    return found
