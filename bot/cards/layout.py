"""Cards to rows of styled text: wrapped at words for a phone, counted for pages, drawn by a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note, Passage, PassageKind

WIDTH = 64
# A title that is only a little longer stays on its row: a phone breaks it better than a hard break does.
TITLE_SLACK = 8
LINES_MAX = 30
MORE = "more"

Style = Literal[
    "plain",
    "good",
    "bad",
    "header",
    "heading",
    "number",
    "closed",
    "note",
    "same",
    "removed",
    "added",
    "reply",
]

_WORD = re.compile(r"\S+\s*|\s+")
_ITEM_INDENT = 4
_BULLET = "- "
_PASSAGES: dict[PassageKind, Style] = {"old": "plain", "new": "added", "gone": "bad"}
_MARKERS = {"removed": ("[-", "-]"), "added": ("{+", "+}")}


class Span(NamedTuple):
    text: str
    style: Style


Row = tuple[Span, ...]
_Atom = list[Span]  # what is never broken inside


def as_text(card: Card, width: int = WIDTH) -> str:
    """The card as plain text: rows of at most about `width` characters, no markup, no trailing newline."""
    return "\n".join("".join(span.text for span in row) for row in rows(card, width))


def rows(card: Card, width: int = WIDTH, *, slack: int = TITLE_SLACK, marked: bool = True) -> Iterator[Row]:
    """The rows of the card. Without `marked`, only their style tells removed and added text apart."""
    if card.header:
        yield from _filled(_atoms([Span(card.header, "header")]), width)
    for block in card.blocks:
        yield from block_rows(block, width, slack=slack, marked=marked)
    if card.choices:
        if card.header or card.blocks:
            yield ()
        yield from _filled(_reply(card.choices), width)


def block_rows(block: Block, width: int, *, slack: int = TITLE_SLACK, marked: bool = True) -> Iterator[Row]:
    """The rows of one block; at least one, and none of them ends in blanks."""
    match block:
        case Gap():
            yield ()
        case Heading(text):
            yield from _filled(_atoms([Span(text, "heading")]), width)
        case Line(text, tone):
            indent = len(_BULLET) if text.startswith(_BULLET) else 0
            yield from _filled(_atoms([Span(text, tone)]), width, indent=indent)
        case Note(text):
            yield from _filled(_atoms([Span(text, "note")]), width)
        case ItemLine(n, text, mark, closed):
            number = Span(f"[{n}] ".ljust(_ITEM_INDENT), "closed" if closed else "number")
            title = Span(f"{text} " if mark else text, "closed" if closed else "plain")
            spans = [title, Span(f"({mark})", "note")] if mark else [title]
            atoms = [[number], *_atoms(spans)]
            yield from _filled(atoms, width, slack=slack, indent=len(number.text))
        case Passage():
            yield from _passage(block, width)
        case DiffLine(parts):
            yield from _filled(_atoms([_drawn(part, marked=marked) for part in parts]), width)


def _passage(block: Passage, width: int) -> Iterator[Row]:
    """`v2 [3] | text`; the rows that go on with a line have a colon."""
    style = _PASSAGES[block.kind]
    indent = len(block.text) - len(block.text.lstrip(" "))
    text = _filled(_atoms([Span(block.text, style)]), width - len(block.tag) - 3, indent=indent)
    for number, row in enumerate(text):
        tag, bar = (block.tag, "|" if block.begins else ":") if number == 0 else (" " * len(block.tag), ":")
        yield _row([Span(tag, "note" if block.kind == "old" else style), Span(f" {bar} ", "note"), *row])


def page(card: Card, number: int = 1, lines_max: int = LINES_MAX, width: int = WIDTH) -> Card:
    """One page of a card that has more than `lines_max` rows, from 1; past the end, the last one.

    Only the last page offers the card's own replies: nobody is asked about what they have not seen.
    """
    pages = _pages(card, lines_max, width)
    number = min(max(number, 1), len(pages))
    if len(pages) == 1:
        return card
    last = number == len(pages)
    note = Note(f"Page {number} of {len(pages)}.")
    return replace(card, blocks=(*pages[number - 1], Gap(), note), choices=card.choices if last else (MORE,))


def _pages(card: Card, lines_max: int, width: int) -> list[list[Block]]:
    if sum(1 for _ in rows(card, width)) <= lines_max:
        return [list(card.blocks)]
    bare = replace(card, blocks=(), choices=card.choices or (MORE,))
    frame = sum(1 for _ in rows(bare, width)) + 2  # the gap and the page's number
    room = max(lines_max - frame, 1)
    pages: list[list[Block]] = [[]]
    used = 0
    for block in card.blocks:
        height = sum(1 for _ in block_rows(block, width))
        if pages[-1] and used + height > room:
            carried = [pages[-1].pop()] if len(pages[-1]) > 1 and isinstance(pages[-1][-1], Heading) else []
            pages.append(carried)
            used = len(carried)
        if isinstance(block, Gap) and not pages[-1]:
            continue
        pages[-1].append(block)
        used += height
    return [_trimmed(one) for one in pages]


def _trimmed(blocks: list[Block]) -> list[Block]:
    while len(blocks) > 1 and isinstance(blocks[-1], Gap):
        blocks = blocks[:-1]
    return blocks


def _reply(choices: Sequence[str]) -> Iterator[_Atom]:
    yield [Span("Reply: ", "note")]
    for place, choice in enumerate(choices):
        tail = "" if place == len(choices) - 1 else " | "
        yield [Span(f'"{choice}"', "reply"), Span(tail, "note")]


def _drawn(part: DiffPart, *, marked: bool) -> Span:
    kept = part.text.strip()
    if not marked or part.kind == "same" or not kept:
        return Span(part.text, part.kind)
    start = part.text.index(kept)
    opening, closing = _MARKERS[part.kind]
    tail = part.text[start + len(kept) :]
    return Span(f"{part.text[:start]}{opening}{kept}{closing}{tail}", part.kind)


def _atoms(spans: Iterable[Span]) -> Iterator[_Atom]:
    """Words with the blanks after them; two spans that touch without a blank stay together."""
    atom: _Atom = []
    for span in spans:
        for word in _WORD.findall(span.text):
            atom.append(Span(word, span.style))
            if word[-1].isspace():
                yield atom
                atom = []
    if atom:
        yield atom


def _filled(atoms: Iterable[_Atom], width: int, *, slack: int = 0, indent: int = 0) -> Iterator[Row]:
    whole = list(atoms)
    if sum(_cells(span.text) for atom in whole for span in atom) <= width + slack:
        yield _row([span for atom in whole for span in atom])
        return
    row: list[Span] = []
    used = 0
    for atom in _short_enough(whole, max(width - indent, 1)):
        text = "".join(span.text for span in atom)
        if row and used + _cells(text.rstrip()) > width:
            yield _row(row)
            row, used = ([Span(" " * indent, "plain")] if indent else []), indent
        row.extend(atom)
        used += _cells(text)
    yield _row(row)


def _short_enough(atoms: Iterable[_Atom], width: int) -> Iterator[_Atom]:
    """The atoms; one that is wider than a row is cut into pieces that fit."""
    for atom in atoms:
        if sum(_cells(span.text) for span in atom) <= width:
            yield atom
            continue
        piece: _Atom = []
        used = 0
        for span in atom:
            for char in span.text:
                if piece and used + _cells(char) > width and not char.isspace():
                    yield piece
                    piece, used = [], 0
                piece.append(Span(char, span.style))
                used += _cells(char)
        yield piece


def _row(spans: Sequence[Span]) -> Row:
    """Neighbours of one style are one span; blanks at the end go."""
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].style == span.style:
            merged[-1] = Span(merged[-1].text + span.text, span.style)
        elif span.text:
            merged.append(span)
    while merged and not merged[-1].text.rstrip():
        merged.pop()
    if merged:
        merged[-1] = Span(merged[-1].text.rstrip(), merged[-1].style)
    return tuple(merged)


def _cells(text: str) -> int:
    """Columns of a terminal: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
