"""What was answered is not proposed again unless its facts got worse."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from optimizer.propose.suppress import NOT_NOW, answered_already, got_worse, rule_starts
from optimizer.records.findings import Finding, Goal
from optimizer.records.session import Answered
from optimizer.records.states import ItemState
from tests.builders import NOON

DAY = timedelta(days=1)
S = ItemState


def finding(severity: float) -> Finding:
    return Finding(key="k", rule="r", goal=Goal.cost, title="t", detail="d", severity=severity, impact=1.0, cites=())


def answered(state: ItemState, severity: float = 1.0, then: float | None = None) -> Answered:
    return Answered(
        id=uuid4(),
        key="k",
        state=state,
        severity=severity,
        answered_at=None if state is S.open else NOON,
        answered_severity=then,
        content_sha256="0" * 64,
        first_seen_at=NOON - DAY,
    )


@pytest.mark.parametrize(
    ("state", "severity", "after", "proposed"),
    [
        # "skip" and "remove" mean not now: back after 7 days, or when it is 1.5 times worse
        (S.removed, 1.0, DAY, False),
        (S.removed, 1.4, NOT_NOW - timedelta(seconds=1), False),
        (S.removed, 1.5, timedelta(0), True),
        (S.removed, 0.9, NOT_NOW, True),
        (S.failed, 1.0, DAY, False),
        (S.failed, 1.0, NOT_NOW, True),
        # "never" mutes until it is 1.5 times worse
        (S.muted, 1.49, 100 * DAY, False),
        (S.muted, 1.5, DAY, True),
        # deployed: until 1.5 times worse
        (S.deployed, 1.49, 100 * DAY, False),
        (S.deployed, 1.5, DAY, True),
        # done: until it is clear that it did not help
        (S.done, 1.49, NOT_NOW - DAY, False),
        (S.done, 2.0, DAY, True),
        (S.done, 0.9, NOT_NOW, True),
        (S.wont_fix, 1.4, 100 * DAY, False),
        (S.intended, 1.4, 100 * DAY, False),
        (S.approved, 1.0, DAY, False),  # on its way
        (S.open, 1.0, 100 * DAY, True),  # nobody answered
    ],
)
def test_when_it_comes_back(state: ItemState, severity: float, after: timedelta, proposed: bool) -> None:
    reason = answered_already(finding(severity), answered(state), NOON + after)
    assert (reason is None) == proposed
    if reason is not None:
        assert state.value in reason


def test_what_was_never_seen_is_proposed() -> None:
    assert answered_already(finding(1.0), None, NOON) is None
    assert got_worse(finding(1.0), None) is None


def test_what_was_deployed_is_measured_from_its_verdict() -> None:
    better = answered(S.deployed, severity=10.0, then=2.0)
    assert answered_already(finding(2.9), better, NOON + DAY)
    assert answered_already(finding(3.0), better, NOON + DAY) is None


@pytest.mark.parametrize(
    ("then", "now", "proposed"),
    [(0.4, 0.59, False), (0.4, 0.61, True), (0.7, 0.84, False), (0.7, 0.86, True), (1.0, 1.0, False)],
)
def test_a_share_of_sessions_has_no_room_for_one_and_a_half_times(then: float, now: float, proposed: bool) -> None:
    """A tool that failed in 7 of 10 sessions, was answered, and now fails in nearly all of them."""
    share = finding(now).model_copy(update={"severity_max": 1.0})
    past = answered(S.deployed, then=then)
    assert (answered_already(share, past, NOON + 100 * DAY) is None) is proposed
    assert ("times worse now" in str(got_worse(share, past))) is proposed


def test_what_was_gone_at_the_verdict_is_told_as_back() -> None:
    gone = answered(S.deployed, severity=10.0, then=0.0)
    assert answered_already(finding(0.5), gone, NOON + DAY) is None
    assert got_worse(finding(0.5), gone) == "It was deployed before and was gone; now it is back."


@pytest.mark.parametrize(
    ("state", "severity", "words"),
    [
        (S.muted, 2.0, "It was muted before and is 2.0 times worse now."),
        (S.removed, 1.0, "It was removed before and is still there."),
        (S.done, 1.5, "It was reported done before and is 1.5 times worse now."),
        (S.failed, 1.0, "It was tried before and is still there."),
        (S.done, 1.0, "It was reported done before and is still there."),
        (S.open, 5.0, None),
    ],
)
def test_an_item_that_comes_back_says_so(state: ItemState, severity: float, words: str | None) -> None:
    assert got_worse(finding(severity), answered(state)) == words


def test_a_rule_looks_no_further_back_than_the_answer() -> None:
    past = {state.value: answered(state) for state in ItemState}
    assert rule_starts(past) == {"deployed": NOON, "done": NOON}
