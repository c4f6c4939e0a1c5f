"""A week in which nothing was found, in one message."""

from __future__ import annotations

from collections.abc import Mapping

from bot.cards.card import Card, Line
from bot.cards.words import subject


def digest_card(agent: str, environment: str, week: Mapping[str, int]) -> Card:
    """`week`: `{runs, quiet, failed, lists, live}` of the last seven days."""
    runs, quiet = int(week.get("runs", 0)), int(week.get("quiet", 0))
    found = f"{quiet} of {_counted(runs, 'run')} in the last 7 days found nothing new to change"
    others = [
        _counted(int(week.get(key, 0)), one, many)
        for key, one, many in (
            ("lists", "list was made", "lists were made"),
            ("live", "change went live", "changes went live"),
        )
        if week.get(key)
    ]
    more = f"; {' and '.join(others)}" if others else ""
    lines = [Line(f"All quiet: {found}{more}.")]
    if failed := int(week.get("failed", 0)):
        lines.append(Line(f"{_counted(failed, 'run')} failed.", "bad"))
    return Card(f"{subject(agent, environment)}: this week", tuple(lines), ("status", "history"))


def _counted(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or f'{one}s'}"
