"""A cheaper model that does the same kind of task as well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.diagnose.evidence import Evidence, looks, shown, worth_an_item
from optimizer.diagnose.rule import RuleOutcome, Thresholds
from optimizer.records.facts import Measure
from optimizer.records.findings import Finding, Goal, ItemType
from optimizer.records.snapshot import Snapshot
from optimizer.stats.means import mean_rose, not_inferior
from optimizer.stats.sequential import Sample
from optimizer.text.numbers import count, percent, usd


@dataclass(frozen=True)
class _Arm:
    """One model in one task category."""

    category: str
    model: str
    success: Measure
    cost: Measure
    cost_log: Measure

    @property
    def labels(self) -> dict[str, str]:
        return {"model": self.model, "task_category": self.category}


def cheaper_model(snapshot: Snapshot, thresholds: Thresholds) -> RuleOutcome:
    """In one task category a model costs clearly less than another and is not clearly worse.

    Both have to hold, so the larger of the two p-values counts (intersection-union test, Berger 1982). It is
    no emergency: only the longest look is tested, which has the most sessions.
    """
    evidence = looks(snapshot)[-1]
    tests = [
        evidence.test(
            f"cheaper_model:{dear.category}:{dear.model}",
            p_value,
            _finding(evidence, dear, cheap, thresholds)
            if worth_an_item(p_value, cheap.success.n, thresholds["rated_min"]) and cheap.cost.mean < dear.cost.mean
            else None,
        )
        for dear, cheap in _pairs(_arms(evidence, thresholds))
        for p_value in (_p_value(dear, cheap, thresholds),)
    ]
    return RuleOutcome(tests=tuple(tests))


def _arms(evidence: Evidence, thresholds: Thresholds) -> list[_Arm]:
    arms: list[_Arm] = []
    for labels, success in evidence.now.named("success"):
        if labels.keys() == {"model", "task_category"} and success.n >= thresholds["rated_min"]:
            cost, cost_log = (evidence.now.get(name, **labels) for name in ("cost_usd", "cost_usd_log"))
            if cost_log.n >= thresholds["rated_min"]:
                arms.append(_Arm(labels["task_category"], labels["model"], success, cost, cost_log))
    return arms


def _pairs(arms: list[_Arm]) -> Iterator[tuple[_Arm, _Arm]]:
    """Every two models of one category, both ways round; the largest saving first."""
    pairs = [(dear, cheap) for dear in arms for cheap in arms if dear.category == cheap.category and dear is not cheap]
    yield from sorted(pairs, key=lambda pair: -_saving(*pair))


def _p_value(dear: _Arm, cheap: _Arm, thresholds: Thresholds) -> float:
    as_good = not_inferior(
        round(cheap.success.total), cheap.success.n, round(dear.success.total), dear.success.n, thresholds["margin"]
    )
    cheaper = mean_rose(Sample.of(dear.cost_log), Sample.of(cheap.cost_log), -math.log(1.0 - thresholds["cheaper_by"]))
    return max(as_good, cheaper)


def _saving(dear: _Arm, cheap: _Arm) -> float:
    """Dollars over the look, had the cheap model done the dear one's sessions."""
    return dear.cost.n * (dear.cost.mean - cheap.cost.mean)


def _told(arm: _Arm) -> str:
    sessions = count(arm.success.n, "session")
    return f"{shown(arm.model)} succeeded in {percent(arm.success.mean)} of {sessions} at {usd(arm.cost.mean)} each"


def _finding(evidence: Evidence, dear: _Arm, cheap: _Arm, thresholds: Thresholds) -> Finding:
    daily = evidence.per_day(_saving(dear, cheap))
    less = 1.0 - cheap.cost.mean / dear.cost.mean
    category = shown(dear.category)
    return Finding(
        key=f"cheaper_model:{dear.category}:{dear.model}",
        rule="cheaper_model",
        goal=Goal.cost,
        title=(
            f"{shown(cheap.model)} does {category} about as well as {shown(dear.model)} for {percent(less)} less "
            f"(~{usd(daily)}/day)"
        ),
        detail=(
            f"In {category}, {_told(cheap)}, and {_told(dear)}{evidence.within}. Allowing for chance it is less than "
            f"{100 * thresholds['margin']:.0f} points worse and at least {percent(thresholds['cheaper_by'])} cheaper. "
            f"With it, {shown(dear.model)}'s sessions of {category} would cost ~{usd(daily)} a day less. Sessions were "
            "not assigned at random: the cheaper one may have had the easier ones, so move a part first."
        ),
        severity=daily,
        impact=evidence.tokens_of(daily),
        cites=tuple(
            fact
            for arm in (cheap, dear)
            for fact in (
                evidence.cite(
                    "success_rate", arm.success.mean, arm.success.n, samples=arm.success.samples, labels=arm.labels
                ),
                evidence.cite("cost_usd.mean", arm.cost.mean, arm.cost.n, labels=arm.labels),
            )
        ),
        by_hand=ItemType.config_change,
    )
