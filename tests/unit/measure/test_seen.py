"""Which deployment a prompt's traffic should run, and whether it does: from what sessions name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.measure.seen import (
    CACHES_LAST,
    NEW_SHARE_MAX,
    STILL_OLD_SESSIONS,
    Change,
    Traffic,
    last_changes,
    spans_since,
    traffic_of,
)
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState
from optimizer.records.watched import Named, Span
from optimizer.records.window import Window
from tests.unit.cards.samples import NOW, deployment, uuid

HOUR = timedelta(hours=1)


def one(n: int, state: DeploymentState = DeploymentState.live, hours_ago: float = 1, **changes: Any) -> Deployment:
    """The n-th deployment: version n + 1 over version n."""
    at = NOW - hours_ago * HOUR
    given = {"id": uuid(n), "new_version": n + 1, "base_version": n, "live_at": at, "planned_at": at}
    return deployment(state, **(given | changes))


def means(prompt: str, reference: str, during: Window) -> frozenset[str]:
    """Numbers are versions; `whole` is a text with an include; anything else nobody knows."""
    if reference == "whole":
        return frozenset({"system@1", "master_system_core@2"})
    return frozenset({f"{prompt}@{reference}"}) if reference.isdigit() else frozenset()


def looked(change: Change, names: Mapping[tuple[str, str], int], after: timedelta = CACHES_LAST) -> Traffic:
    at = change.at + after
    ran = {said: Named(n, n, at, at) for said, n in names.items()}
    span = Span(Window(since=at, until=at + HOUR), 99, 99, ran)
    return traffic_of(change, [span], means)


CORE = "master_system_core"
DEPLOYED = Change(one(1), back=False, at=NOW - HOUR)
BACK = Change(one(1, DeploymentState.rolled_back, ended_at=NOW - HOUR), back=True, at=NOW - HOUR)


@pytest.mark.parametrize(
    ("change", "names", "new", "old"),
    [
        (DEPLOYED, {(CORE, "2"): 3, (CORE, "1"): 4}, 3, 4),
        (DEPLOYED, {("", "whole"): 3}, 3, 0),
        (DEPLOYED, {(CORE, "a-name"): 30, ("other", "1"): 7}, 0, 0),
        (BACK, {(CORE, "2"): 3, (CORE, "1"): 4}, 4, 3),
        (BACK, {(CORE, "5"): 2}, 2, 0),  # where the newest runs, the way back is a version of its own
    ],
)
def test_sessions_run_what_they_should_or_what_was_there_before(
    change: Change, names: Mapping[tuple[str, str], int], new: int, old: int
) -> None:
    told = looked(change, names)
    assert (told.new, told.old) == (new, old)
    assert (told.first_at is not None) is (new > 0)


def test_an_old_version_right_after_the_change_counts_for_nothing_and_a_new_one_does() -> None:
    told = looked(DEPLOYED, {(CORE, "1"): 50, (CORE, "2"): 1}, after=CACHES_LAST - timedelta(seconds=1))
    assert (told.new, told.old) == (1, 0)


@given(st.integers(0, 500), st.integers(0, 500))
def test_it_is_still_old_with_ten_sessions_and_hardly_a_new_one(new: int, old: int) -> None:
    said = Traffic(new, old, None).still_old
    assert said == (old >= STILL_OLD_SESSIONS and new / (new + old or 1) <= NEW_SHARE_MAX)


def test_spans_are_cut_where_caches_end() -> None:
    whole = Window(since=DEPLOYED.at, until=NOW)
    first, rest = spans_since(DEPLOYED, [whole])
    assert (first.since, first.until, rest.since, rest.until) == (
        whole.since,
        DEPLOYED.at + CACHES_LAST,
        DEPLOYED.at + CACHES_LAST,
        NOW,
    )
    late = Window(since=DEPLOYED.at + CACHES_LAST, until=NOW)
    assert spans_since(DEPLOYED, [late]) == [late]


def test_the_last_change_of_each_prompt_counts() -> None:
    first, second = one(1, hours_ago=3), one(2, hours_ago=2)
    other = one(3, prompt="playbooks")
    changes = last_changes([other, second, first])
    assert {change.deployment.id: change.back for change in changes} == {other.id: False, second.id: False}
    back = one(2, DeploymentState.rolled_back, hours_ago=2, ended_at=NOW)
    (change,) = last_changes([back, first])
    assert (change.deployment.id, change.back, change.at, change.event) == (back.id, True, NOW, "rolled_back")


@pytest.mark.parametrize(
    "busy",
    [
        one(2, DeploymentState.verifying, live_at=None),
        one(2, DeploymentState.planned, live_at=None),
        one(2, rollback={"actor": "dana", "reason": "no"}),
    ],
)
def test_while_something_is_on_its_way_there_is_no_change_yet(busy: Deployment) -> None:
    assert last_changes([busy, one(1)]) == ()


@pytest.mark.parametrize(
    "over",
    [
        one(2, DeploymentState.failed, live_at=None),
        one(2, DeploymentState.halted, live_at=None, ended_at=NOW),
        one(2, DeploymentState.rolled_back, ended_at=NOW, rollback={"actor": "dana", "reason": "x", "by": "another"}),
    ],
)
def test_what_never_went_live_or_gave_its_place_to_another_is_no_change(over: Deployment) -> None:
    (change,) = last_changes([over, one(1)])
    assert change.deployment.id == uuid(1)


def test_a_rollback_that_could_not_be_done_leaves_the_deployment_as_the_change() -> None:
    stuck = one(1, rollback={"actor": "dana", "reason": "x", "failed": "moved"})
    (change,) = last_changes([stuck])
    assert not change.back
