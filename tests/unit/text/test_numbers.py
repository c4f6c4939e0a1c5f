from __future__ import annotations

import pytest

from optimizer.text import numbers


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (4.4, "4"),
        (210, "210"),
        (999.4, "999"),
        (999.6, "1k"),
        (1234, "1.2k"),
        (9_960, "10k"),
        (120_000, "120k"),
        (999_600, "1M"),
        (2_540_000, "2.5M"),
        (3_000_000_000, "3,000M"),
    ],
)
def test_about(value: float, said: str) -> None:
    assert numbers.about(value) == said


def test_estimated_tokens_carry_a_tilde_and_counted_ones_do_not() -> None:
    assert numbers.tokens(650) == "~650 tokens"
    assert numbers.tokens(650, estimated=False) == "650 tokens"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "$0.00"),
        (0.044, "$0.044"),
        (0.00012, "$0.00012"),
        (0.5, "$0.50"),
        (0.999, "$1.00"),
        (1.2, "$1.20"),
        (99.999, "$100"),
        (1234.5, "$1,234"),
        (-0.36, "-$0.36"),
    ],
)
def test_usd(value: float, said: str) -> None:
    assert numbers.usd(value) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0%"),
        (0.0004, "under 0.1%"),
        (0.038, "3.8%"),
        (0.05, "5%"),
        (0.3149, "31%"),
        (0.997, "over 99%"),
        (1.0, "100%"),
    ],
)
def test_percent_rounds_but_never_to_all_or_nothing(share: float, said: str) -> None:
    assert numbers.percent(share) == said


def test_a_change_carries_its_interval() -> None:
    assert numbers.change(-0.295, -0.34, -0.24) == "-29.5% (-34 to -24)"


@pytest.mark.parametrize(
    ("n", "said"), [(1, "1 session"), (9, "9 sessions"), (2.5, "2.5 sessions"), (1234, "1,234 sessions")]
)
def test_counts_have_their_noun(n: float, said: str) -> None:
    assert numbers.count(n, "session") == said
