"""Tokens by estimate, where no model counts them."""

from __future__ import annotations

import math
from collections.abc import Iterable

CHARACTERS_PER_TOKEN = 3.8
CHARACTERS_PER_TOKEN_MIN = 1.0
CHARACTERS_PER_TOKEN_MAX = 8.0


def estimate_tokens(text: str, characters_per_token: float = CHARACTERS_PER_TOKEN) -> int:
    """About how many tokens the text has, rounded up; 0 for no text."""
    return math.ceil(len(text) / characters_per_token)


def learn_ratio(pairs: Iterable[tuple[int, int]]) -> float | None:
    """Characters per token over all (characters, tokens) pairs; None when no pair is credible.

    A pair outside 1 to 8 characters per token counted something else (pictures, tool schemas, cached parts)
    and is left out, so the result lies within these bounds too.
    """
    characters_total = tokens_total = 0
    for characters, tokens in pairs:
        credible = tokens * CHARACTERS_PER_TOKEN_MIN <= characters <= tokens * CHARACTERS_PER_TOKEN_MAX
        if tokens > 0 and credible:
            characters_total += characters
            tokens_total += tokens
    return characters_total / tokens_total if tokens_total else None
