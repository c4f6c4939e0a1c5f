"""Text that stands more than once: twice in one prompt, or in a prompt and in one that it includes.

Whole lines are compared, without the blanks at their ends and without blank lines. One pass from the top,
with the start of each stretch looked up by hash (as in LZ77): the time grows with the text, not its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from optimizer.prompts.outline import Hold, Line, heading_above, holds, read_lines
from optimizer.prompts.spans import Span, shorten

# The stretch of characters that is looked up by hash, however long a repeat has to be.
_LOOKUP_CHARACTERS_MAX = 200
# Places that are tried for one stretch, to find the one where most lines go on alike.
_PLACES_MAX = 8
_COPY_LINES_MIN = 64
_TITLE_CHARACTERS_MAX = 48


class Repeat(NamedTuple):
    """A text that stands twice or more: whole lines, without the blank lines around them."""

    title: str  # from its first heading, the heading above, or its first words
    first: Span
    further: tuple[Span, ...]
    characters: int  # of one occurrence


class Included(NamedTuple):
    """A text of an included prompt that also stands in the prompt that includes it."""

    placeholder: str
    title: str
    span: Span  # in the including prompt
    included_span: Span  # in the included prompt's text
    characters: int


@dataclass
class _Text:
    """A text as the sequence of its lines that are not blank."""

    lines: tuple[Line, ...]
    numbers: list[int] = field(init=False)  # of the lines that are not blank
    words: list[str] = field(init=False)
    extents: dict[int, Hold] = field(init=False)  # by position among those lines

    def __post_init__(self) -> None:
        self.numbers = [number for number, line in enumerate(self.lines) if line.text]
        # The line that names a message is like no other: nothing is copied together with it.
        self.words = [
            line.text if line.kind != "message" else f"\0{id(self)} {line.start}"
            for line in (self.lines[number] for number in self.numbers)
        ]
        position = {number: index for index, number in enumerate(self.numbers)}
        self.extents = {}
        last_position = [0] * len(self.lines)
        seen = 0
        for number, line in enumerate(self.lines):
            last_position[number] = seen if line.text else seen - 1
            seen += bool(line.text)
        for number, hold in holds(self.lines).items():
            self.extents[position[number]] = Hold(position[hold.first], last_position[hold.last])

    def span(self, first: int, length: int) -> Span:
        last = self.lines[self.numbers[first + length - 1]]
        return Span(self.lines[self.numbers[first]].start, last.end)

    def title(self, first: int, length: int) -> str:
        start = self.numbers[first]
        line = self.lines[start]
        name = line.name if line.kind in ("heading", "open") else heading_above(self.lines, start)
        return shorten(name or line.text.strip("#*-<>_ "), _TITLE_CHARACTERS_MAX)

    def windows(self, characters: int) -> list[int | None]:
        """For each line the hash of the shortest stretch of that many characters from there."""
        hashes: list[int | None] = []
        end = size = 0
        for start in range(len(self.words)):
            while size < characters and end < len(self.words):
                size += len(self.words[end]) + 1
                end += 1
            hashes.append(hash(tuple(self.words[start:end])) if size >= characters else None)
            size -= len(self.words[start]) + 1
        return hashes


class _Match(NamedTuple):
    original: int
    copy: int
    length: int


def repeated_blocks(text: str, *, min_characters: int = 200) -> tuple[Repeat, ...]:
    """The longest texts of at least `min_characters` that stand twice or more, in the order of their copies.

    Copies (`further`) do not overlap each other and stand below their originals, so all of them may go at
    once, and every text keeps one place. A heading, tag or fence is copied only with all that it holds.
    """
    lines = _Text(read_lines(text))
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for match in _own_matches(lines, min_characters):
        for piece in _whole_pieces(match, lines, lines):
            if _size(lines, piece.copy, piece.length) >= min_characters:
                groups[piece.original, piece.length].append(piece.copy)
    return tuple(
        Repeat(
            lines.title(original, length),
            span := lines.span(original, length),
            tuple(lines.span(copy, length) for copy in copies),
            span.end - span.start,
        )
        for (original, length), copies in groups.items()
    )


def included_blocks(text: str, included: Mapping[str, str], *, min_characters: int = 200) -> tuple[Included, ...]:
    """The texts of included prompts, by placeholder, that also stand in the including prompt.

    Parts count from `min_characters` on, as long as they go; no two of them overlap in `text`.
    """
    lines = _Text(read_lines(text))
    found: list[Included] = []
    for placeholder, included_text in included.items():
        source = _Text(read_lines(included_text))
        for match in _foreign_matches(source, lines, min_characters):
            for piece in _whole_pieces(match, source, lines):
                if _size(lines, piece.copy, piece.length) >= min_characters:
                    span = lines.span(piece.copy, piece.length)
                    title = source.title(piece.original, piece.length)
                    if not any(span.overlaps(other.span) for other in found):
                        own = source.span(piece.original, piece.length)
                        found.append(Included(placeholder, title, span, own, span.end - span.start))
    return tuple(sorted(found, key=lambda block: block.span))


def _size(text: _Text, first: int, length: int) -> int:
    return sum(len(word) for word in text.words[first : first + length]) + length - 1


def _own_matches(text: _Text, min_characters: int) -> Iterator[_Match]:
    hashes = text.windows(min(min_characters, _LOOKUP_CHARACTERS_MAX))
    places: dict[int, list[int]] = defaultdict(list)
    copied = [False] * len(text.words)
    at = 0
    while at < len(text.words):
        window = hashes[at]
        candidates = places[window] if window is not None else []
        best = _Match(at, at, 0)
        for place in candidates:
            length = reach = 0
            longest = min(at - place, len(text.words) - at)
            # A copy inside the original counts, one at its end is left to its own original. A longer one than
            # all before it ends the search, so that lines that repeat on and on are read once.
            while (
                reach < min(longest, 2 * length + _COPY_LINES_MIN)
                and text.words[place + reach] == text.words[at + reach]
            ):
                reach += 1
                length = length if copied[place + reach - 1] else reach
            best = max(best, _Match(place, at, length), key=lambda match: match.length)
        if best.length and _size(text, at, best.length) >= min_characters:
            yield best
            copied[at : at + best.length] = [True] * best.length
            at += best.length
        else:
            if len(candidates) < _PLACES_MAX and window is not None:
                candidates.append(at)
            at += 1


def _foreign_matches(source: _Text, text: _Text, min_characters: int) -> Iterator[_Match]:
    characters = min(min_characters, _LOOKUP_CHARACTERS_MAX)
    places: dict[int, list[int]] = defaultdict(list)
    for place, window in enumerate(source.windows(characters)):
        if window is not None and len(places[window]) < _PLACES_MAX:
            places[window].append(place)
    at = 0
    hashes = text.windows(characters)
    while at < len(text.words):
        window = hashes[at]
        best = _Match(at, at, 0)
        for place in places.get(window, []) if window is not None else []:
            length = 0
            longest = min(len(text.words) - at, len(source.words) - place)
            while length < longest and text.words[at + length] == source.words[place + length]:
                length += 1
            best = max(best, _Match(place, at, length), key=lambda match: match.length)
        if best.length and _size(text, at, best.length) >= min_characters:
            yield best
            at += best.length
        else:
            at += 1


def _whole_pieces(match: _Match, source: _Text, text: _Text) -> Iterator[_Match]:
    """The match without the lines that hold text outside it together: cut there, in pieces.

    A heading whose section ends with the match on either side is whole: what follows on the other side is
    another text, which only happens to stand there.
    """

    def whole(offset: int) -> bool:
        def inside(lines: _Text, first: int) -> bool:
            hold = lines.extents.get(first + offset)
            return hold is None or (first <= hold.first and hold.last < first + match.length)

        here, there = inside(text, match.copy), inside(source, match.original)
        heading = text.lines[text.numbers[match.copy + offset]].kind == "heading"
        return (here or there) if heading else (here and there)

    cuts = [offset for offset in range(match.length) if not whole(offset)]
    if not cuts:
        yield match
        return
    for before, cut in pairwise([-1, *cuts, match.length]):
        if cut - before > 1:
            start = before + 1
            piece = _Match(match.original + start, match.copy + start, cut - start)
            yield from _whole_pieces(piece, source, text)
