"""Prompts that include other prompts: `{{PLAYBOOKS}}` stands for the text of the prompt `playbooks`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from optimizer.errors import InputError

COMPOSED_CHARACTERS_MAX = 2_000_000


class IncludeError(InputError):
    """An include that has no place, goes round in a circle, or makes the text too large."""


def compose_includes(text: str, includes: Mapping[str, str]) -> str:
    """The text as the agent sends it: each `{{NAME}}` of `includes` replaced by its text, inside it too.

    Other placeholders stay. Raises `IncludeError` for a name that no text uses, for texts that include each
    other, and for a result above 2,000,000 characters.
    """
    if not includes:
        return text
    pattern = re.compile(r"\{\{\s{0,20}(" + "|".join(map(re.escape, includes)) + r")\s{0,20}\}\}")
    used: set[str] = set()

    def expand(part: str, above: tuple[str, ...]) -> str:
        pieces: list[str] = []
        end = size = 0
        for match in pattern.finditer(part):
            name = match[1]
            if name in above:
                way = " -> ".join([*above[above.index(name) :], name])
                raise IncludeError(f"The include {name!r} contains itself ({way}); take one of the placeholders out.")
            used.add(name)
            pieces += (part[end : match.start()], expand(includes[name], (*above, name)))
            end = match.end()
            size += len(pieces[-1]) + len(pieces[-2])
            if size > COMPOSED_CHARACTERS_MAX:
                limit = f"more than {COMPOSED_CHARACTERS_MAX:,} characters"
                raise IncludeError(f"With {name!r} the prompt has {limit}; include less.")
        return "".join([*pieces, part[end:]])

    composed = expand(text, ())
    for name in includes:
        if name not in used:
            advice = "put it into the text or take the include out of the settings"
            raise IncludeError(f"The prompt has no placeholder {{{{{name}}}}} for its include; {advice}.")
    return composed


def content_sha256(text: str) -> str:
    """The hash of the text as it is, over its UTF-8 bytes, in hex (lone surrogates as their three bytes)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
