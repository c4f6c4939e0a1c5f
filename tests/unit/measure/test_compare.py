"""What a deployment did to live traffic, and when nobody can tell."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from optimizer.measure.compare import (
    compare,
    compare_by_time,
    newest_of_each_prompt,
    span_of_its_own,
    told_apart,
    version_that_ran,
)
from optimizer.records.deployment import Deployment
from optimizer.records.facts import Measure, Measures, labels_of
from optimizer.records.states import DeploymentState
from optimizer.records.verdict import Comparison, Outcome, Told, ToldBy, Verdict
from tests.builders import NOON

OLD, NEW = labels_of(prompt_version="system@3"), labels_of(prompt_version="system@4")
DEPLOYMENT = Deployment(
    id=uuid4(),
    agent="a",
    session_id=None,
    batch_id=uuid4(),
    ordinal=0,
    prompt="system",
    label="prod",
    follow="label",
    state=DeploymentState.live,
    revision=1,
    items=(),
    actor="console:dana",
    base_version=3,
    base_sha256="0" * 64,
    text="x",
    sha256="1" * 64,
    new_version=4,
    reason=None,
    planned_at=NOON,
    live_at=NOON,
    seen_at=None,
    ended_at=None,
    verdict=None,
    rollback=None,
    worker=None,
    lease_until=None,
    steps=(),
)


def measure(values: Iterable[float]) -> Measure:
    values = list(values)
    return Measure(n=len(values), total=sum(values), total_sq=sum(value * value for value in values))


class Day:
    """Traffic of one version: cost around a mean, shares of success and of sessions with errors."""

    def __init__(self, seed: int, n: int, *, cost: float = 0.04, success: float = 0.8, errors: float = 0.2) -> None:
        source = random.Random(seed)
        self.costs = [source.lognormvariate(0, 0.6) * cost for _ in range(n)]
        self.successes = [float(source.random() < success) for _ in range(n)]
        self.errors = sum(source.random() < errors for _ in range(n))
        self.n = n

    def measures(self, labels: tuple[tuple[str, str], ...]) -> Measures:
        return Measures(
            {
                ("sessions", labels): Measure(n=self.n),
                ("cost_usd", labels): measure(self.costs),
                ("success", labels): measure(self.successes),
                ("tool.errors", labels): Measure(n=self.errors, total=2.0 * self.errors),
            }
        )


def told(measures: Measures, by: ToldBy = ToldBy.number) -> Told:
    """Every version in these measures is a known one."""
    return Told(measures, dict.fromkeys(measures.by("sessions", "prompt_version"), by))


def verdict(before: Day, after: Day) -> Verdict:
    return compare(DEPLOYMENT, told(before.measures(OLD)), told(after.measures(NEW)))


def metric(of: Verdict, name: str) -> Comparison:
    return next(one for one in of.comparisons if one.metric == name)


@pytest.mark.parametrize(
    ("name", "change", "outcome"),
    [
        ("cost_usd", {"cost": 0.025}, Outcome.better),
        ("cost_usd", {"cost": 0.06}, Outcome.worse),
        ("success", {"success": 0.97}, Outcome.better),
        ("success", {"success": 0.55}, Outcome.worse),
        ("errors", {"errors": 0.02}, Outcome.better),
        ("errors", {"errors": 0.45}, Outcome.worse),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_what_was_planted_is_found(name: str, change: dict[str, float], outcome: Outcome, seed: int) -> None:
    found = verdict(Day(seed, 600), Day(seed + 100, 600, **change))
    assert metric(found, name).outcome is outcome
    assert found.outcome is outcome


def test_numbers_are_those_of_the_sessions() -> None:
    found = verdict(Day(1, 300), Day(2, 200, cost=0.02))
    cost = metric(found, "cost_usd")
    assert cost.before is not None
    assert cost.after is not None
    assert cost.change == pytest.approx(cost.after / cost.before - 1)
    assert cost.low is not None
    assert cost.high is not None
    assert cost.change is not None
    assert cost.low < cost.change < cost.high < 0
    assert (found.sessions_before, found.sessions_after) == (300, 200)
    assert (found.base_version, found.new_version, found.prompt) == (3, 4, "system")
    success = metric(found, "success")
    assert success.before == pytest.approx(sum(Day(1, 300).successes) / 300)


@pytest.mark.parametrize(("n_before", "n_after"), [(0, 0), (600, 0), (600, 49), (49, 600)])
def test_too_few_sessions_say_nothing(n_before: int, n_after: int) -> None:
    found = verdict(Day(1, n_before), Day(2, n_after, cost=4.0, success=0.0, errors=1.0))
    assert found.outcome is Outcome.not_enough_data
    assert {one.outcome for one in found.comparisons} <= {Outcome.not_enough_data}
    assert all(one.change is None and one.low is None for one in found.comparisons)


def test_sessions_of_other_versions_do_not_count() -> None:
    other = labels_of(prompt_version="playbooks@4")
    found = compare(DEPLOYMENT, told(Day(1, 600).measures(OLD)), told(Day(2, 600, cost=9.0).measures(other)))
    assert found.sessions_after == 0
    assert found.outcome is Outcome.not_enough_data


def test_a_metric_that_no_session_carries_is_left_out() -> None:
    bare = Measures({("sessions", OLD): Measure(n=600), ("sessions", NEW): Measure(n=600)})
    found = compare(DEPLOYMENT, told(bare), told(bare))
    assert [one.metric for one in found.comparisons] == ["errors"]
    assert found.outcome is Outcome.no_difference  # not one error on either side


def test_worse_in_one_thing_is_worse() -> None:
    found = verdict(Day(1, 600), Day(2, 600, cost=0.02, success=0.5))
    assert metric(found, "cost_usd").outcome is Outcome.better
    assert found.outcome is Outcome.worse


def looked_at_daily(seed: int, days: Sequence[int]) -> set[Outcome]:
    """The words of one deployment that did nothing, looked at after each day."""
    before = Day(seed, 600)
    after = Day(seed + 50_000, days[-1])
    found: set[Outcome] = set()
    for n in days:
        part = Day(0, 0)
        part.n, part.costs, part.successes = n, after.costs[:n], after.successes[:n]
        part.errors = round(after.errors * n / days[-1])
        found.add(verdict(before, part).outcome)
    return found


def test_a_deployment_that_did_nothing_is_quiet_however_often_it_is_looked_at() -> None:
    looks = [looked_at_daily(seed, range(60, 1260, 120)) for seed in range(120)]
    loud = sum(bool(found & {Outcome.better, Outcome.worse}) for found in looks)
    assert loud <= 6  # 5 % of 120


def sessions(**versions: int) -> Measures:
    return Measures(
        {
            ("sessions", labels_of(prompt_version=f"system@{version.removeprefix('v')}")): Measure(n=n, total=float(n))
            for version, n in versions.items()
        }
    )


def test_two_deployments_before_any_traffic_are_compared_with_what_ran_before_both():
    second = DEPLOYMENT.model_copy(update={"id": uuid4(), "base_version": 4, "new_version": 5})
    both = (second, DEPLOYMENT)
    assert newest_of_each_prompt(both) == (second,)
    assert version_that_ran(second, both, sessions(v3=300)) == 3
    assert version_that_ran(second, both, sessions(v3=300, v4=12)) == 4
    assert version_that_ran(DEPLOYMENT, both, sessions(v3=300)) == 3
    verdict = compare(second, told(sessions(v3=300)), told(sessions(v5=40)), 3)
    assert (verdict.base_version, verdict.sessions_before, verdict.sessions_after) == (3, 300, 40)


def test_a_deployment_that_was_taken_back_is_not_what_runs_now():
    second = DEPLOYMENT.model_copy(update={"id": uuid4(), "new_version": 5, "state": DeploymentState.rolled_back})
    assert newest_of_each_prompt((second, DEPLOYMENT)) == (DEPLOYMENT,)


def test_versions_that_never_ran_end_the_search():
    assert version_that_ran(DEPLOYMENT, (DEPLOYMENT,), sessions()) == 3


def in_all(n: int, measures: Measures) -> Measures:
    """The measures of a span that held so many sessions."""
    return Measures({**measures.rows, ("sessions", ()): Measure(n=n, total=float(n))})


def test_sessions_that_name_no_known_version_are_counted_and_left_out():
    before = Told(in_all(400, sessions(v3=300, v2=60)), {"system@3": ToldBy.number, "system@2": ToldBy.hash})
    strays = {("sessions", labels_of(prompt_version="playbooks@4")): Measure(n=100, total=100.0)}
    after = Told(
        in_all(100, Measures({**sessions(v4=70, v77=20).rows, **strays})),
        {"system@4": ToldBy.hash, "playbooks@4": ToldBy.number},
    )
    found = compare(DEPLOYMENT, before, after)
    assert (found.sessions_before, found.sessions_after) == (300, 70)
    assert (found.sessions_unknown, found.sessions_in_all) == (40 + 30, 500)
    assert found.told_by is ToldBy.hash
    assert found.seen


def test_the_less_sure_side_says_how_the_versions_were_told():
    old, new = told(sessions(v3=60), ToldBy.first_seen), told(sessions(v4=60), ToldBy.label)
    assert compare(DEPLOYMENT, old, new).told_by is ToldBy.first_seen
    assert compare(DEPLOYMENT, told(sessions()), new).told_by is ToldBy.label


def test_only_time_tells_where_no_session_names_a_known_version():
    assert told_apart(DEPLOYMENT, told(sessions(v3=5)))  # still on the old one: nothing to guess
    assert told_apart(DEPLOYMENT, Told(Measures({})))  # no traffic at all
    assert not told_apart(DEPLOYMENT, Told(in_all(40, sessions(v77=40))))
    other = Told(in_all(40, sessions()), {"playbooks@2": ToldBy.number})
    assert not told_apart(DEPLOYMENT, other)


def test_by_time_all_sessions_before_are_compared_with_all_after():
    found = compare_by_time(DEPLOYMENT, Day(1, 600).measures(()), Day(2, 600, success=0.5).measures(()))
    assert (found.told_by, found.outcome) == (ToldBy.time, Outcome.worse)
    assert (found.sessions_before, found.sessions_after) == (600, 600)
    assert (found.sessions_unknown, found.sessions_in_all) == (1200, 1200)
    assert not found.seen
    by_name = verdict(Day(1, 600), Day(2, 600, success=0.5))
    assert by_name.says_other_than(found)
    assert not by_name.says_other_than(by_name)


def test_by_time_nothing_else_that_was_deployed_lies_in_the_span():
    def other(**changes: object) -> Deployment:
        return DEPLOYMENT.model_copy(update={"id": uuid4(), "batch_id": uuid4(), "prompt": "playbooks", **changes})

    day = timedelta(days=1)
    since, until = NOON - 30 * day, NOON + 9 * day
    assert span_of_its_own(DEPLOYMENT, [DEPLOYMENT], since, until) == (since, until)
    earlier, later = other(live_at=NOON - 4 * day), other(live_at=NOON + 3 * day)
    assert span_of_its_own(DEPLOYMENT, [later, DEPLOYMENT, earlier], since, until) == (NOON - 4 * day, NOON + 3 * day)
    back = other(live_at=NOON - 4 * day, ended_at=NOON - day, state=DeploymentState.rolled_back)
    assert span_of_its_own(DEPLOYMENT, [back], since, until) == (NOON - day, until)
    beside = other(batch_id=DEPLOYMENT.batch_id, live_at=NOON + day)
    halted = other(live_at=None, ended_at=NOON - day, state=DeploymentState.halted)
    assert span_of_its_own(DEPLOYMENT, [beside, halted], since, until) == (since, until)
