"""Text as Slack takes it: escaped, cut to its limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARKUP = re.compile(r"(?<![\w\u2060])([*_~`])(?=\S)")
_ESCAPE_MAX = len("&amp;")


def referenced(text: str) -> str:
    """Text without a mention, a link or a command of Slack's; its marks of bold and the like are left."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped(text: str) -> str:
    """Text that Slack shows as it stands where it reads markup."""
    # A word joiner is seen by nobody, and no mark opens after one.
    return _MARKUP.sub("\u2060\\1", referenced(text))


def bold(text: str) -> str:
    """In bold; what is inside closes it nowhere."""
    return f"*{_within(text)}*"


def struck(text: str) -> str:
    return f"~{_within(text)}~"


def _within(text: str) -> str:
    return escaped(text.strip()).replace("*", "\u2217").replace("~", "\u223c")


def code(text: str) -> str:
    """For a block of code, which nothing inside closes."""
    return referenced(text).replace("```", "'''")


def cut(text: str, characters_max: int) -> Iterator[str]:
    """Escaped text in pieces of at most so many characters: after a line or a blank where there is one, and never
    inside of an escape."""
    while len(text) > characters_max:
        at = max(text.rfind("\n", 0, characters_max), text.rfind(" ", 0, characters_max)) + 1 or characters_max
        opened = text.rfind("&", max(at - _ESCAPE_MAX + 1, 1), at)
        if opened > 0 and ";" not in text[opened:at]:
            at = opened
        yield text[:at]
        text = text[at:]
    if text:
        yield text


def shortened(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[: characters_max - 1].rstrip()}\u2026"
