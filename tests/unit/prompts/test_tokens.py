from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.tokens import estimate_tokens, learn_ratio


def test_tokens_are_estimated_by_characters_and_rounded_up() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("x") == 1
    assert estimate_tokens("x" * 380) == 100
    assert estimate_tokens("x" * 380, 2.0) == 190


def test_the_ratio_is_learned_over_all_text() -> None:
    assert learn_ratio([(400, 100), (1000, 200)]) == pytest.approx(1400 / 300)


@pytest.mark.parametrize("pairs", [[], [(100, 0)], [(0, 5)], [(100, 5000)], [(100_000, 10)], [(-4, -1)]])
def test_pairs_that_cannot_be_right_teach_nothing(pairs: list[tuple[int, int]]) -> None:
    assert learn_ratio(pairs) is None
    assert learn_ratio([*pairs, (400, 100)]) == 4.0


@given(st.lists(st.tuples(st.integers(-10, 10**9), st.integers(-10, 10**9))))
def test_a_learned_ratio_is_always_sane(pairs: list[tuple[int, int]]) -> None:
    ratio = learn_ratio(pairs)
    assert ratio is None or 1 <= ratio <= 8
