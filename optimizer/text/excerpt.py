"""Foreign text in one safe line.

Text out of traces, tool lists and prompts was written by others. What is shown to a person must not break the
layout or hide something; what goes into a prompt must not be able to give orders.
"""

from __future__ import annotations

import re
import unicodedata

# Controls, format characters (bidi overrides, zero width), surrogates, private and unassigned code points.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,63}")
# Enough for every error text that is worth repeating; no markup, template braces, quotes or backticks.
_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:()/+\-_%=#&'*|$@\[\]]{1,120}")
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|overrid\w*|bypass|pretend|reveal|obey|instead|instruct\w*|prompts?|system|"
    r"assistant|developer|jailbreak|from now on|you are|you must|you should|you will|your|please|always|"
    r"never|www|https?|sudo|admin\w*|secrets?|passwords?|api.?keys?|tokens?)\b|://",
    re.IGNORECASE,
)


def one_line(text: str, characters_max: int = 80) -> str:
    """The text without unseen characters, whitespace as single blanks, the end cut off where it is long."""
    seen = "".join(
        " " if char.isspace() else char
        for char in text[: characters_max * 8]
        if char.isspace() or unicodedata.category(char) not in _UNSEEN_CATEGORIES
    )
    words = " ".join(seen.split())
    if len(words) <= characters_max:
        return words
    return words[: characters_max - 1].rstrip(" ,;:") + "…"


def is_name(text: str) -> bool:
    """Whether it looks like an identifier, which a prompt may hold in backticks."""
    return _NAME.fullmatch(text) is not None


def is_quotable(text: str) -> bool:
    """Whether a prompt may quote it: short, plain characters, and nothing that reads like an order."""
    return _PLAIN.fullmatch(text) is not None and _ORDERS.search(text) is None
