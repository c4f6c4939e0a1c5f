"""What people were not told, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from bot.cards.card import Line
from bot.cards.words import Reader, safe, sentence
from optimizer.records.messages import Delivery

_SHOWN_MAX = 3
_SHOWN_FOR = timedelta(days=7)


def undelivered_lines(deliveries: Sequence[Delivery], reader: Reader) -> Iterator[Line]:
    """The newest of the last week. `deliveries`: those in trouble, newest first."""
    recent = [one for one in deliveries if reader.now - one.created_at < _SHOWN_FOR]
    for one in recent[:_SHOWN_MAX]:
        yield Line(undelivered(one, reader), "bad")
    if len(recent) > _SHOWN_MAX:
        yield Line(f"{len(recent) - _SHOWN_MAX} more messages were not delivered; ratchet doctor lists them.", "bad")


def undelivered(one: Delivery, reader: Reader) -> str:
    """One sentence: to whom, where, since when, and why."""
    whom = safe(one.person.partition(":")[2] or one.person) if one.person else safe(one.chat)
    how = "waits to be delivered" if one.state == "waiting" else "was not delivered"
    why = sentence(one.error or one.status or "no reason was given")
    return f"A message to {whom} ({safe(one.channel)}) {how}, {reader.ago(one.created_at)}: {why}"
