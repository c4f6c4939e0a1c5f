"""The bot's home tab, drawn from the same cards as messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.channels.port import Outgoing
from bot.channels.slack.blocks import parts_of

BLOCKS_MAX = 100
_MORE = {"type": "context", "elements": [{"type": "mrkdwn", "text": 'There is more: write "show all" to me.'}]}


def home_view(said: Sequence[Outgoing]) -> dict[str, Any]:
    """What is said one below the other, and cut where Slack takes no more."""
    drawn: list[list[dict[str, Any]]] = []
    for outgoing in said:
        drawn.append([block for part in parts_of(outgoing) for block in part.payload["blocks"]])
    blocks = [block for card in drawn for block in (*card, {"type": "divider"})][:-1]
    return {"type": "home", "blocks": [*blocks[: BLOCKS_MAX - 1], _MORE] if len(blocks) > BLOCKS_MAX else blocks}
