"""One-sided tests of means and of one value against a series, from sums alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from optimizer.stats import special
from optimizer.stats.sequential import Sample

SERIES_MIN = 3


def mean_rose(now: Sample, before: Sample, allowed: float = 0.0) -> float:
    """The p-value of "the mean of `now` is at most `allowed` above that of `before`"; 1 below two values a side.

    Welch (1947): t = (difference - allowed) / sqrt(v1 / n1 + v2 / n2), with the degrees of freedom of
    Welch and Satterthwaite, (v1 / n1 + v2 / n2)^2 / ((v1 / n1)^2 / (n1 - 1) + (v2 / n2)^2 / (n2 - 1)).
    On logarithms, `allowed` = ln 1.1 asks whether the typical value is more than a tenth higher. Values that
    are all the same on both sides leave no chance: 0 where they are higher by more than that.
    """
    if now.n < 2 or before.n < 2:
        return 1.0
    excess = now.mean - before.mean - allowed
    own, other = now.variance / now.n, before.variance / before.n
    if own + other <= 1e-18 * (1.0 + now.mean * now.mean):  # sums of squares leave a rest of rounding
        return 0.0 if excess > 1e-9 else 1.0
    freedom = (own + other) ** 2 / (own * own / (now.n - 1) + other * other / (before.n - 1))
    return special.student_tail(excess / math.sqrt(own + other), freedom)


def outlier_tail(value: float, series: Sequence[float]) -> float:
    """The p-value of "`value` comes from the normal distribution that the series came from"; 1 below three.

    The prediction interval for one more observation: t = (value - mean) / (s sqrt(1 + 1 / n)), n - 1 degrees
    of freedom (Hahn 1969). A series that never changed leaves no chance.
    """
    n = len(series)
    if n < SERIES_MIN:
        return 1.0
    excess = value - statistics.fmean(series)
    spread = statistics.stdev(series)
    if spread <= 1e-12:
        return 0.0 if excess > 1e-9 else 1.0
    return special.student_tail(excess / (spread * math.sqrt(1.0 + 1.0 / n)), n - 1)


def not_inferior(k: int, n: int, k_reference: int, n_reference: int, margin: float) -> float:
    """The p-value of "the share k of n is lower than k_reference of n_reference by `margin` or more".

    Farrington and Manning (1990): the difference plus the margin, by its standard error at the maximum
    likelihood estimates under a difference of exactly -margin (the closed form is that of Miettinen and
    Nurminen 1985). For large counts; 1 where a side is empty.
    """
    if not 0.0 < margin < 1.0:
        raise ValueError(f"a margin of {margin!r} is no difference of shares; give one between 0 and 1")
    if n == 0 or n_reference == 0:
        return 1.0
    share, reference = k / n, k_reference / n_reference
    low, high = _shares_apart(share, reference, n_reference / n, margin)
    variance = low * (1.0 - low) / n + high * (1.0 - high) / n_reference
    excess = share - reference + margin
    if variance <= 0.0:
        return 0.0 if excess > 0.0 else 1.0
    return special.normal_tail(excess / math.sqrt(variance))


def _shares_apart(share: float, reference: float, theta: float, margin: float) -> tuple[float, float]:
    """The most likely two shares whose difference is exactly -margin: the root of the likelihood's cubic."""
    a = 1.0 + theta
    b = -(1.0 + theta + share + theta * reference - margin * (theta + 2.0))
    c = margin * margin - margin * (2.0 * share + theta + 1.0) + share + theta * reference
    d = share * margin * (1.0 - margin)
    v = b**3 / (27.0 * a**3) - b * c / (6.0 * a * a) + d / (2.0 * a)
    u = math.copysign(math.sqrt(max(0.0, b * b / (9.0 * a * a) - c / (3.0 * a))), v)
    ratio = v / u**3 if u else 0.0
    w = (math.pi + math.acos(max(-1.0, min(1.0, ratio)))) / 3.0
    low = min(max(2.0 * u * math.cos(w) - b / (3.0 * a), 0.0), 1.0 - margin)
    return low, low + margin
