"""Small words that all cards share: who, when, which numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from optimizer.text.excerpt import one_line

REASON_CHARACTERS_MAX = 240
DETAIL_CHARACTERS_MAX = 1_200
_NAME_CHARACTERS_MAX = 40
_ITSELF = "ratchet"

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks at a card, and when."""

    now: datetime
    actor: str = ""  # channel identity, "console:dana"; empty where many people read
    timezone: tzinfo = UTC
    people: Mapping[str, str] = field(default_factory=dict[str, str])  # channel identity -> name

    def person(self, actor: str) -> str:
        """`you`, the person's name, or what follows the channel in an identity that nobody named."""
        if actor and actor == self.actor:
            return "you"
        if actor == _ITSELF:
            return "Ratchet"
        return safe(self.people.get(actor) or actor.partition(":")[2] or actor) or "someone"

    def ago(self, at: datetime) -> str:
        """`just now`, `2 min ago`, `3 h ago`, `5 days ago`; a date where it is longer."""
        past = self.now - at
        if past < _MINUTE:
            return "just now"
        return f"{length(past)} ago" if past < 14 * _DAY else f"on {self.date(at)}"

    def date(self, at: datetime) -> str:
        return at.astimezone(self.timezone).strftime("%Y-%m-%d")

    def clock(self, at: datetime) -> str:
        """`16:00 UTC` today, else with the date."""
        local = at.astimezone(self.timezone)
        zone = local.tzname() or ""
        day = "" if local.date() == self.now.astimezone(self.timezone).date() else f"{local:%Y-%m-%d} "
        return f"{day}{local:%H:%M} {zone}".rstrip()


def subject(agent: str, environment: str) -> str:
    """What every header begins with: `blog-writer (prod)`."""
    return f"{safe(agent)} ({safe(environment)})"


def safe(text: str, characters_max: int = _NAME_CHARACTERS_MAX) -> str:
    """Foreign text as part of one line: no control or direction characters, bounded."""
    return one_line(text, characters_max)


def sentence(text: str, characters_max: int = REASON_CHARACTERS_MAX) -> str:
    """Foreign text as a sentence of its own: safe, and with a full stop."""
    said = safe(text, characters_max)
    return said if not said or said.endswith((".", "!", "?", "…")) else f"{said}."


def length(span: timedelta) -> str:
    """`2 min`, `3 h`, `1 day`, `5 days`."""
    if span < _HOUR:
        return f"{max(span // _MINUTE, 1)} min"
    if span < _DAY:
        return f"{span // _HOUR} h"
    days = span // _DAY
    return f"{days} {'day' if days == 1 else 'days'}"


def numbers(values: Sequence[int], joint: str = " and ") -> str:
    """`3`, `3 and 4`, `3, 4 and 5`."""
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])}{joint}{words[-1]}"


def items(values: Sequence[int]) -> str:
    """`item 3`, `items 3 and 4`."""
    return f"{'item' if len(values) == 1 else 'items'} {numbers(values)}"


def are(values: Sequence[int]) -> str:
    """`3 is`, `3 and 4 are`."""
    return f"{numbers(values)} {'is' if len(values) == 1 else 'are'}"
