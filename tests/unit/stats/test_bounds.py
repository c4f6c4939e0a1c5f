from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nchypergeom_fisher

from optimizer.stats.bounds import (
    binomial_tail,
    count_fell,
    lower_bound,
    odds_of_margin,
    share_fell,
    share_rose,
    survivors,
)


def exact_tail(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def exact_fisher(k: int, n: int, k_before: int, n_before: int) -> float:
    events = k + k_before
    term, total, tail = Fraction(1), Fraction(0), Fraction(0)  # relative to the first table
    for i in range(max(0, events - n_before), min(events, n) + 1):
        total += term
        tail += term if i >= k else 0
        term *= Fraction((events - i) * (n - i), (i + 1) * (n_before - events + i + 1))
    return float(tail / total)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.001, 0.999))
def test_the_tail_is_the_sum_of_the_binomial_probabilities(count: tuple[int, int], p: float) -> None:
    k, n = count
    assert binomial_tail(k, n, p) == pytest.approx(exact_tail(k, n, p), rel=1e-9, abs=1e-300)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_at_a_bound_what_was_seen_is_just_as_unlikely_as_alpha(count: tuple[int, int]) -> None:
    k, n = count
    if k > 0:
        assert binomial_tail(k, n, lower_bound(k, n, 0.02)) == pytest.approx(0.02, rel=1e-6)


def test_bounds_equal_published_ones() -> None:
    # 30 of 30: the rule of three's exact form.
    assert lower_bound(30, 30, 0.05) == pytest.approx(0.05 ** (1 / 30))
    # Lower end of the two-sided 95 % interval of 8 of 20, as every table has it.
    assert lower_bound(8, 20, 0.025) == pytest.approx(0.1912, abs=5e-5)


def test_nothing_seen_bounds_nothing() -> None:
    assert lower_bound(0, 10, 0.02) == 0.0
    assert lower_bound(0, 0, 0.02) == 0.0
    assert binomial_tail(0, 0, 0.05) == 1.0


shares = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(shares, shares)
def test_a_rise_is_judged_by_fishers_exact_test(now: tuple[int, int], before: tuple[int, int]) -> None:
    assert share_rose(*now, *before) == pytest.approx(exact_fisher(*now, *before), rel=1e-9)


@given(shares, shares)
def test_a_fall_is_a_rise_of_the_rest(now: tuple[int, int], before: tuple[int, int]) -> None:
    (k, n), (k_before, n_before) = now, before
    mirrored = exact_fisher(n - k, n, n_before - k_before, n_before)
    assert share_fell(k, n, k_before, n_before) == pytest.approx(mirrored, rel=1e-9)


def test_the_lady_tasting_tea() -> None:
    assert share_rose(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert share_rose(4, 4, 0, 4) == pytest.approx(1 / 70)


def test_an_empty_side_proves_nothing() -> None:
    assert share_rose(3, 3, 0, 0) == 1.0
    assert share_fell(0, 0, 30, 100) == 1.0


def test_large_counts_are_exact_too() -> None:
    assert share_rose(900, 30_000, 800, 30_000) == pytest.approx(exact_fisher(900, 30_000, 800, 30_000), rel=1e-8)
    assert share_rose(800, 30_000, 900, 30_000) == pytest.approx(exact_fisher(800, 30_000, 900, 30_000), rel=1e-8)
    assert 0.0 <= share_rose(60_000, 1_000_000, 50_000, 1_000_000) < 1e-100
    assert share_fell(60_000, 1_000_000, 50_000, 1_000_000) == pytest.approx(1.0)
    assert share_fell(0, 1_000_000, 500_000, 1_000_000) == 0.0


def test_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="4 of 3"):
        lower_bound(4, 3, 0.02)
    with pytest.raises(ValueError, match="-1 of 3"):
        share_rose(1, 2, -1, 3)


def test_holm_goes_on_while_the_next_one_holds() -> None:
    # 0.01 <= 0.05 / 4, 0.013 <= 0.05 / 3, 0.03 > 0.05 / 2: the last one is not looked at.
    assert survivors([0.03, 0.01, 0.04, 0.013], 0.05) == (False, True, False, True)
    assert survivors([], 0.05) == ()


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_finds_what_bonferroni_finds_and_nothing_above_alpha(p_values: list[float]) -> None:
    rejected = survivors(p_values, 0.02)
    for p_value, is_rejected in zip(p_values, rejected, strict=True):
        assert is_rejected or p_value > 0.02 / len(p_values)
        assert not is_rejected or p_value <= 0.02


@given(shares, shares, st.sampled_from([0.5, 1.3, 4.0]))
def test_a_rise_beyond_a_margin_has_fishers_noncentral_distribution(
    now: tuple[int, int], before: tuple[int, int], odds_ratio: float
) -> None:
    (k, n), (k_before, n_before) = now, before
    theirs = nchypergeom_fisher.sf(k - 1, n + n_before, k + k_before, n, odds_ratio)
    assert share_rose(k, n, k_before, n_before, odds_ratio) == pytest.approx(theirs, rel=1e-5, abs=1e-9)


def test_the_odds_of_a_margin_are_those_of_the_raised_share() -> None:
    assert odds_of_margin(199, 999, 0.05) == pytest.approx((0.2495 / 0.7505) / (0.1995 / 0.8005))
    assert 1.0 < odds_of_margin(0, 50, 0.02) < math.inf
    assert odds_of_margin(50, 50, 0.02) == 1.0  # there is nothing above all of them


def test_far_fewer_than_before_is_a_binomial_tail() -> None:
    # Given 50 in five periods, the last one has 2 or fewer of them by chance: Binomial(50, 1/5).
    assert count_fell(2, 48, 4) == pytest.approx(1 - exact_tail(3, 50, 0.2))
    assert count_fell(0, 0, 4) == 1.0
    assert count_fell(2, 48, 4, dispersion=4.0) > 20 * count_fell(2, 48, 4)
    with pytest.raises(ValueError, match="less than chance"):
        count_fell(2, 48, 4, dispersion=0.5)


def test_weights_share_the_error_probability() -> None:
    # 0.018 would fall against its half of 0.02 without weights.
    assert survivors([0.018, 0.5], 0.02) == (False, False)
    assert survivors([0.018, 0.5], 0.02, [9.5, 0.5]) == (True, False)
    # What one hypothesis leaves that falls, the rest share.
    assert survivors([0.001, 0.012, 0.5], 0.02, [1.0, 2.0, 1.0]) == (True, True, False)
    assert survivors([], 0.02, []) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.5, 1.0, 4.0])), max_size=8))
def test_weighted_holm_finds_what_weighted_bonferroni_finds(family: list[tuple[float, float]]) -> None:
    p_values, weights = [p for p, _ in family], [weight for _, weight in family]
    assert survivors(p_values, 0.05, [3.0] * len(family)) == survivors(p_values, 0.05)
    for p_value, weight, rejected in zip(p_values, weights, survivors(p_values, 0.05, weights), strict=True):
        assert rejected or p_value > 0.05 * weight / sum(weights)
        assert not rejected or p_value <= 0.05
