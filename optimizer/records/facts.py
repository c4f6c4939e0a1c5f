"""Measures (what rollups add up) and facts (what a run says about them)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.records.base import Record

Labels = tuple[tuple[str, str], ...]


def labels_of(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))


class Fact(Record):
    """One measured number with an id that findings cite."""

    id: str  # "F12", in the order of the session's list
    name: str  # "tool.error_rate"
    labels: dict[str, str]  # {"tool": "book_reservation"}; {} for a plain fact
    value: float
    n: int | None  # how many sessions, calls or results stand behind it
    baseline: float | None = None  # the same number over the comparison window
    samples: tuple[str, ...] = ()  # session ids to look at


@dataclass(frozen=True, slots=True)
class Measure:
    """Sums of one quantity under one set of labels over some span; two spans add up."""

    n: int = 0  # sessions that carry the quantity (results, for latencies)
    total: float = 0.0
    total_sq: float = 0.0
    largest: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict[int, int])  # histogram: bucket -> count
    samples: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Unbiased sample variance; NaN below two values."""
        if self.n < 2:
            return math.nan
        return max(0.0, (self.total_sq - self.total * self.total / self.n) / (self.n - 1))

    def __add__(self, other: Measure) -> Measure:
        # Nothing has no largest value: its 0 would beat negative ones. (Without any session that carries it, `loop`
        # still knows the longest repeat.)
        if NOTHING in (self, other):
            return self if other == NOTHING else other
        buckets = dict(self.buckets)
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
        return Measure(
            n=self.n + other.n,
            total=self.total + other.total,
            total_sq=self.total_sq + other.total_sq,
            largest=max(self.largest, other.largest),
            buckets=buckets,
            samples=(self.samples + other.samples)[:5],
        )


NOTHING = Measure()


@dataclass(frozen=True)
class Measures:
    """All measures of one window, by name and labels."""

    rows: Mapping[tuple[str, Labels], Measure]

    def get(self, name: str, **labels: str) -> Measure:
        """The measure, or an empty one: what was never seen counts zero."""
        return self.rows.get((name, labels_of(**labels)), NOTHING)

    def by(self, name: str, label: str) -> dict[str, Measure]:
        """The measures of `name` that carry exactly one label, `label`: its value -> measure, sorted."""
        return {
            labels[0][1]: measure
            for (row_name, labels), measure in sorted(self.rows.items(), key=lambda row: row[0])
            if row_name == name and len(labels) == 1 and labels[0][0] == label
        }

    def named(self, name: str) -> Iterator[tuple[dict[str, str], Measure]]:
        """Every measure of this name with its labels, sorted by them."""
        for (row_name, labels), measure in sorted(self.rows.items(), key=lambda row: row[0]):
            if row_name == name:
                yield dict(labels), measure

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Measures:
        """From the rollups: objects with name, labels, n, total, total_sq, largest, buckets, samples."""
        return cls(
            {
                (row["name"], tuple(sorted(row["labels"].items()))): Measure(
                    n=row["n"],
                    total=row["total"],
                    total_sq=row["total_sq"],
                    largest=row["largest"],
                    buckets=_buckets(row["buckets"]),
                    samples=tuple(row["samples"] or ()),
                )
                for row in rows
            }
        )


def _buckets(counts: Mapping[str, int] | None) -> dict[int, int]:
    """JSON has no numbers for keys."""
    return {int(bucket): count for bucket, count in (counts or {}).items()}
