"""Cards as Slack's blocks, within its limits. Pure.

A message holds at most 50 blocks, and no more than some 13,200 characters of text in them (measured; not documented):
10,000 are used, and what is more goes into further messages, cut between blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note, Passage
from bot.cards.layout import as_text
from bot.channels.port import Outgoing, Part

BLOCKS_MAX = 48  # two are left for what a part adds
CHARACTERS_MAX = 10_000  # of the texts of one message
TEXT_CHARACTERS_MAX = 3_500  # of the text beside the blocks, and of a message without any
_SECTION_MAX = 2_900
_BUTTON_MAX, _VALUE_MAX, _CONFIRM_MAX, _CONFIRM_TITLE_MAX = 75, 2_000, 300, 100
_BUTTONS_MAX = 5  # of choices, in one row
_DEPLOY_ALL = "deploy all"
_WORDS = re.compile(r"\S+\s*|\s+")
_TONES = {"plain": "", "good": ":white_check_mark: ", "bad": ":warning: "}

Piece = dict[str, Any]


def parts_of(outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
    """The messages that say it. `plain`: texts alone, as where Slack refused the blocks."""
    card = outgoing.card
    if plain:
        return tuple(Part(text, {}) for text in _texts(card))
    pieces = list(_pieces(card, lists=outgoing.lists))
    messages = list(_cut(pieces))
    texts = list(_texts(card))
    return tuple(Part(texts[min(place, len(texts) - 1)], {"blocks": blocks}) for place, blocks in enumerate(messages))


def escaped(text: str) -> str:
    """Text that Slack shows as it stands: nothing of it is a link, a mention or a command of its markup."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width joiner would be visible in copies: markup is kept from pairing by a word joiner before it.
    return re.sub(r"(?<![\w\u2060])([*_~`])(?=\S)", "\u2060\\1", safe)


def _texts(card: Card) -> Iterator[str]:
    """The card without markup, in messages that are short enough, cut at line ends."""
    text = ""
    for line in as_text(card).split("\n"):
        line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if text and len(text) + len(line) + 1 > TEXT_CHARACTERS_MAX:
            yield text
            text = line
        else:
            text = f"{text}\n{line}" if text else line
    yield text or " "


def _pieces(card: Card, *, lists: bool) -> Iterator[Piece]:
    if card.header:
        yield _section(f"*{_bold(card.header)}*")
    lines: list[str] = []
    deployable = [block for block in card.blocks if isinstance(block, ItemLine) and not block.closed]
    for block in card.blocks:
        if lines and not isinstance(block, DiffLine | Passage):
            yield from _code(lines)
            lines = []
        if isinstance(block, DiffLine):
            lines.append(_diff(block))
        elif isinstance(block, Passage):
            lines.append(f"{block.tag} | {block.text}")
        else:
            yield from _piece(block, lists=lists)
    yield from _code(lines)
    choices = [choice for choice in card.choices if not (lists and choice.startswith(("show ", "remove ")))]
    if choices:
        yield _actions([_button(choice, choice, confirm=_confirm(card, choice, deployable)) for choice in choices])


def _piece(block: Block, *, lists: bool) -> Iterator[Piece]:
    match block:
        case Heading(text):
            yield from _sections(f"*{_bold(text)}*")
        case Line(text, tone):
            yield from _sections(_TONES[tone] + escaped(text))
        case Note(text):
            for piece in _wrapped(escaped(text), _SECTION_MAX):
                yield {"type": "context", "elements": [{"type": "mrkdwn", "text": piece}]}
        case ItemLine(n, text, mark, closed):
            said = f"*[{n}]* {escaped(text)}" if not closed else f"[{n}] ~{_bold(text)}~"
            yield from _sections(f"{said} _({escaped(mark)})_" if mark else said)
            if lists:
                yield _actions(_item_buttons(n, mark, closed=closed))
        case Gap():
            yield {"type": "divider"}
        case _:
            raise TypeError(f"no block of its own: {block!r}")


