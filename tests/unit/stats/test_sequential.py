from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.records.facts import Measure
from optimizer.stats.sequential import (
    Interval,
    Sample,
    difference_sequence,
    half_width,
    mixing_rho,
    relative_difference,
)

ALPHA = 0.05
DAYS = 14


def test_the_tuning_equals_the_published_formula() -> None:
    # Equation 161 by hand: -2 ln 0.05 = 5.991465, ln 6.991465 = 1.944690; (5.991465 + 1.944690) / 5000.
    assert mixing_rho(0.05, 5000) == pytest.approx(math.sqrt(7.936155 / 5000), rel=1e-6)


def test_the_half_width_equals_the_published_formula() -> None:
    # Equation 9 by hand for variance 4, n = 1000, planned 1000: n rho^2 = 7.936155.
    spread = 8.936155
    expected = 2 * math.sqrt(2 * spread / (1000 * 7.936155) * math.log(math.sqrt(spread) / 0.05))
    assert half_width(4.0, 1000, 0.05, 1000) == pytest.approx(expected, rel=1e-6)


@given(st.integers(2, 10_000), st.integers(1, 10_000), st.floats(0.001, 0.2))
def test_more_data_never_widens_the_interval(n: int, planned_n: int, alpha: float) -> None:
    assert half_width(1.0, n + 1, alpha, planned_n) < half_width(1.0, n, alpha, planned_n)


@given(st.integers(10, 5_000))
def test_the_interval_is_tightest_where_it_was_planned(n: int) -> None:
    planned = half_width(1.0, n, ALPHA, n)
    assert planned <= 1.001 * min(half_width(1.0, n, ALPHA, other) for other in (n // 4 + 1, n // 2, 2 * n, 4 * n))


def test_it_is_wider_than_an_interval_for_one_look() -> None:
    assert half_width(1.0, 500, ALPHA, 500) > 1.96 / math.sqrt(500)


def daily_looks(rng: np.random.Generator, a_mean: float, b_mean: float) -> list[tuple[Sample, Sample]]:
    """Running samples of both sides after each day: 40 sessions a side, lognormal costs."""
    costs = [mean * np.exp(rng.normal(0.0, 0.8, size=DAYS * 40) - 0.32) for mean in (a_mean, b_mean)]
    return [(sample_of(costs[0][: day * 40]), sample_of(costs[1][: day * 40])) for day in range(1, DAYS + 1)]


def sample_of(values: np.ndarray) -> Sample:
    return Sample(len(values), float(values.mean()), float(values.var(ddof=1)))


def test_same_traffic_on_both_sides_rarely_looks_different_in_14_daily_looks() -> None:
    rng = np.random.default_rng(20260226)
    alarms = plain_alarms = 0
    for _ in range(400):
        looks = daily_looks(rng, 0.04, 0.04)
        alarms += any(difference_sequence(a, b, ALPHA, 2 * DAYS * 40).excludes_zero for a, b in looks)
        plain_alarms += any(
            abs(b.mean - a.mean) > 1.96 * math.sqrt(a.variance / a.n + b.variance / b.n) for a, b in looks
        )
    assert alarms <= 0.05 * 400
    assert plain_alarms > 0.12 * 400  # what the sequence is there for


def test_all_looks_of_a_relative_difference_hold_the_truth() -> None:
    rng = np.random.default_rng(7)
    misses = 0
    for _ in range(400):
        intervals = [relative_difference(a, b, ALPHA, 2 * DAYS * 40) for a, b in daily_looks(rng, 0.04, 0.028)]
        misses += any(not interval.low <= -0.3 <= interval.high for interval in intervals)
    assert misses <= 0.05 * 400


def test_a_real_saving_is_seen() -> None:
    before = Sample(400, 0.044, 0.044**2)
    after = Sample(400, 0.031, 0.031**2)
    change = relative_difference(before, after, ALPHA, 800)
    assert change.estimate == pytest.approx(-0.2955, abs=1e-4)
    assert -0.6 < change.low < change.high < 0
    assert difference_sequence(before, after, ALPHA, 800).excludes_zero


@given(st.integers(2, 500), st.floats(0.1, 10), st.floats(0.01, 10))
def test_the_unit_does_not_matter_to_a_relative_difference(n: int, mean: float, unit: float) -> None:
    a, b = Sample(n, mean, mean / 3), Sample(n, mean * 0.8, mean / 4)
    plain = relative_difference(a, b, ALPHA, 500)
    scaled = relative_difference(
        Sample(n, a.mean * unit, a.variance * unit**2),
        Sample(n, b.mean * unit, b.variance * unit**2),
        ALPHA,
        500,
    )
    assert scaled == pytest.approx(plain)


def test_too_little_data_is_no_interval() -> None:
    one, many = Sample.of(Measure(n=1, total=3.0, total_sq=9.0)), Sample(50, 2.0, 1.0)
    assert difference_sequence(one, many, ALPHA, 100) == Interval(-math.inf, math.inf, -1.0)
    assert not relative_difference(one, many, ALPHA, 100).known
    assert not relative_difference(Sample(0, math.nan, math.nan), many, ALPHA, 100).known


def test_no_ratio_to_something_that_may_be_zero() -> None:
    assert not relative_difference(Sample(50, 0.1, 4.0), Sample(50, 0.2, 4.0), ALPHA, 100).known
    assert not relative_difference(Sample(50, -1.0, 0.1), Sample(50, -2.0, 0.1), ALPHA, 100).known


def test_values_that_never_vary_have_an_interval_without_width() -> None:
    assert difference_sequence(Sample(9, 1.0, 0.0), Sample(9, 3.0, 0.0), ALPHA, 18) == (2.0, 2.0, 2.0)


def test_a_plan_without_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        mixing_rho(0.0, 100)
    with pytest.raises(ValueError, match="planned_n"):
        mixing_rho(0.05, 0)
