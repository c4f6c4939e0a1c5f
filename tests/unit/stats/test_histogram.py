from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.stats.histogram import GROWTH, merge, quantile


def bucket_of(milliseconds: float) -> int:
    """As the fold of the traces puts them."""
    return math.floor(math.log(milliseconds) / math.log(GROWTH))


latencies = st.lists(st.floats(1, 1e7), min_size=1, max_size=200)


@given(latencies, st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_2_1_percent_of_the_true_value(values: list[float], q: float) -> None:
    true = sorted(values)[max(1, math.ceil(q * len(values) - 1e-9)) - 1]
    assert quantile(Counter(map(bucket_of, values)), q) == pytest.approx(true, rel=0.021)


@given(st.lists(latencies, max_size=5))
def test_merged_histograms_are_the_histogram_of_all(parts: list[list[float]]) -> None:
    merged = merge([Counter(map(bucket_of, values)) for values in parts])
    assert merged == Counter(bucket_of(value) for values in parts for value in values)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert math.isnan(quantile({}, 0.5))
    with pytest.raises(ValueError, match="95"):
        quantile({1: 1}, 95)