def _item_buttons(n: int, mark: str, *, closed: bool) -> list[Piece]:
    buttons = [_button("Details", f"show {n}")]
    if not closed:
        buttons.append(_button("Remove", f"remove {n}"))
    elif mark == "removed":
        buttons.append(_button("Restore", f"restore {n}"))
    return buttons


def _bold(text: str) -> str:
    """Text between two marks of its own: without that mark in it."""
    return escaped(text).replace("*", "\u2217").replace("~", "\u223c")


def _section(text: str) -> Piece:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _sections(text: str) -> Iterator[Piece]:
    yield from (_section(piece) for piece in _wrapped(text, _SECTION_MAX))


def _actions(buttons: Sequence[Piece]) -> Piece:
    return {"type": "actions", "elements": list(buttons[:_BUTTONS_MAX])}


def _button(label: str, value: str, *, confirm: Piece | None = None) -> Piece:
    button: Piece = {
        "type": "button",
        "text": {"type": "plain_text", "text": f"{label[:1].upper()}{label[1:]}"[:_BUTTON_MAX]},
        "value": value[:_VALUE_MAX],
        "action_id": f"reply:{value}"[:255],
    }
    if confirm is not None:
        button |= {"style": "primary", "confirm": confirm}
    return button


def _confirm(card: Card, choice: str, items: Sequence[ItemLine]) -> Piece | None:
    """Before the one click that deploys: what goes live, and where."""
    if not choice.startswith("deploy"):
        return None
    numbers = {int(n) for n in re.findall(r"\d+", choice)}
    wanted = [item for item in items if choice == _DEPLOY_ALL or item.n in numbers]
    titles = "\n".join(f"[{item.n}] {item.text}" for item in wanted)
    return {
        "title": {"type": "plain_text", "text": f"{card.header}: {choice}"[:_CONFIRM_TITLE_MAX]},
        "text": {"type": "plain_text", "text": (titles or choice)[:_CONFIRM_MAX]},
        "confirm": {"type": "plain_text", "text": "Deploy"},
        "deny": {"type": "plain_text", "text": "Not now"},
    }


def _diff(line: DiffLine) -> str:
    return "".join(_drawn(part) for part in line.parts)


def _drawn(part: DiffPart) -> str:
    kept = part.text.strip()
    if part.kind == "same" or not kept:
        return part.text
    before, _, after = part.text.partition(kept)
    opening, closing = ("[-", "-]") if part.kind == "removed" else ("{+", "+}")
    return f"{before}{opening}{kept}{closing}{after}"


def _code(lines: Iterable[str]) -> Iterator[Piece]:
    """Lines as they are written: in a block of code, where nothing is markup."""
    text = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")
    if text.strip():
        yield from (_section(f"```{piece}```") for piece in _wrapped(text, _SECTION_MAX - 6) if piece.strip())


def _wrapped(text: str, characters_max: int) -> Iterator[str]:
    """The text in pieces of at most so many characters, cut after a blank where there is one."""
    while len(text) > characters_max:
        cut = max(text.rfind("\n", 0, characters_max), text.rfind(" ", 0, characters_max)) + 1 or characters_max
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _cut(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces in messages: an item stays with its buttons."""
    message: list[Piece] = []
    used = 0
    for place, piece in enumerate(pieces):
        following = pieces[place + 1] if place + 1 < len(pieces) else None
        needed = [piece, following] if following is not None and following["type"] == "actions" else [piece]
        size = sum(map(_characters, needed))
        if message and (len(message) + len(needed) > BLOCKS_MAX or used + size > CHARACTERS_MAX):
            yield message
            message, used = [], 0
        message.append(piece)
        used += _characters(piece)
    if message:
        yield message


def _characters(piece: Any) -> int:
    """Of all texts in it."""
    if isinstance(piece, dict):
        found: dict[str, Any] = piece  # pyright: ignore[reportUnknownVariableType]
        return sum(
            len(one) if key == "text" and isinstance(one, str) else _characters(one) for key, one in found.items()
        )
    if isinstance(piece, list):
        items: list[Any] = piece  # pyright: ignore[reportUnknownVariableType]
        return sum(map(_characters, items))
    return 0
