"""Lists in prompts: where an item may follow, and how it is written there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from optimizer.prompts.outline import Line

_LIST_ITEM = re.compile(r"([ \t]*)(?:([-*+•])|(\d{1,4})([.)]))([ \t]+)\S")
_CLOSING_TAGS_MAX = 8
_CLOSING_TAG = re.compile(r"</[A-Za-z][\w.-]{0,60}>")


class _Item(NamedTuple):
    line: int
    indent: str
    mark: str  # of the item that would follow
    gap: str


def places(lines: Sequence[Line], first: int, last: int) -> Iterator[int]:
    """The lines after which an item may stand: the last one, then ends of items and paragraphs upwards."""
    yield last
    for number in range(last - 1, first - 1, -1):
        line, following = lines[number], lines[number + 1]
        item = _LIST_ITEM.match(following.text)
        # An item between numbered ones would take the next one's number.
        ends = following.kind == "blank" or (item is not None and not item[1] and item[2])
        if line.kind == "text" and ends and not line.text.endswith(":") and not _numbered(lines, number, last):
            yield number


def _numbered(lines: Sequence[Line], number: int, last: int) -> bool:
    following = next((line for line in lines[number + 1 : last + 1] if line.text), None)
    item = _LIST_ITEM.match(following.text) if following else None
    return item is not None and bool(item[3])


def lead(lines: Sequence[Line], first: int, number: int, newline: str) -> str:
    """What stands before the words of an item after this line: breaks, indent and mark of the list there."""
    items = _items(lines, first, number)
    if not items:
        line = lines[number]
        breaks = "" if not line.text else newline if line.kind == "open" else newline * 2
        return f"{breaks}- "
    above = items[-1]
    loose = any(not lines[later.line - 1].text for _, later in pairwise(items[-2:]))
    return f"{newline * (2 if loose else 1)}{above.indent}{above.mark}{above.gap}"


def _items(lines: Sequence[Line], first: int, number: int) -> list[_Item]:
    """The outermost items of the list that ends at the line, from its top; none where no list ends there."""
    found: list[_Item] = []
    for current in range(number, first - 1, -1):
        text = lines[current].text
        item = _LIST_ITEM.match(text)
        if item:
            following = f"{int(item[3]) + 1}{item[4]}" if item[3] else item[2]
            found.append(_Item(current, item[1], following, item[5]))
        elif text and not text[0].isspace():
            break
    outermost = min((len(item.indent) for item in found), default=0)
    return [item for item in reversed(found) if len(item.indent) == outermost]


def without_closing_tags(text: str) -> str:
    """The line up to closing tags at its end whose opening ones stand on lines above."""
    kept = text
    for _ in range(_CLOSING_TAGS_MAX):
        at = kept.rfind("</")
        tag = _CLOSING_TAG.fullmatch(kept, at) if at > 0 else None
        if tag is None or f"<{tag[0][2:-1]}" in kept[:at]:
            break
        kept = kept[:at].rstrip()
    return kept or text
