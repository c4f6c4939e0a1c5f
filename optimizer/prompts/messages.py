"""The one text of a template with several text blocks: the lines that name its messages, and what stands between."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from optimizer.prompts.spans import Span

FENCE_MIN = 3
MARKER = re.compile(r"(={3,}) ((?:message (\d+) \(([a-z_]{1,20})\), )?block (\d+)) \1")


class Message(NamedTuple):
    """One text block, as the line above it names it."""

    name: str  # "message 2 (user)"; with ", block 3" where the message has several, "block 3" where there is none
    role: str  # empty where there is no message
    marker: Span  # the line, with the line breaks that keep it apart from the texts
    body: Span


def fence_for(texts: Iterable[str]) -> str:
    """Longer than that of any line in the texts that looks like one that names a message: so no text can hold one."""
    found = (match for text in texts for line in text.split("\n") if (match := MARKER.fullmatch(line)))
    return "=" * max((len(match[1]) + 1 for match in found), default=FENCE_MIN)


def messages_of(text: str) -> tuple[Message, ...]:
    """The text blocks of a template in its text; none for any other text, that of a single block included."""
    first = MARKER.fullmatch(text.partition("\n")[0])
    if first is None:
        return ()
    found = [(start, match) for start, match in _markers(text) if match[1] == first[1]]
    places = [(int(match[3] or 0), int(match[5])) for _, match in found]
    blocks = Counter(number for number, _ in places)
    ends = [start - 1 for start, _ in found[1:]] + [len(text)]
    messages = tuple(
        Message(
            match[2] if blocks[number] > 1 or not match[4] else match[2].partition(",")[0],
            match[4] or "",
            Span(max(0, start - 1), start + len(match[0]) + 1),
            Span(start + len(match[0]) + 1, end),
        )
        for (start, match), (number, _), end in zip(found, places, ends, strict=True)
    )
    ordered = all(before < after for before, after in pairwise(places))
    bodies = [text[message.body.start : message.body.end] for message in messages]
    # The last line of all may be a marker only with a break after it: what it names stands below.
    whole = messages[-1].marker.end <= len(text)
    return messages if len(messages) > 1 and ordered and whole and fence_for(bodies) == first[1] else ()


def message_around(messages: Sequence[Message], span: Span) -> Message | None:
    """The block whose text holds the span."""
    return next((one for one in messages if one.body.start <= span.start and span.end <= one.body.end), None)


def same_messages(base: str, new: str) -> bool:
    """Whether the new text still has the lines that name the messages of the base, and no others."""
    return _named(base) == _named(new)


def _named(text: str) -> list[str]:
    return [text[one.marker.start : one.marker.end].strip("\n") for one in messages_of(text)]


def _markers(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    start = 0
    for line in text.split("\n"):
        if match := MARKER.fullmatch(line):
            yield start, match
        start += len(line) + 1
