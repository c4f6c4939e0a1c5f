"""Half-open spans of characters."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """The characters `text[start:end]`."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Whether both share a character; spans that only touch do not."""
        return self.start < other.end and other.start < self.end


def shorten(text: str, characters_max: int = 60) -> str:
    """The text for a sentence: whitespace as single blanks, the end cut off where it is long."""
    words = " ".join(text[: characters_max * 4].split())
    return words if len(words) <= characters_max else words[: characters_max - 3].rstrip() + "..."
