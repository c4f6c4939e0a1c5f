"""Prints the crash matrix at the end of a run in which it was made."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.contract.deploy.matrix import COLUMNS, TROUBLES

_NAME = "crash matrix"
_EMPTY = "-"  # this story makes no such request


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    cells = [cell for one in reports for name, found in one.user_properties if name == _NAME for cell in found]
    if cells:
        terminalreporter.section(_NAME)
        for line in _lines(cells):
            terminalreporter.write_line(line)


def _lines(cells: list[tuple[str, int, str, str, str]]) -> list[str]:
    """`cells`: (column, place of the request in the story, request, trouble, outcome)."""
    columns = [str(column) for column in COLUMNS if str(column) in {column for column, *_ in cells}]
    troubles = [trouble.name for kind in TROUBLES.values() for trouble in kind]
    # The requests in the order in which the first story makes them, then those of the others.
    cells = sorted(cells, key=lambda cell: (columns.index(cell[0]), cell[1], troubles.index(cell[3])))
    rows: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for column, _, request, trouble, found in cells:
        rows[request, trouble][column] = found
    table = [("request", "what became of it", *columns)]
    table += [(*key, *(row.get(column, _EMPTY) for column in columns)) for key, row in rows.items()]
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
