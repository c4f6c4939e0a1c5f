"""The input variables of a template's text, by its format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Formatter

VARIABLES_IN = "input_variables"  # the key of the lists in a template
_NESTED_MAX = 2  # fields inside a field's format, as Python has them
# What stands before a dot or a bracket; PromptLayer takes names with spaces, too.
_FIELD = re.compile(r"([^\W\d][\w -]*)(?:[.\[].*)?", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")

_VERBATIM = re.compile(r"\{#.*?#\}|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL)
_TAG = re.compile(r"\{\{(.{0,2000}?)\}\}|\{%(.{0,2000}?)%\}", re.DOTALL)
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_LOOP = re.compile(r"\bfor\s+([\w\s,()]{1,200}?)\s+in\b")
# A word is no variable behind a dot, a bar (a filter) or `is` (a test), nor before a bracket or `=` (an argument).
_WORD = re.compile(r"([.|]\s*|\bis\s+(?:not\s+)?)?\b([^\W\d]\w*)(\s*\(|\s*=(?!=))?")
_STATEMENTS = "autoescape block call extends filter for from if import include macro raw set with"
_NO_VARIABLE = frozenset(
    f"{_STATEMENTS} elif else as and in is not or recursive ignore missing without context loop self caller "
    "true false none True False None".split()
) | {f"end{word}" for word in _STATEMENTS.split()}


def variables_of(text: str, template_format: str) -> tuple[str, ...]:
    """The names that the text asks for, each once, in the order of their first places.

    f-string: `{name}`, `{the name}`, `{name.part}`, `{name:>{width}}`; doubled braces are text. A text that is no
    f-string, such as one with JSON in it, asks for none. jinja2: what `{{ ... }}` and `{% ... %}` name and do not
    define themselves.
    """
    found = _in_tags(text) if template_format == "jinja2" else _fields(text, _NESTED_MAX)
    try:
        return tuple(dict.fromkeys(found))
    except ValueError:  # no f-string
        return ()


def _fields(text: str, depth: int) -> Iterator[str]:
    for _, field, spec, _ in Formatter().parse(text):
        named = _FIELD.fullmatch(field or "")
        if named:
            yield named[1]
        if spec and depth > 1:
            yield from _fields(spec, depth - 1)


def _in_tags(text: str) -> Iterator[str]:
    tags = [_QUOTED.sub("''", one or other) for one, other in _TAG.findall(_VERBATIM.sub("", text))]
    defined = {name for tag in tags for names in _LOOP.findall(tag) for name in _NAME.findall(names)}
    defined |= {name for tag in tags for name in re.findall(r"^[-+]?\s*set\s+([^\W\d]\w*)", tag)}
    for tag in tags:
        for before, name, after in _WORD.findall(tag):
            if not before and not after and name not in _NO_VARIABLE and name not in defined:
                yield name
