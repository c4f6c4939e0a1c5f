"""Exact one-sided bounds and tests of shares, and the decision over a family of tests.

All tests are one-sided: a rule asks whether something is worse than what is healthy. None of them
approximates, because the counts of a quiet agent are small.
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


def share_rose(k: int, n: int, k_before: int, n_before: int) -> float:
    """The p-value of "the share k of n is no higher than k_before of n_before"; 1 where a side is empty.

    Fisher's exact test, one-sided: the hypergeometric tail given all events. Its true size is never above
    the nominal one. The work grows with the square root of the counts.
    """
    _check(k, n)
    _check(k_before, n_before)
    if n == 0 or n_before == 0:
        return 1.0
    return _hypergeometric_tail(k, k + k_before, n, n + n_before)


def share_fell(k: int, n: int, k_before: int, n_before: int) -> float:
    """The p-value of "the share k of n is no lower than k_before of n_before": a rise of the rest."""
    return share_rose(n - k, n, n_before - k_before, n_before)


def survivors(p_values: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which hypotheses of the family are rejected, so that any false one has probability at most `alpha`.

    Holm (1979): the smallest p-value against alpha / m, the next against alpha / (m - 1), until one
    fails. Holds whatever the dependence between the tests. The answer is in the order given.
    """
    rejected = [False] * len(p_values)
    ordered = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(ordered):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return tuple(rejected)


def _hypergeometric_tail(k: int, marked: int, drawn: int, everything: int) -> float:
    """P(X >= k) for X = how many of `marked` are among `drawn` out of `everything`."""
    unmarked = everything - marked
    fewest, most = max(0, drawn - unmarked), min(marked, drawn)
    # Summed away from the mode, the terms only shrink: nothing underflows at the start, and few are needed.
    if k <= (marked + 1) * (drawn + 1) // (everything + 2):
        upwards, count, last = False, k - 1, fewest
    else:
        upwards, count, last = True, k, most
    if (count > last) if upwards else (count < last):
        return 0.0 if upwards else 1.0
    term = math.exp(_log_choose(marked, count) + _log_choose(unmarked, drawn - count) - _log_choose(everything, drawn))
    tail = term
    while count != last and term > tail * 1e-17:
        if upwards:
            term *= (marked - count) * (drawn - count) / ((count + 1) * (unmarked - drawn + count + 1))
            count += 1
        else:
            term *= count * (unmarked - drawn + count) / ((marked - count + 1) * (drawn - count + 1))
            count -= 1
        tail += term
    return min(1.0, tail) if upwards else max(0.0, 1.0 - tail)


def _log_choose(total: int, part: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(part + 1) - math.lgamma(total - part + 1)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share; count each session once")
