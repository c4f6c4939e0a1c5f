"""Modules that can be read in one sitting, and that say what they are for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.unit.house.tree import modules, relative

LINES_PER_MODULE = 300
LINES_PER_FUNCTION = 60

LONGER_FOR_A_REASON: dict[str, str] = {}
"""`path` or `path:function` -> why it is one thing and stays in one piece."""


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lengths() -> dict[str, tuple[int, int]]:
    """`path` and `path:function` -> (lines, allowed lines)."""
    found: dict[str, tuple[int, int]] = {}
    for path in modules():
        text = path.read_text(encoding="utf-8")
        found[relative(path)] = (len(text.splitlines()), LINES_PER_MODULE)
        for function in functions(ast.parse(text)):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            name = f"{relative(path)}:{function.name}"
            found[name] = (max(lines, found.get(name, (0, 0))[0]), LINES_PER_FUNCTION)
    return found


def test_modules_and_functions_stay_small() -> None:
    """A reader who has to scroll back has lost the thread: 300 lines for a module, 60 for a function."""
    too_long = {
        name: lines
        for name, (lines, allowed) in lengths().items()
        if lines > allowed and name not in LONGER_FOR_A_REASON
    }
    assert too_long == {}


def test_an_exception_goes_when_its_reason_is_gone() -> None:
    """A list of exceptions only ever grows, unless an entry that is not needed fails."""
    needed = {name for name, (lines, allowed) in lengths().items() if lines > allowed}
    assert sorted(LONGER_FOR_A_REASON.keys() - needed) == []


def test_every_module_says_what_it_is_for() -> None:
    """Someone who opens a file in the middle of the night is told first where they are."""
    silent = [relative(path) for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []
