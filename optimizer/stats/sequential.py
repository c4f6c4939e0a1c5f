"""Comparisons of two means that stay valid however often they are looked at.

Asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2023), "Time-uniform
central limit theory and asymptotic confidence sequences", arXiv 2103.06476. With probability 1 - alpha the
truth lies inside the intervals of all looks at once, so a person may look every day and stop at any time.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from optimizer.records.facts import Measure


class Sample(NamedTuple):
    """One side of a comparison."""

    n: int
    mean: float
    variance: float  # unbiased sample variance

    @classmethod
    def of(cls, measure: Measure) -> Self:
        return cls(measure.n, measure.mean, measure.variance)


class Interval(NamedTuple):
    """An estimate with its interval; infinite ends say that there is not enough data to tell."""

    low: float
    high: float
    estimate: float

    @property
    def known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0.0 or self.high < 0.0


def mixing_rho(alpha: float, planned_n: int) -> float:
    """The tuning that makes the interval tightest at `planned_n` observations of both sides together.

    Equation 161 of the paper: rho = sqrt((-2 ln alpha + ln(-2 ln alpha + 1)) / planned_n).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}; give a probability between 0 and 1")
    if planned_n < 1:
        raise ValueError(f"planned_n is {planned_n!r}; plan with at least one observation")
    wide = -2.0 * math.log(alpha)
    return math.sqrt((wide + math.log(wide + 1.0)) / planned_n)


def half_width(variance: float, n: int, alpha: float, planned_n: int) -> float:
    """Half the width at n observations of the given variance each.

    Equation 9 of the paper: sqrt(variance * 2 (n rho^2 + 1) / (n rho)^2 * ln(sqrt(n rho^2 + 1) / alpha)).
    """
    rho = mixing_rho(alpha, planned_n)
    spread = n * rho * rho + 1.0
    return math.sqrt(variance * 2.0 * spread / (n * rho) ** 2 * math.log(math.sqrt(spread) / alpha))


def difference_sequence(a: Sample, b: Sample, alpha: float, planned_n: int) -> Interval:
    """Mean of `b` less mean of `a`, in their unit, with its interval of level 1 - alpha.

    `planned_n` counts both sides. Two values on a side are needed for a variance; before that the
    interval is infinite. A variance of zero on both sides gives an interval without width.
    """
    if a.n < 2 or b.n < 2:
        return Interval(-math.inf, math.inf, b.mean - a.mean)
    return _interval(b.mean - a.mean, a.variance / a.n + b.variance / b.n, a.n + b.n, alpha, planned_n)


def relative_difference(a: Sample, b: Sample, alpha: float, planned_n: int) -> Interval:
    """(mean of b - mean of a) / mean of a, as a share: -0.295 says 29.5 % less. As `difference_sequence`.

    The variance of the ratio is that of its first-order expansion (delta method):
    var_b / (n_b mean_a^2) + var_a mean_b^2 / (n_a mean_a^4). Where the mean of `a` is not clearly above zero
    (its own interval holds zero) no ratio makes sense, and the interval is infinite.
    """
    if a.n < 2 or b.n < 2 or a.mean <= half_width(a.variance, a.n, alpha, max(1, planned_n // 2)):
        return Interval(-math.inf, math.inf, b.mean / a.mean - 1.0 if a.n and a.mean else math.nan)
    ratio = b.mean / a.mean
    variance = (b.variance / b.n + a.variance * ratio * ratio / a.n) / (a.mean * a.mean)
    return _interval(ratio - 1.0, variance, a.n + b.n, alpha, planned_n)


def _interval(estimate: float, variance: float, n: int, alpha: float, planned_n: int) -> Interval:
    half = half_width(variance * n, n, alpha, planned_n)
    return Interval(estimate - half, estimate + half, estimate)
