"""The pending sessions that the replies are said in."""

from __future__ import annotations

from bot.conversation.commands import ItemType, PendingItem

_TYPES: dict[str, ItemType] = {"p": "prompt_change", "g": "config_change", "c": "code_change"}


def session(shape: str) -> tuple[PendingItem, ...]:
    """ "1c 3p 4p-" is a code change 1, a prompt change 3 and a removed prompt change 4."""
    return tuple(
        PendingItem(int(word.rstrip("-")[:-1]), _TYPES[word.rstrip("-")[-1]], word.endswith("-"))
        for word in shape.split()
    )


BLOG_WRITER = session("1c 2g 3p 4p 5c")
