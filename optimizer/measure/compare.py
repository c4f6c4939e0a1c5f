"""The comparison of two prompt versions, valid however often it is looked at. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from optimizer.records.deployment import Deployment
from optimizer.records.facts import NOTHING, Measure, Measures
from optimizer.records.verdict import Comparison, Outcome, Told, ToldBy, Verdict
from optimizer.stats.sequential import Interval, Sample, difference_sequence, relative_difference

SESSIONS_MIN = 50  # on each side: below this the intervals are not to be trusted
PLANNED_SESSIONS = 1000  # where the intervals are tightest, both sides together
ALPHA = 0.05 / 3  # three metrics share 5 %

Sides = Callable[[str], tuple[Measure, Measure]]  # a measure before and after

_BETTER_IS_LOWER = {"cost_usd": True, "success": False, "errors": True}


def newest_of_each_prompt(deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """Of deployments that stand, newest first: for each prompt the one that traffic runs under now."""
    newest: dict[str, Deployment] = {}
    for deployment in deployments:
        if deployment.stands:
            newest.setdefault(deployment.prompt, deployment)
    return tuple(newest.values())


def version_that_ran(deployment: Deployment, deployments: Sequence[Deployment], before: Measures) -> int:
    """The version to compare with: the base, or, where no session ever ran under it, the one before that."""
    came_from = {
        one.new_version: one.base_version
        for one in reversed(deployments)
        if one.prompt == deployment.prompt
        and one.id != deployment.id
        and one.new_version is not None
        and one.kind != "to_version"
    }
    version = deployment.base_version
    for _ in came_from:
        ran = before.get("sessions", prompt_version=f"{deployment.prompt}@{version}").n
        if ran or version not in came_from:
            break
        version = came_from[version]
    return version


def span_of_its_own(
    deployment: Deployment, deployments: Sequence[Deployment], since: datetime, until: datetime
) -> tuple[datetime, datetime]:
    """The part of [since, until) in which nothing but this deployment's batch changed what the agent runs."""
    assert deployment.live_at is not None
    changes = [
        at
        for one in deployments
        if one.batch_id != deployment.batch_id and one.live_at is not None
        for at in (one.live_at, one.ended_at)
        if at is not None
    ]
    before = [at for at in changes if at < deployment.live_at]
    after = [at for at in changes if at > deployment.live_at]
    return max([since, *before]), min([until, *after])


def told_apart(deployment: Deployment, after: Told) -> bool:
    """Whether some session after it names a version of the prompt that is known; else only time tells."""
    return _known(deployment.prompt, after) > 0 or not after.measures.get("sessions").n


def compare(deployment: Deployment, before: Told, after: Told, base_version: int | None = None) -> Verdict:
    """The sessions under the old version before, and those under the new one after.

    `base_version` is the version to compare with, where it is not the deployment's own base. Sessions that name no
    known version of the prompt are on neither side; they are counted.
    """
    compared = deployment.base_version if base_version is None else base_version
    old, new = (f"{deployment.prompt}@{version}" for version in (compared, deployment.new_version))
    told_by = before.by.get(old, ToldBy.number).or_less_sure(after.by.get(new, ToldBy.number))

    def sides(name: str) -> tuple[Measure, Measure]:
        return before.measures.get(name, prompt_version=old), after.measures.get(name, prompt_version=new)

    spans = [(told, told.measures.get("sessions").n) for told in (before, after)]
    return _verdict(deployment, compared, sides, told_by).model_copy(
        update={
            "sessions_in_all": sum(n for _, n in spans),
            "sessions_unknown": sum(max(0, n - _known(deployment.prompt, told)) for told, n in spans),
        }
    )


def compare_by_time(deployment: Deployment, before: Measures, after: Measures) -> Verdict:
    """All sessions before and all after it, where traces name no version that is known: whatever else changed
    at that time is in the difference."""
    verdict = _verdict(
        deployment, deployment.base_version, lambda name: (before.get(name), after.get(name)), ToldBy.time
    )
    in_all = verdict.sessions_before + verdict.sessions_after
    return verdict.model_copy(update={"sessions_in_all": in_all, "sessions_unknown": in_all})


def _known(prompt: str, told: Told) -> int:
    """How many sessions name a known version of the prompt; one that names two counts twice."""
    versions = (version for version in told.by if version.rpartition("@")[0] == prompt)
    return sum(told.measures.get("sessions", prompt_version=version).n for version in versions)


def _verdict(deployment: Deployment, compared: int, sides: Sides, told_by: ToldBy) -> Verdict:
    assert deployment.new_version is not None  # live: the state machine says so
    sessions = sides("sessions")
    errors = tuple(_share(measure.n, whole.n) for measure, whole in zip(sides("tool.errors"), sessions, strict=True))
    comparisons = (
        _comparison("cost_usd", *sides("cost_usd"), relative=True),
        _comparison("success", *(_share(round(side.total), side.n) for side in sides("success"))),
        _comparison("errors", *errors),
    )
    return Verdict(
        deployment_id=deployment.id,
        prompt=deployment.prompt,
        base_version=compared,
        new_version=deployment.new_version,
        sessions_before=sessions[0].n,
        sessions_after=sessions[1].n,
        comparisons=tuple(one for one in comparisons if one.before is not None or one.after is not None),
        outcome=_outcome([one.outcome for one in comparisons]),
        told_by=told_by,
    )


def _share(k: int, n: int) -> Measure:
    """A yes-or-no quantity as a measure: the squares of zeros and ones are themselves."""
    return Measure(n=n, total=float(k), total_sq=float(k)) if n else NOTHING


def _comparison(metric: str, before: Measure, after: Measure, *, relative: bool = False) -> Comparison:
    interval: Interval | None = None
    outcome = Outcome.not_enough_data
    if before.n >= SESSIONS_MIN and after.n >= SESSIONS_MIN:
        sequence = relative_difference if relative else difference_sequence
        interval = sequence(Sample.of(before), Sample.of(after), ALPHA, PLANNED_SESSIONS)
        if interval.known:
            outcome = _judge(interval, lower_is_better=_BETTER_IS_LOWER[metric])
    known = interval is not None and interval.known
    return Comparison(
        metric=metric,
        outcome=outcome,
        before=_mean(before),
        after=_mean(after),
        n_before=before.n,
        n_after=after.n,
        change=interval.estimate if interval is not None and known else None,
        low=interval.low if interval is not None and known else None,
        high=interval.high if interval is not None and known else None,
    )


def _judge(interval: Interval, *, lower_is_better: bool) -> Outcome:
    if not interval.excludes_zero:
        return Outcome.no_difference
    return Outcome.better if (interval.high < 0) == lower_is_better else Outcome.worse


def _outcome(outcomes: list[Outcome]) -> Outcome:
    """The worst word that is sure; else the best."""
    for word in (Outcome.worse, Outcome.better, Outcome.no_difference):
        if word in outcomes:
            return word
    return Outcome.not_enough_data


def _mean(measure: Measure) -> float | None:
    return None if math.isnan(measure.mean) else measure.mean
