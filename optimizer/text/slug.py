"""What agents and prompts may be called: names that fit in one line, in a command and in a key of TOML."""

from __future__ import annotations

import re

SLUG_CHARACTERS_MAX = 100
_SLUG = re.compile(rf"[\w./:-]{{1,{SLUG_CHARACTERS_MAX}}}")
SLUG_RULE = f"letters, digits and . _ - / : alone, at most {SLUG_CHARACTERS_MAX} of them"


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None
