"""Cards as JSON, for what waits to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note, Passage

_BLOCKS: dict[str, type[Line | Heading | ItemLine | Note | Passage | Gap]] = {
    one.__name__: one for one in (Line, Heading, ItemLine, Note, Passage, Gap)
}


def as_json(card: Card) -> dict[str, Any]:
    blocks = [{"block": type(block).__name__, **asdict(block)} for block in card.blocks]
    return {"header": card.header, "blocks": blocks, "choices": list(card.choices)}


def from_json(stored: Mapping[str, Any]) -> Card:
    """The card that `as_json` wrote."""
    return Card(stored["header"], tuple(map(_block, stored["blocks"])), tuple(stored["choices"]))


def _block(stored: Mapping[str, Any]) -> Block:
    values = {key: value for key, value in stored.items() if key != "block"}
    if stored["block"] == DiffLine.__name__:
        return DiffLine(tuple(DiffPart(**part) for part in values["parts"]))
    if stored["block"] == ItemLine.__name__:
        values["prompts"] = tuple(values.get("prompts", ()))
    return _BLOCKS[stored["block"]](**values)
