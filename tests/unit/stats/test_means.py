from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from optimizer.stats.means import mean_rose, not_inferior, outlier_tail
from optimizer.stats.sequential import Sample

values = st.lists(st.floats(-100, 100, allow_nan=False), min_size=2, max_size=30).filter(
    lambda some: np.ptp(some) > 0.1
)


def sample(some: list[float]) -> Sample:
    return Sample(len(some), float(np.mean(some)), float(np.var(some, ddof=1)))


@given(values, values, st.floats(0, 5))
def test_a_rise_of_the_mean_is_judged_by_welchs_test(now: list[float], before: list[float], allowed: float) -> None:
    _, theirs = stats.ttest_ind(np.array(now) - allowed, before, equal_var=False, alternative="greater")
    assert mean_rose(sample(now), sample(before), allowed) == pytest.approx(theirs, rel=1e-6, abs=1e-12)


def test_a_mean_of_one_value_proves_nothing() -> None:
    assert mean_rose(Sample(1, 9.0, math.nan), Sample(50, 1.0, 0.1)) == 1.0
    assert mean_rose(Sample(50, 9.0, 0.1), Sample(0, math.nan, math.nan)) == 1.0


def test_values_that_never_change_leave_no_chance() -> None:
    steady = Sample(20, 2.0, 0.0)
    assert mean_rose(Sample(20, 2.5, 0.0), steady) == 0.0
    assert mean_rose(Sample(20, 2.5, 0.0), steady, allowed=0.5) == 1.0
    assert mean_rose(steady, steady) == 1.0


def test_one_value_more_is_held_against_the_prediction_interval() -> None:
    series = [10.0, 12.0, 11.0, 9.0, 13.0]
    # The upper 95 % prediction limit of five values: mean + t(0.95; 4) s sqrt(6 / 5).
    limit = 11.0 + 2.13185 * math.sqrt(2.5) * math.sqrt(1.2)
    assert outlier_tail(limit, series) == pytest.approx(0.05, abs=1e-5)
    assert outlier_tail(11.0, series) == pytest.approx(0.5)


def test_a_short_series_proves_nothing_and_a_steady_one_leaves_no_chance() -> None:
    assert outlier_tail(99.0, [1.0, 2.0]) == 1.0
    assert outlier_tail(1.5, [1.0, 1.0, 1.0]) == 0.0
    assert outlier_tail(1.0, [1.0, 1.0, 1.0]) == 1.0


counts = st.integers(20, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_variance_is_taken_at_the_most_likely_shares(
    cheap: tuple[int, int], dear: tuple[int, int], margin: float
) -> None:
    (k, n), (k_dear, n_dear) = cheap, dear

    def unlikeliness(share: float) -> float:
        return -float(stats.binom.logpmf(k, n, share) + stats.binom.logpmf(k_dear, n_dear, share + margin))

    edge = 1e-9
    low = optimize.minimize_scalar(
        unlikeliness, bounds=(edge, 1 - margin - edge), method="bounded", options={"xatol": 1e-10}
    ).x
    spread = math.sqrt(low * (1 - low) / n + (low + margin) * (1 - low - margin) / n_dear)
    theirs = stats.norm.sf((k / n - k_dear / n_dear + margin) / spread)
    assert not_inferior(k, n, k_dear, n_dear, margin) == pytest.approx(theirs, rel=0.01, abs=1e-4)


def test_as_good_is_shown_by_many_sessions_and_not_by_few() -> None:
    assert not_inferior(90, 100, 90, 100, 0.05) > 0.1
    assert not_inferior(1800, 2000, 1800, 2000, 0.05) < 1e-6
    assert not_inferior(1700, 2000, 1800, 2000, 0.05) == pytest.approx(0.5, abs=0.01)  # worse by the margin
    assert not_inferior(0, 0, 90, 100, 0.05) == 1.0
    with pytest.raises(ValueError, match="no difference of shares"):
        not_inferior(1, 2, 1, 2, 5.0)


@pytest.mark.parametrize(("n", "share"), [(200, 0.9), (500, 0.8)])
def test_a_model_that_is_worse_by_the_margin_is_seldom_called_as_good(n: int, share: float) -> None:
    rng = np.random.default_rng(n)
    cheap, dear = rng.binomial(n, share - 0.05, 3000), rng.binomial(n, share, 3000)
    called = sum(not_inferior(int(a), n, int(b), n, 0.05) <= 0.02 for a, b in zip(cheap, dear, strict=True))
    assert called <= 0.028 * 3000
