"""A histogram of latencies that merges by addition.

Bucket b holds the values from 1.04**b to 1.04**(b + 1) milliseconds; below 1 ms is bucket 0. A quantile is
the geometric middle of its bucket, so it is at most sqrt(1.04) - 1 = 1.98 % away from the value it stands for
(above 1 ms).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

GROWTH = 1.04


def middle_of(bucket: int) -> float:
    """The geometric middle of a bucket, in milliseconds."""
    return GROWTH ** (bucket + 0.5)


def quantile(buckets: Mapping[int, int], q: float) -> float:
    """The q-quantile in milliseconds; NaN if empty.

    It stands for the smallest value that has at least the share q of all values at or below it.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"{q!r} is no quantile; give a share between 0 and 1")
    n = sum(buckets.values())
    rank = max(1, math.ceil(q * n - 1e-9))  # 0.95 * 20 is a hair above 19
    reached = 0
    for bucket in sorted(buckets):
        reached += buckets[bucket]
        if reached >= rank:
            return middle_of(bucket)
    return math.nan


def merge(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """All of them added up."""
    merged: dict[int, int] = {}
    for buckets in histograms:
        for bucket, count in buckets.items():
            merged[bucket] = merged.get(bucket, 0) + count
    return merged
