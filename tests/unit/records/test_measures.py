"""Measures of spans that add up."""

from __future__ import annotations

from optimizer.records.facts import NOTHING, Measure

CHEAP = Measure(n=2, total=-9.0, total_sq=41.0, largest=-4.0, samples=("a", "b"))


def test_a_span_without_sessions_changes_nothing_of_the_one_beside_it() -> None:
    """The logarithm of a cost below a dollar is negative: an empty span's largest is no value."""
    assert CHEAP + NOTHING == NOTHING + CHEAP == CHEAP
    assert NOTHING + NOTHING == NOTHING


def test_two_spans_add_up() -> None:
    dear = Measure(n=1, total=-1.0, total_sq=1.0, largest=-1.0, buckets={3: 1}, samples=("c",))
    whole = Measure(n=3, total=-10.0, total_sq=42.0, largest=-1.0, buckets={3: 1}, samples=("a", "b", "c"))
    assert CHEAP + dear == whole


def test_the_longest_repeat_is_kept_where_no_session_loops() -> None:
    assert (Measure(n=0, largest=2) + Measure(n=3, total=6, largest=1)).largest == 2
    assert (Measure(n=0, largest=1) + Measure(n=0, largest=2)).largest == 2
