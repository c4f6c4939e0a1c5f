"""What a deployment did to live traffic, measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from optimizer.records.base import Record
from optimizer.records.facts import NOTHING, Labels, Measure, Measures


class Outcome(StrEnum):
    better = "better"
    worse = "worse"
    no_difference = "no_difference"
    not_enough_data = "not_enough_data"


class ToldBy(StrEnum):
    """How it is known which version a session ran under, the surest way first."""

    number = "number"  # the registry's
    hash = "hash"  # of the version's text
    composed = "composed"  # hash of the text with its includes
    label = "label"  # the version to which the named label pointed at that time
    first_seen = "first_seen"  # a name that nobody knew appeared after the deployment, and took over
    time = "time"  # not at all: what ran before is compared with what ran after

    def or_less_sure(self, other: ToldBy) -> ToldBy:
        order = list(ToldBy)
        return max(self, other, key=order.index)


@dataclass(frozen=True)
class Told:
    """The measures of one span, split by the prompt versions that were told apart, and how each was."""

    measures: Measures
    by: Mapping[str, ToldBy] = field(default_factory=dict[str, ToldBy])  # "name@version" -> the least sure way

    @classmethod
    def merged(cls, parts: Iterable[Told]) -> Told:
        """Spans that follow each other as one."""
        rows: dict[tuple[str, Labels], Measure] = {}
        by: dict[str, ToldBy] = {}
        for part in parts:
            for row, measure in part.measures.rows.items():
                rows[row] = rows.get(row, NOTHING) + measure
            for version, told_by in part.by.items():
                by[version] = told_by.or_less_sure(by.get(version, told_by))
        return cls(Measures(rows), by)


class Comparison(Record):
    """One metric before and after: means per session under the old and the new version."""

    metric: str  # "cost_usd", "success", "errors"
    outcome: Outcome
    before: float | None  # None: no session carried it
    after: float | None
    n_before: int
    n_after: int
    change: float | None = None  # relative for cost (-0.295), in points for shares (0.04)
    low: float | None = None
    high: float | None = None


class Verdict(Record):
    """All comparisons of one deployment; its outcome is the worst word that is sure, else the best."""

    deployment_id: UUID
    prompt: str
    base_version: int
    new_version: int
    sessions_before: int
    sessions_after: int
    comparisons: tuple[Comparison, ...]
    outcome: Outcome
    told_by: ToldBy = ToldBy.number  # of both sides, the less sure one
    sessions_in_all: int = 0  # in both spans, under whatever version
    sessions_unknown: int = 0  # of these: named no version of the prompt that is known, and are left out

    @property
    def seen(self) -> bool:
        """Whether the new version was seen in traffic; what is told by time alone shows no version."""
        return self.sessions_after > 0 and self.told_by is not ToldBy.time

    def says_other_than(self, earlier: Verdict) -> bool:
        """Whether it is worth telling after the earlier one: another word, or versions by now and only time then."""
        return self.outcome is not earlier.outcome or (self.told_by is ToldBy.time) is not (
            earlier.told_by is ToldBy.time
        )
