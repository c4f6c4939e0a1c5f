"""Whether a text is a template of its format, as the format's own parser says."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter

from optimizer.prompts.hidden import visible
from optimizer.prompts.messages import messages_of
from optimizer.prompts.placeholders import SyntaxProblem, new_syntax_problems
from optimizer.prompts.spans import Span, shorten


def new_format_problems(base: str, new: str, template_format: str) -> tuple[SyntaxProblem, ...]:
    """What is wrong with the new text as a template, and is not with the base. Parsed, never rendered.

    jinja2 by its parser, f-string by Python's; a prompt whose registry names no format (`""`) by its braces. Of a
    template with several messages, each text by itself.
    """
    found = new_syntax_problems(base, new)
    if template_format not in _PROBLEMS or any(problem_of(text, template_format) for _, text in _texts(base)):
        return found
    own = (
        SyntaxProblem(line + problem.line - 1, problem.what)
        for line, text in _texts(new)
        if (problem := problem_of(text, template_format)) is not None
    )
    return (*found, *own)


def problem_of(text: str, template_format: str) -> SyntaxProblem | None:
    """The first thing that the parser of the format does not take; None for a format without one."""
    parse = _PROBLEMS.get(template_format)
    return parse(text) if parse else None


def _texts(text: str) -> Iterator[tuple[int, str]]:
    """Each message's text, which is a template of its own, with the line that it begins in, from 1."""
    bodies = [message.body for message in messages_of(text)] or [Span(0, len(text))]
    for start, end in bodies:
        yield text.count("\n", 0, start) + 1, text[start:end]


def _jinja_problem(text: str) -> SyntaxProblem | None:
    from optimizer.prompts import sandbox  # jinja2 takes longer to import than most commands to run

    problem = sandbox.syntax_problem(text)
    return SyntaxProblem(problem[0], _told(problem[1])) if problem else None


def _field_problem(text: str) -> SyntaxProblem | None:
    try:
        for _ in Formatter().parse(text):
            pass
    except ValueError as error:
        return SyntaxProblem(1, _told(str(error)))
    return None


_PROBLEMS = {"jinja2": _jinja_problem, "f-string": _field_problem}


def _told(message: str) -> str:
    return shorten(visible(message)).rstrip(".")
