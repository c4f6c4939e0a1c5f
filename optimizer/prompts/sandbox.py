"""jinja2 in a sandbox: bounded in what its loops, operators and numbers can cost, and without a way to code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any, cast

from jinja2 import Template, TemplateSyntaxError, Undefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from optimizer.prompts.render import RenderError
from optimizer.prompts.spans import shorten

ROUNDS_MAX = 50_000  # of all loops and macros of a template together
NUMBER_MAX = 100_000  # written in a template: widths and repetitions
_COMPILED_MAX = 32  # templates that are kept as code
_LONG_NUMBER = re.compile(r"\d{6}")


def fill(text: str, inputs: Mapping[str, Any], unfilled: set[str]) -> Iterator[str]:
    """The text piece by piece; names that no input fills are added to `unfilled`. Raises what the template raises."""
    sandbox = _Sandbox(unfilled)
    yield from Template.from_code(sandbox, _compiled(text), sandbox.make_globals(None)).generate(inputs)


def syntax_problem(text: str) -> tuple[int, str] | None:
    """The line, from 1, that jinja2's parser does not take, and why. Nothing is rendered."""
    try:
        _Sandbox(set()).parse(text)
    except TemplateSyntaxError as error:
        return error.lineno, error.message or "a place that cannot be read"
    except RecursionError:
        return 1, "it is nested too deeply"
    return None


@lru_cache(maxsize=_COMPILED_MAX)
def _compiled(text: str) -> CodeType:
    """The template as code that counts the rounds of its loops and macros."""
    sandbox = _Sandbox(set())
    tree = sandbox.parse(text)
    for number in tree.find_all(nodes.Const):
        if isinstance(number.value, int) and abs(number.value) > NUMBER_MAX:
            raise RenderError(f"the number {shorten(str(number.value), 20)} is too large")
    for loop in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
        tick = nodes.ExprStmt(nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None))
        loop.body.insert(0, tick.set_lineno(loop.lineno).set_environment(sandbox))
    return sandbox.compile(tree)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Counts the rounds of loops, bounds what operators build, and notes which names had no value."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, unfilled: set[str]) -> None:
        class Noted(Undefined):
            def __str__(self) -> str:
                unfilled.add(self._undefined_name or "")
                return ""

        super().__init__(undefined=Noted, keep_trailing_newline=True)
        self._rounds = 0

    def tick(self) -> None:
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            raise RenderError(f"its loops go round more than {ROUNDS_MAX:,} times")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        grows = (
            (operator == "*" and _size(left) * _size(right) > NUMBER_MAX and not _plain(left, right))
            or (operator == "**" and (_size(left) > NUMBER_MAX or _size(right) > 64))
            or (operator == "%" and isinstance(left, str) and _LONG_NUMBER.search(left) is not None)
        )
        if grows:
            raise RenderError(f"an operator {operator!r} builds too much")
        return super().call_binop(context, operator, left, right)


def _size(value: Any) -> float:
    if isinstance(value, int | float):
        return abs(value)
    return len(cast("Sequence[Any]", value)) if isinstance(value, str | bytes | list | tuple) else 1


def _plain(left: Any, right: Any) -> bool:
    """Two numbers: their product is one."""
    return isinstance(left, int | float) and isinstance(right, int | float)
