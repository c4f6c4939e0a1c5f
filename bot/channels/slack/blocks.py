"""Cards as Slack's blocks, within its limits. Pure.

A message holds at most 50 blocks, and no more than some 13,200 characters of text in them (measured; not documented):
10,000 are used, and what is more goes into further messages, cut between items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bot.cards.card import Block, Card, DiffLine, DiffPart, Heading, ItemLine, Line, Note, Passage
from bot.cards.layout import block_rows
from bot.channels.port import Outgoing, Part
from bot.channels.slack.text import bold, code, cut, escaped, referenced, shortened, struck
from bot.conversation.commands import PendingItem, Understood
from bot.conversation.grammar import parse
from optimizer.text.numbers import count

BLOCKS_MAX = 48
CHARACTERS_MAX = 10_000  # of the texts of one message
PLAIN_CHARACTERS_MAX = 3_500  # of a message without blocks
_SECTION_MAX = 2_900
_LABEL_MAX, _CONFIRM_MAX, _CONFIRM_TITLE_MAX = 75, 300, 100
_ITEM_ROOM = 120  # for the number, the mark and the buttons of an item
_TITLE_MIN = 12  # of an item's title; where there is no room for that, numbers stand alone
_BUTTONS_MAX = 25  # of one row
_WIDTH = 1_000_000  # Slack breaks the rows
_DEPLOY_ALL = "deploy all"
_TONES = {"plain": "", "good": ":white_check_mark: ", "bad": ":warning: "}
_SIGNS = {"removed": ("[-", "-]"), "added": ("{+", "+}")}

Piece = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Group:
    """What stands together in one message. `text` says the same without blocks: for notifications, for screen readers,
    and where Slack refused the blocks."""

    pieces: tuple[Piece, ...]
    text: str
    room: int = 0  # kept for it, however little it holds just now

    @property
    def characters(self) -> int:
        return max(_characters(self.pieces), len(self.text) + 1, self.room)


def parts_of(outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
    """The messages that say it. `plain`: texts alone."""
    groups = list(_groups(outgoing))
    if plain:
        pieces = [piece for group in groups for piece in cut(group.text, PLAIN_CHARACTERS_MAX)]
        return tuple(Part(text, {}) for text in _joined(pieces))
    return tuple(
        Part(
            "\n".join(group.text for group in message).strip() or " ",
            {"blocks": [piece for group in message for piece in group.pieces]},
        )
        for message in _messages(groups)
    )


def _joined(texts: Sequence[str]) -> Iterator[str]:
    message = ""
    for text in texts:
        if message and len(message) + len(text) + 1 > PLAIN_CHARACTERS_MAX:
            yield message
            message = text
        else:
            message = f"{message}\n{text}" if message else text
    yield message.strip() or " "


def _messages(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    message: list[_Group] = []
    blocks = characters = 0
    for group in groups:
        if message and (blocks + len(group.pieces) > BLOCKS_MAX or characters + group.characters > CHARACTERS_MAX):
            yield message
            message, blocks, characters = [], 0, 0
        message.append(group)
        blocks += len(group.pieces)
        characters += group.characters
    if message:
        yield message


def _groups(outgoing: Outgoing) -> Iterator[_Group]:
    card = outgoing.card
    if card.header:
        yield from _sections(bold(card.header), card.header)
    for is_code, blocks in groupby(card.blocks, key=lambda block: isinstance(block, DiffLine | Passage)):
        if is_code:
            yield from _code("\n".join(_written(block) for block in blocks))
        else:
            for block in blocks:
                yield from _drawn(block, outgoing)
    yield from _replies(outgoing)


def _drawn(block: Block, outgoing: Outgoing) -> Iterator[_Group]:
    text = _written(block)
    match block:
        case Heading():
            yield from _sections(bold(block.text), text)
        case Line(said, tone):
            yield from _sections(_TONES[tone] + escaped(said), text)
        case Note(said):
            yield from _sections(escaped(said), text, in_context=True)
        case ItemLine(n, said, mark, closed):
            marked = f" _({escaped(mark)})_" if mark else ""
            drawn = f"[{n}] {struck(said)}{marked}" if closed else f"{bold(f'[{n}]')} {escaped(said)}{marked}"
            (*before, last) = _sections(drawn, text)
            yield from before
            yield _with_buttons(last, block, outgoing) if outgoing.lists else last
        case _:
            yield _Group(({"type": "divider"},), "")


def _with_buttons(group: _Group, item: ItemLine, outgoing: Outgoing) -> _Group:
    # Marks and buttons change with every decision, and then the messages must be cut as they were before.
    room = max(len(escaped(item.text)), len(referenced(item.text))) + _ITEM_ROOM
    return _Group((*group.pieces, _actions(_item_buttons(item, outgoing))), group.text, room)


def _written(block: Block) -> str:
    """The block in plain text, changes marked in signs."""
    if isinstance(block, DiffLine):
        return "".join(map(_signed, block.parts))
    if isinstance(block, Passage):
        return f"{block.tag} | {block.text}"
    return "\n".join("".join(span.text for span in row) for row in block_rows(block, _WIDTH))


def _signed(part: DiffPart) -> str:
    kept = part.text.strip()
    if part.kind == "same" or not kept:
        return part.text
    before, _, after = part.text.partition(kept)
    opening, closing = _SIGNS[part.kind]
    return f"{before}{opening}{kept}{closing}{after}"


def _sections(drawn: str, text: str, *, in_context: bool = False) -> Iterator[_Group]:
    """`drawn` in sections, or in lines of context; each holds its stretch of the text."""
    pieces = list(cut(drawn, _SECTION_MAX))
    texts = list(cut(referenced(text), _SECTION_MAX))
    for place, piece in enumerate(pieces):
        rest = texts[place:] if place == len(pieces) - 1 else texts[place : place + 1]
        block = {"type": "context", "elements": [_markup(piece)]} if in_context else _section(piece)
        yield _Group((block,), "".join(rest))


def _code(text: str) -> Iterator[_Group]:
    """Lines as they are written: in a block of code, where nothing is markup."""
    for piece in cut(code(text), _SECTION_MAX - 6):
        if piece.strip():
            yield _Group((_section(f"```{piece}```"),), piece)


def _section(text: str) -> Piece:
    return {"type": "section", "text": _markup(text)}


def _markup(text: str) -> Piece:
    # Verbatim: Slack looks for no names and no addresses in it.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _item_buttons(item: ItemLine, outgoing: Outgoing) -> list[Piece]:
    buttons = [_button("Details", f"show {item.n}")]
    if outgoing.waits and not item.closed:
        buttons.append(_button("Remove", f"remove {item.n}"))
    elif outgoing.waits and item.mark == "removed":
        buttons.append(_button("Restore", f"restore {item.n}"))
    return buttons


def _replies(outgoing: Outgoing) -> Iterator[_Group]:
    """The replies that work, as buttons; one that no button can hold is typed."""
    choices = list(dict.fromkeys(outgoing.card.choices))
    if not choices:
        return
    text = referenced("Reply: " + " | ".join(f'"{choice}"' for choice in choices))
    if outgoing.lists:  # the items have their own
        choices = [choice for choice in choices if not choice.startswith(("show ", "remove "))]
    held = [choice for choice in choices if len(choice) <= _LABEL_MAX][:_BUTTONS_MAX]
    pieces = [_actions([_choice_button(choice, outgoing.card) for choice in held])] if held else []
    typed = [choice for choice in choices if choice not in held]
    if typed:
        said = shortened(referenced("Or reply: " + " | ".join(typed)), _SECTION_MAX)
        pieces.append({"type": "context", "elements": [_markup(said)]})
    yield _Group(tuple(pieces), text)


def _actions(buttons: Sequence[Piece]) -> Piece:
    return {"type": "actions", "elements": list(buttons)}


def _choice_button(choice: str, card: Card) -> Piece:
    """What deploys asks once more."""
    label = f"{choice[:1].upper()}{choice[1:]}"
    if "deploy" not in choice:
        return _button(label, choice)
    items = [block for block in card.blocks if isinstance(block, ItemLine)]
    answer = parse(choice, [PendingItem(one.n, "prompt_change", not one.prompts) for one in items])
    deploys = answer.deploys if isinstance(answer, Understood) else ()
    wanted = [item for item in items if item.n in deploys]
    if choice == _DEPLOY_ALL and wanted:
        label = f"{label} ({len(wanted)})"
    return _button(label, choice) | {"style": "primary", "confirm": _confirm(card, label, wanted)}


def _button(label: str, value: str) -> Piece:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": label},
        "value": value,
        "action_id": f"reply:{value}",
    }


def _confirm(card: Card, label: str, items: Sequence[ItemLine]) -> Piece:
    """Before the one click that deploys: what goes live, and where. Titles are shortened so that none is left out."""
    where = card.header.partition(" self-analysis")[0].partition(": ")[0]
    prompts = list(dict.fromkeys(prompt for item in items for prompt in item.prompts))
    opening = shortened(f"{where}, {count(len(prompts), 'prompt')}: {', '.join(prompts)}", 140) if prompts else label
    room = _CONFIRM_MAX - len(opening) - 1
    each = room // max(len(items), 1) - 1
    rows = [shortened(f"[{item.n}] {item.text}", each) for item in items if each >= _TITLE_MIN]
    rows = rows or [shortened(", ".join(str(item.n) for item in items), room)]
    return {
        "title": {"type": "plain_text", "text": shortened(": ".join(filter(None, (label, where))), _CONFIRM_TITLE_MAX)},
        "text": {"type": "plain_text", "text": "\n".join([opening, *rows]).strip()},
        "confirm": {"type": "plain_text", "text": "Deploy"},
        "deny": {"type": "plain_text", "text": "Not now"},
    }


def _characters(piece: Any) -> int:
    """Of all texts in it."""
    if isinstance(piece, dict):
        found: dict[str, Any] = piece  # pyright: ignore[reportUnknownVariableType]
        return sum(
            len(one) if key == "text" and isinstance(one, str) else _characters(one) for key, one in found.items()
        )
    if isinstance(piece, list | tuple):
        items: Sequence[Any] = piece  # pyright: ignore[reportUnknownVariableType]
        return sum(map(_characters, items))
    return 0
