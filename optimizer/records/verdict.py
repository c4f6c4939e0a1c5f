"""What a deployment did to live traffic, measured."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from optimizer.records.base import Record


class Outcome(StrEnum):
    better = "better"
    worse = "worse"
    no_difference = "no_difference"
    not_enough_data = "not_enough_data"


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
