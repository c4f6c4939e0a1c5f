"""Exact one-sided bounds and tests of shares and counts, and the decision over a family of tests.

All tests are one-sided: a rule asks whether something is worse than what is healthy. Those of shares do not
approximate, because the counts of a quiet agent are small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from optimizer.stats import special


def lower_bound(k: int, n: int, alpha: float) -> float:
    """The share below which the truth lies with probability at most `alpha`, given k of n.

    Clopper and Pearson (1934), one-sided: the alpha quantile of Beta(k, n - k + 1).
    """
    _check(k, n)
    if k == 0:
        return 0.0
    return special.betaincinv(k, n - k + 1, alpha)


def binomial_tail(k: int, n: int, p0: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p0): the exact p-value of "the share is at most p0".

    P(X >= k) = I_p0(k, n - k + 1), the regularised incomplete beta function.
    """
    _check(k, n)
    if k == 0:
        return 1.0
    return special.betainc(k, n - k + 1, p0)


def share_rose(k: int, n: int, k_before: int, n_before: int, odds_ratio: float = 1.0) -> float:
    """The p-value of "the odds of k in n are at most `odds_ratio` times those of k_before in n_before".

    1 where a side is empty. Fisher's exact test, one-sided: the tail of the hypergeometric distribution given
    all events; at other odds than 1, of Fisher's noncentral one (Fisher 1935). Its true size is never above
    the nominal one. The work grows with the distance from what is expected.
    """
    _check(k, n)
    _check(k_before, n_before)
    if n == 0 or n_before == 0:
        return 1.0
    return _hypergeometric_tail(k, k + k_before, n, n + n_before, odds_ratio)


def share_fell(k: int, n: int, k_before: int, n_before: int) -> float:
    """The p-value of "the share k of n is no lower than k_before of n_before": a rise of the rest."""
    return share_rose(n - k, n, n_before - k_before, n_before)


def odds_of_margin(k: int, n: int, margin: float) -> float:
    """The odds ratio that a rise of the share k of n by `margin` (0.03 for three points) makes.

    The share is estimated as (k + 1/2) / (n + 1), so that one that was never seen has odds, too.
    """
    _check(k, n)
    share = (k + 0.5) / (n + 1)
    raised = max(share, min(share + margin, 1.0 - 0.5 / (n + 1)))
    return raised / (1.0 - raised) / (share / (1.0 - share))


def count_fell(count: float, count_before: float, periods_before: float, dispersion: float = 1.0) -> float:
    """The p-value of "a period brings no fewer than each of the `periods_before` periods before it did".

    Given the sum of two Poisson counts, one of them is binomial (Przyborowski and Wilenski 1940), so that what
    the expectation rests on counts as well. Counts that scatter more than Poisson's are divided by their
    `dispersion` (variance by mean: quasi-Poisson) first. 1 where nothing came before.
    """
    if dispersion < 1.0:
        raise ValueError(f"a dispersion of {dispersion!r} is less than chance; give at least 1")
    if count_before <= 0:
        return 1.0
    now, before = count / dispersion, count_before / dispersion
    return special.betainc(before, now + 1.0, periods_before / (1.0 + periods_before))


def survivors(p_values: Sequence[float], alpha: float, weights: Sequence[float] | None = None) -> tuple[bool, ...]:
    """Which hypotheses of the family are rejected, so that any false one has probability at most `alpha`.

    Holm (1979), in its weighted form: the smallest p-value by weight against its part of alpha, the next
    against its part of what the rest share, until one fails. Holds whatever the dependence between the tests,
    for weights that do not depend on the p-values. The answer is in the order given.
    """
    parts = [1.0] * len(p_values) if weights is None else list(weights)
    rejected = [False] * len(p_values)
    ordered = sorted(range(len(p_values)), key=lambda index: p_values[index] / parts[index])
    for place, index in enumerate(ordered):
        if p_values[index] > alpha * parts[index] / math.fsum(parts[other] for other in ordered[place:]):
            break
        rejected[index] = True
    return tuple(rejected)


def _hypergeometric_tail(k: int, marked: int, drawn: int, everything: int, odds_ratio: float) -> float:
    """P(X >= k) for X = how many of `marked` are among `drawn` out of `everything`, at these odds."""
    spare = everything - marked - drawn
    fewest, most = max(0, -spare), min(marked, drawn)

    def step(count: int) -> float:
        """P(X = count) / P(X = count - 1), which falls as the count rises."""
        return odds_ratio * (marked - count + 1) * (drawn - count + 1) / (count * (spare + count))

    mode, beyond = fewest, most + 1  # the mode is the last count that is no less likely than the one before
    while beyond - mode > 1:
        middle = (mode + beyond) // 2
        mode, beyond = (middle, beyond) if step(middle) >= 1.0 else (mode, middle)
    # Relative to the mode, and summed away from it: nothing underflows at the start, and few terms are needed.
    at_or_above, total = (1.0, 1.0) if k <= mode else (0.0, 1.0)
    term, count = 1.0, mode
    while count < most and (count < k or term > total * 1e-18) and term > 0.0:
        count += 1
        term *= step(count)
        total += term
        at_or_above += term if count >= k else 0.0
    below = 0.0
    term, count = 1.0, mode
    while count > fewest and term > total * 1e-18:
        term /= step(count)
        count -= 1
        total += term
        below += term if count < k else 0.0
    return at_or_above / total if k > mode else max(0.0, 1.0 - below / total)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share; count each session once")
