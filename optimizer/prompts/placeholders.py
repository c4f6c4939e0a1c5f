"""Placeholders and template syntax, in the formats that prompt registries use.

`{{NAME}}` (mustache, jinja, handlebars), `{name}` (f-string) and `{% ... %}` (jinja statements). Braces of
JSON and of code are none: a name has to follow the brace, and nothing like `"a": 1` may.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from optimizer.prompts.spans import shorten

_NAME = r"[^\W\d][\w.\-\[\]]{0,120}"
_TEMPLATE = re.compile(
    r"\{%[-+~]?(?P<statement>(?:(?!%\}|\{%).){1,300}?)[-+~]?%\}"
    rf"|\{{\{{\{{?[-~]?\s{{0,20}}(?P<double>[#/^>&!]?\s{{0,5}}{_NAME}(?:[|(\s,+][^{{}}\n]{{0,200}}?)?)"
    r"\s{0,20}[-~]?\}\}\}?"
    rf"|(?<!\{{)\{{(?P<single>{_NAME})(?:![rsa])?(?::[^{{}}\s\"']{{1,30}})?\}}",
    re.DOTALL,
)
_UNCLOSED_NAME = re.compile(rf"\{{\{{\s{{0,20}}[#/^>&]?{_NAME}")
_TO_END = re.compile(r"[^{}]{0,500}\}\}")
_BLOCKS = frozenset({"if", "for", "macro", "call", "filter", "with", "raw", "block", "autoescape"})


class SyntaxProblem(NamedTuple):
    line: int  # counted from 1
    what: str

    @property
    def sentence(self) -> str:
        return f"line {self.line}: {self.what}"


def placeholders(text: str) -> Counter[str]:
    """How often each placeholder stands in the text, in one spelling: `{{NAME}}`, `{name}`, `{% if x %}`."""
    return Counter(_names(text))


def missing_placeholders(base: str, new: str) -> tuple[str, ...]:
    """The placeholders that the base has and the new text has nowhere, sorted."""
    return tuple(sorted(placeholders(base).keys() - placeholders(new).keys()))


def new_placeholders(base: str, new: str) -> tuple[str, ...]:
    """The placeholders that only the new text has, sorted: the agent has no value for them."""
    return tuple(sorted(placeholders(new).keys() - placeholders(base).keys()))


def has_placeholder(text: str, name: str) -> bool:
    """Whether the placeholder stands in the text; a bare name means `{{name}}` or `{name}`."""
    found = placeholders(text)
    if "{" in name:
        return any(written in found for written in _names(name))
    return f"{{{{{name}}}}}" in found or f"{{{name}}}" in found


def without_placeholders(text: str) -> str:
    return _TEMPLATE.sub("", text)


def template_syntax_problems(text: str) -> tuple[SyntaxProblem, ...]:
    """Openings without an end: `{{name`, `{% if x`, and blocks such as `{% if %}` without `{% endif %}`."""
    found: list[tuple[int, str]] = []
    closed = {match.start() for match in _TEMPLATE.finditer(text)}
    for match in _UNCLOSED_NAME.finditer(text):
        if match.start() not in closed and match.start() - 1 not in closed and not _ends(text, match.end()):
            found.append((match.start(), f"{shorten(match[0], 30)!r} is not closed by }}}}"))
    opened: int | None = None
    for match in [*re.finditer(r"\{%|%\}", text), None]:
        if opened is not None and (match is None or match[0] == "{%"):
            found.append((opened, f"{shorten(text[opened : opened + 30])!r} is not closed by %}}"))
        opened = match.start() if match is not None and match[0] == "{%" else None
    found.extend(_unbalanced_blocks(text))
    breaks = [match.start() for match in re.finditer("\n", text)]
    return tuple(SyntaxProblem(bisect_left(breaks, offset) + 1, what) for offset, what in sorted(found))


def new_syntax_problems(base: str, new: str) -> tuple[SyntaxProblem, ...]:
    """The problems of the new text that the base does not have, wherever they stand."""
    left = Counter(problem.what for problem in template_syntax_problems(base))
    fresh: list[SyntaxProblem] = []
    for problem in template_syntax_problems(new):
        if left[problem.what]:
            left[problem.what] -= 1
        else:
            fresh.append(problem)
    return tuple(fresh)


def _names(text: str) -> Iterator[str]:
    for match in _TEMPLATE.finditer(text):
        written = " ".join((match["statement"] or match["double"] or match["single"]).split())
        if match["statement"]:
            yield f"{{% {written.rstrip('-+~ ')} %}}"
        elif match["double"]:
            yield f"{{{{{written}}}}}"
        else:
            yield f"{{{written}}}"


def _ends(text: str, position: int) -> bool:
    # Escaped braces around code, `{{ return 1; }}`, are closed as well, though they are no placeholder.
    match = _TO_END.match(text, position)
    return match is not None and "\n\n" not in match[0]


def _unbalanced_blocks(text: str) -> Iterator[tuple[int, str]]:
    opened: list[tuple[int, str]] = []
    for match in _TEMPLATE.finditer(text):
        word = next(iter((match["statement"] or "").split()), "")
        if word in _BLOCKS:
            opened.append((match.start(), word))
        elif word.startswith("end") and word[3:] in _BLOCKS:
            if opened and opened[-1][1] == word[3:]:
                opened.pop()
            else:
                yield match.start(), f"{{% {word} %}} ends nothing"
    for offset, word in opened:
        yield offset, f"{{% {word} %}} has no {{% end{word} %}}"
