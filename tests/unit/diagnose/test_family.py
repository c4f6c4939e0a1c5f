"""All rules of a run share one error probability, and what was answered is judged by what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from optimizer.diagnose.answered import since_answer
from optimizer.diagnose.rule import Rule, RuleOutcome, Test
from optimizer.diagnose.rules import diagnose
from optimizer.diagnose.table import RULES
from optimizer.propose.suppress import WORSE, answered_already
from optimizer.records.facts import Fact, Measures
from optimizer.records.findings import Finding, Goal, Watching
from optimizer.records.session import Answered
from optimizer.records.snapshot import DAY, MONTH, WEEK, Snapshot
from optimizer.records.states import ItemState
from tests.unit.diagnose.builders import UNTIL, Traffic, slots, snapshot
from tests.unit.diagnose.nights import Rates, nights


def finding(key: str) -> Finding:
    return Finding(key=key, rule="r", goal=Goal.cost, title=key, detail="", severity=1.0, impact=1.0, cites=())


def rule(p_values: Mapping[str, float], *, weight: float = 1.0) -> Rule:
    """A rule that answers with these p-values, by key."""
    tests = tuple(Test(key, UNTIL - DAY, p_value, finding(key), None) for key, p_value in p_values.items())
    return Rule("r", Goal.cost, {}, "", lambda _snapshot, _thresholds: RuleOutcome(tests=tests), weight)


def sure(*rules: Rule) -> set[str]:
    return {found.key for found in diagnose(snapshot(Traffic(10)), rules=rules).findings}


def test_many_tools_take_nothing_from_a_rule_about_the_whole_agent() -> None:
    tools = rule({f"tool:{number}": 0.5 for number in range(100)})
    assert sure(rule({"cost": 0.0099}), tools) == {"cost"}
    assert sure(rule({"cost": 0.0101}), tools) == set()


def test_each_tool_has_an_equal_part_of_its_rule() -> None:
    assert sure(rule({"tool:a": 0.004, "tool:b": 0.5}), rule({"cost": 0.5})) == {"tool:a"}
    assert sure(rule({"tool:a": 0.006, "tool:b": 0.5}), rule({"cost": 0.5})) == set()


def test_a_rule_that_must_not_miss_has_a_larger_part() -> None:
    assert sure(rule({"cost": 0.015}, weight=4.0), rule({"tool": 0.5})) == {"cost"}


def test_the_runs_own_window_has_the_larger_part_of_a_thing() -> None:
    def looked_at_twice(today: float, week: float) -> Rule:
        looks = ((UNTIL - DAY, today), (UNTIL - WEEK, week))
        tests = tuple(Test("cost", since, p_value, finding("cost"), None) for since, p_value in looks)
        return Rule("r", Goal.cost, {}, "", lambda _snapshot, _thresholds: RuleOutcome(tests=tests))

    assert sure(looked_at_twice(0.013, 0.5)) == {"cost"}  # two thirds of 0.02
    assert sure(looked_at_twice(0.5, 0.013)) == set()
    assert sure(looked_at_twice(0.5, 0.006)) == {"cost"}


def test_a_rule_with_nothing_to_test_takes_no_part() -> None:
    assert sure(rule({"cost": 0.019}), rule({}), rule({})) == {"cost"}


def test_the_table_names_each_rule_once_with_its_thresholds_and_reason() -> None:
    assert len({one.id for one in RULES}) == len(RULES)
    for one in RULES:
        assert one.reason.endswith(".")
        assert one.thresholds
        assert one.weight in (1.0, 2.0, 4.0)


T = Traffic
HOURS = timedelta(hours=1)


def looked_at(*, history_days: int = 0) -> Snapshot:
    """Sessions tell the parts apart: 1 today, 7 in the week, 30 in the month; 100s before each."""
    return snapshot(T(1), T(101), week=(T(7), T(107)), month=(T(30), T(130)), history=slots(*[(5, 1.0)] * history_days))


def sessions(measures: Measures) -> int:
    return measures.get("sessions").n


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # By look: sessions in it and in what it is held against.
        (UNTIL - timedelta(hours=3), None),  # no look begins after it
        (UNTIL - DAY, [(1, 101)]),  # the time before the day ends at the answer
        (UNTIL - 3 * DAY, [(1, 107)]),  # as it was before the week in which it was answered
        (UNTIL - WEEK, [(1, 107), (7, 107)]),
        (UNTIL - 10 * DAY, [(1, 130), (7, 130)]),
        (UNTIL - MONTH - HOURS, [(1, 29), (7, 23), (30, 0)]),  # all of the month came after it
        (UNTIL - MONTH - DAY, [(1, 101), (7, 23), (30, 0)]),
        (UNTIL - 2 * MONTH, [(1, 101), (7, 107), (30, 130)]),
    ],
)
def test_no_comparison_has_the_answer_on_one_of_its_sides(
    start: datetime, expected: list[tuple[int, int]] | None
) -> None:
    cut = since_answer(looked_at(), start)
    seen = None if cut is None else [(sessions(look.measures), sessions(look.before)) for look in cut.looks]
    assert seen == expected


def test_slots_are_those_of_one_side() -> None:
    cut = since_answer(looked_at(history_days=30), UNTIL - 10 * DAY)
    assert cut is not None
    assert [slot.window.until <= UNTIL - 10 * DAY for slot in cut.history] == [True] * 21
    long_ago = since_answer(looked_at(history_days=30), UNTIL - 50 * DAY)
    assert long_ago is not None
    assert len(long_ago.history) == 30


def test_a_rise_that_was_answered_is_held_against_the_time_before_it() -> None:
    """Answered three days ago and still there: the days since are not a new normal, nor diluted by old ones."""
    night = next(nights(300, Rates(cost_times=1.6), count=1, seed=2))
    answered = UNTIL - 3 * DAY
    listed = Fact(id="F1", name="cost_usd.mean", labels={}, value=1.0, n=1, baseline=2.0)
    night = replace(night, facts=(listed,))
    (found,) = diagnose(night, {"cost_up": answered}).findings
    before = night.wider[0].before.get("cost_usd").mean
    assert found.cites[0].baseline == pytest.approx(before)
    assert found.cites[0].labels == {"answered": "2026-02-23"}
    # The same is said of a rule without a comparison, and other findings keep their own time.
    (other,) = diagnose(night, {"success_down": answered}).findings
    assert other.cites[0].labels == {}


def test_what_was_answered_today_is_left_alone() -> None:
    night = next(nights(300, Rates(cost_times=1.6), count=1, seed=2))
    diagnosis = diagnose(night, {"cost_up": UNTIL - 3 * HOURS})
    assert diagnosis.findings == ()
    assert not any(line.key == "cost_up" for line in diagnosis.watching)


PLANTED = {
    "cost_up": (Rates(cost_times=1.6), Rates(cost_times=2.6)),
    "success_down": (Rates(success=0.55), Rates(success=0.1)),
    "steps_up": (Rates(steps=12.0), Rates(steps=22.0)),
    "many_messages": (Rates(messages=4.0), Rates(messages=9.0)),
    "escalations": (Rates(escalated=0.2), Rates(escalated=0.4)),
    "repeated_request": (Rates(repeating=0.25), Rates(repeating=0.5)),
    "latency_up:tool_3": (Rates(latency_times={"tool_3": 2.0}), Rates(latency_times={"tool_3": 4.0})),
    "tool_failing:tool_5": (Rates(errors={"tool_5": 0.3}), Rates(errors={"tool_5": 0.6})),
}


@pytest.mark.parametrize("key", PLANTED)
def test_one_and_a_half_times_worse_brings_an_answer_back(key: str) -> None:
    bad, worse = (
        {found.key: found for found in diagnose(next(nights(300, rates, count=1, seed=3))).findings}
        for rates in PLANTED[key]
    )
    answered = Answered(
        id=uuid4(),
        key=key,
        state=ItemState.muted,
        severity=bad[key].severity,
        answered_at=UNTIL,
        answered_severity=None,
        content_sha256="0" * 64,
        first_seen_at=UNTIL,
    )
    assert bad[key].severity > 0
    assert answered_already(bad[key], answered, UNTIL + DAY)
    assert worse[key].severity >= WORSE * bad[key].severity
    assert answered_already(worse[key], answered, UNTIL + DAY) is None


def watched(*tests: tuple[str, float]) -> Rule:
    """A rule that is not sure of these keys."""
    made = tuple(Test(key, UNTIL - DAY, p_value, None, Watching(key=key, text=key)) for key, p_value in tests)
    return Rule("r", Goal.cost, {}, "", lambda _snapshot, _thresholds: RuleOutcome(tests=made))


def test_a_tool_is_watched_in_one_line() -> None:
    """That it failed, and that it failed again and again, is one thing to keep an eye on."""
    rules = [watched(("tool_failing:search", 0.1), ("error_loop:search", 0.05), ("tool_failing:book", 0.09))]
    watching = diagnose(snapshot(Traffic(10)), rules=rules).watching
    assert [line.key for line in watching] == ["error_loop:search", "tool_failing:book"]


def test_what_a_finding_explains_is_not_watched() -> None:
    """Dearer sessions that take more steps: the steps are part of the dearer sessions."""
    dearer = finding("cost_up").model_copy(update={"rule": "cost_up"})
    test = Test("cost_up", UNTIL - DAY, 0.0, dearer, None)
    sure = Rule("cost_up", Goal.cost, {}, "", lambda _snapshot, _thresholds: RuleOutcome(tests=(test,)))
    unsure = watched(("steps_up", 0.01), ("success_down", 0.01))
    watching = diagnose(snapshot(Traffic(10)), rules=[sure, unsure]).watching
    assert [line.key for line in watching] == ["success_down"]
