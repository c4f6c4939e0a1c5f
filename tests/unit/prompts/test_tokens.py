from __future__ import annotations

from optimizer.prompts.tokens import estimate_tokens


def test_tokens_are_estimated_by_characters_and_rounded_up() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("x") == 1
    assert estimate_tokens("x" * 380) == 100
    assert estimate_tokens("x" * 380, 2.0) == 190
