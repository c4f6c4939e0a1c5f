"""Tokens by estimate, where no model counts them."""

from __future__ import annotations

import math

CHARACTERS_PER_TOKEN = 3.8


def estimate_tokens(text: str, characters_per_token: float = CHARACTERS_PER_TOKEN) -> int:
    """About how many tokens the text has, rounded up; 0 for no text."""
    return math.ceil(len(text) / characters_per_token)
