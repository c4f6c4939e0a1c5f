"""Cards as WhatsApp's texts, for both ways there: short messages, cut at items and at line ends. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note, Passage

IDENTITY = "whatsapp:"
_TONES = {"plain": "", "good": "\u2705 ", "bad": "\u26a0\ufe0f "}
_MARKS = {"removed": "~", "added": "*"}
# A mark that stands alone between words is only a character; one that touches a word opens markup.
_MARKUP = re.compile(r"(?<![\w\u2060])([*_~]|```?)(?=\S)")


def messages_of(card: Card, characters_max: int) -> tuple[str, ...]:
    """The card in messages of at most so many characters; the first opens with its header, the last ends with replies.

    What is cut is numbered, so that nobody takes a part for the whole.
    """
    room = characters_max - len("(99/99)\n")
    pieces = [f"*{_within(card.header)}*"] if card.header else []
    pieces += [text for text in map(_block, card.blocks) if text is not None]
    if card.choices:
        pieces.append("\nReply: " + " | ".join(f'"{choice}"' for choice in card.choices))
    messages = list(_joined(pieces, room))
    if len(messages) == 1:
        return (messages[0],)
    return tuple(f"({place}/{len(messages)})\n{text}" for place, text in enumerate(messages, 1))


def escaped(text: str) -> str:
    """Text that WhatsApp shows as it stands."""
    return _MARKUP.sub("\u2060\\1", text)


def _within(text: str) -> str:
    """Text between two marks: without a mark of its own."""
    return escaped(text).replace("*", "\u2217").replace("~", "\u223c")


def _block(block: Block) -> str | None:
    match block:
        case Heading(text):
            return f"*{_within(text)}*"
        case Line(text, tone):
            return _TONES[tone] + escaped(text)
        case Note(text):
            return escaped(text)
        case ItemLine(n, text, mark, closed):
            said = f"[{n}] ~{_within(text)}~" if closed else f"*[{n}]* {escaped(text)}"
            return f"{said} ({escaped(mark)})" if mark else said
        case DiffLine(parts):
            return "".join(map(_drawn, parts))
        case Passage():
            return f"{block.tag} | {escaped(block.text)}"
        case Gap():
            return ""


def _drawn(part: DiffPart) -> str:
    """A change is struck out or bold, and marked in signs too: a copy of the text keeps those."""
    kept = part.text.strip()
    if part.kind == "same" or not kept:
        return escaped(part.text)
    before, _, after = part.text.partition(kept)
    opening, closing = ("[-", "-]") if part.kind == "removed" else ("{+", "+}")
    mark = _MARKS[part.kind]
    return f"{before}{mark}{opening}{_within(kept)}{closing}{mark}{after}"


def _joined(pieces: Sequence[str], room: int) -> Iterator[str]:
    """The pieces, a line each, in messages that have room for them; one that is longer is cut at words."""
    message: list[str] = []
    used = 0
    for piece in (part for whole in pieces for part in _cut(whole, room)):
        if message and used + len(piece) + 1 > room:
            yield _tidy(message)
            message, used = [], 0
        message.append(piece)
        used += len(piece) + 1
    yield _tidy(message)


def _tidy(lines: Sequence[str]) -> str:
    """No blank lines at the ends, and never two in a row."""
    kept = [line for blank, group in groupby(lines, key=lambda line: not line) for line in ([""] if blank else group)]
    return "\n".join(kept).strip("\n") or " "


def _cut(text: str, room: int) -> Iterator[str]:
    while len(text) > room:
        cut = max(text.rfind("\n", 0, room), text.rfind(" ", 0, room)) + 1 or room
        yield text[:cut].rstrip()
        text = text[cut:]
    yield text
