"""Cards in colour, and progress, for a person before a terminal (rich)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console as Rich
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from bot.cards.card import Card
from bot.cards.layout import Row, Style, rows

_WIDTH_MAX = 88

_STYLES: dict[Style, str] = {
    "plain": "",
    "good": "green",
    "bad": "red",
    "header": "bold",
    "heading": "bold cyan",
    "number": "bold yellow",
    "closed": "dim",
    "note": "dim",
    "same": "",
    "removed": "red strike",
    "added": "green",
    "reply": "cyan",
}


class StyledScreen:
    """Text is never read as markup: what a title says cannot colour the screen."""

    def __init__(self, rich: Rich | None = None) -> None:
        # Without a file of its own it follows sys.stdout, which the prompt replaces to print above itself.
        self._rich = rich or Rich(highlight=False, markup=False, emoji=False)

    def show(self, card: Card) -> None:
        width = min(self._rich.width, _WIDTH_MAX)
        marked = self._rich.no_color  # without colours, brackets tell what goes and what comes
        lines = [self._text(row) for row in rows(card, width, slack=0, marked=marked)]
        self._print(Text("\n").join([*lines, Text("")]))

    def say(self, text: str) -> None:
        self._print(Text(text, style="dim"))

    @contextmanager
    def step(self, label: str, total: int | None) -> Iterator[_Step]:
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        counted = [BarColumn(bar_width=24), MofNCompleteColumn()] if total is not None else []
        with Progress(*columns, *counted, console=self._rich, transient=True) as progress:
            yield _Step(progress, label, total)
        tick = "\u2713" if self._rich.encoding.lower().startswith("utf") else "*"
        self._print(Text.assemble((tick, "green"), f" {label}"))

    def _text(self, row: Row) -> Text:
        return Text.assemble(*((span.text, _STYLES[span.style]) for span in row))

    def _print(self, text: Text) -> None:
        self._rich.print(text, soft_wrap=True)


class _Step:
    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def advance(self, n: int = 1) -> None:
        self._progress.advance(self._task, n)
