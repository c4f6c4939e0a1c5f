"""More cost, steps or time than before; fewer successes, more errors."""

from __future__ import annotations

import math

import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import CitedFact, Finding, Goal, ItemType
from tests.unit.diagnose.builders import Traffic, snapshot


def found(now: Traffic, before: Traffic) -> dict[str, Finding]:
    return {finding.key: finding for finding in diagnose(snapshot(now, before)).findings}


def cited(finding: Finding) -> dict[str, CitedFact]:
    return {cite.name: cite for cite in finding.cites}


def costing(sessions: int, usd: float, tokens_in: float = 9000, sigma: float = 1.0) -> Traffic:
    traffic = Traffic(sessions).logged("cost_usd", sessions, usd, sigma)
    return traffic.values("tokens_in", sessions, tokens_in).values("tokens_out", sessions, 400)


def test_a_session_that_costs_more_than_before() -> None:
    findings = found(costing(300, 0.066, 14_000), costing(9000, 0.0434))
    assert set(findings) == {"cost_up"}
    finding = findings["cost_up"]
    assert finding.title == "Cost per session up 52% to $0.066 (before $0.043)"
    assert (finding.goal, finding.by_hand, finding.severity) == (Goal.cost, ItemType.code_change, pytest.approx(0.066))
    assert "That is $6.78 a day." in finding.detail  # 300 x ($0.066 - $0.0434)
    assert "tokens in 14k (before 9k); tokens out 400 (before 400)" in finding.detail
    cites = cited(finding)
    assert (cites["cost_usd.mean"].value, cites["cost_usd.mean"].n) == (pytest.approx(0.066), 300)
    assert cites["cost_usd.mean"].baseline == pytest.approx(0.0434)
    assert cites["tokens_in.mean"].value == 14_000
    # In tokens, by the window's own mean price, as all savings are ordered.
    assert finding.impact == pytest.approx(6.78 / (0.066 / (14_000 + 5 * 400)), rel=0.001)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (costing(100_000, 0.0465), costing(3_000_000, 0.0434)),  # 7 % more, however sure
        (costing(300, 0.050), costing(9000, 0.0434)),  # 15 % more, and that is chance
        (costing(9, 0.9), costing(9000, 0.0434)),  # nine sessions
        (costing(300, 0.066), costing(40, 0.0434, sigma=0.1)),  # hardly anything to compare with
        (costing(300, 0.030), costing(9000, 0.0434)),  # less
    ],
)
def test_what_is_no_rise_of_the_cost(now: Traffic, before: Traffic) -> None:
    assert found(now, before) == {}


def test_typically_more_and_on_average_not_is_no_finding() -> None:
    now = costing(300, 0.066).values("cost_usd", 300, 0.043)
    assert found(now, costing(9000, 0.0434)) == {}


def test_a_rise_that_is_not_yet_sure_is_watched() -> None:
    now = costing(60, 0.064)
    for tool in ("search", "write"):  # what else there is to ask makes each answer less sure
        now.add("tool.calls", 60, 60, tool=tool)
    diagnosis = diagnose(snapshot(now, costing(1800, 0.0434)))
    assert diagnosis.findings == ()
    assert [line.text for line in diagnosis.watching] == ["cost per session $0.064, before $0.043"]


def stepping(sessions: int, steps: float) -> Traffic:
    traffic = Traffic(sessions).values("steps", sessions, steps, 3.0)
    return traffic.values("steps_log", sessions, math.log(1 + steps), 0.4).values("tokens_in", sessions, 9000)


def test_more_steps_than_before() -> None:
    findings = found(stepping(300, 12), stepping(9000, 8))
    assert findings["steps_up"].title == "Steps per session up 50% to 12 (before 8)"
    assert "1,200 steps more a day" in findings["steps_up"].detail
    assert cited(findings["steps_up"])["steps.mean"].baseline == 8


def test_more_steps_are_part_of_more_cost() -> None:
    now, before = stepping(300, 12).logged("cost_usd", 300, 0.066), stepping(9000, 8).logged("cost_usd", 9000, 0.0434)
    findings = found(now, before)
    assert set(findings) == {"cost_up"}
    assert "Per session: steps 12 (before 8)" in findings["cost_up"].detail


def test_more_steps_are_part_of_more_messages() -> None:
    now = stepping(300, 12).add("many_messages", 48).values("user_messages", 300, 3.8)
    assert set(found(now, stepping(9000, 8).add("many_messages", 450))) == {"many_messages"}


def waiting(sessions: int, log_mean: float, bucket: int, slow_bucket: int | None = None, mean: float = 1000) -> Traffic:
    traffic = Traffic(sessions, {"search": (sessions, sessions)})
    traffic.values("tool.latency_log", sessions, log_mean, 0.6, tool="search")
    traffic.values("tool.latency_ms", sessions, mean, tool="search")
    row = ("tool.latency_ms", (("tool", "search"),))
    slow = sessions // 5
    buckets = {bucket: sessions - slow, slow_bucket or bucket: slow} if slow_bucket else {bucket: sessions}
    object.__setattr__(traffic.rows[row], "buckets", buckets)
    return traffic


def test_a_tool_that_takes_twice_as_long() -> None:
    finding = found(waiting(300, 7.4, 190), waiting(9000, 6.7, 172))["latency_up:search"]
    assert finding.title == "search takes 1.8 s at the median, before 867 ms"
    assert finding.severity == pytest.approx(math.exp(7.4))
    assert cited(finding)["tool.latency_ms.p50"].baseline == pytest.approx(1.04**172.5)
    assert finding.advice is None


def test_where_the_median_stands_still_the_slow_calls_are_named() -> None:
    finding = found(waiting(300, 7.3, 172, 240), waiting(9000, 6.7, 172))["latency_up:search"]
    assert finding.title == "search takes 12.5 s at the 95th percentile, before 867 ms"


def test_users_wait_longer_only_where_the_mean_says_so() -> None:
    """Typically slower, and as slow on average: nobody waits longer in all."""
    finding = found(waiting(300, 7.4, 190), waiting(9000, 6.7, 172))["latency_up:search"]
    assert "Users wait" not in finding.detail
    longer = found(waiting(300, 7.4, 190, mean=13_000), waiting(9000, 6.7, 172))["latency_up:search"]
    assert "Users wait about 60 minutes a day longer." in longer.detail


def test_a_latency_that_drifts_is_no_news() -> None:
    assert found(waiting(3000, 6.88, 177), waiting(90_000, 6.7, 172)) == {}  # 20 % more


def succeeding(rated: int, successes: int, **by_model: tuple[int, int]) -> Traffic:
    traffic = Traffic(rated).add("success", rated, successes)
    for model, (part, good) in by_model.items():
        traffic.add("success", part, good, model=model)
    return traffic


def test_success_that_fell() -> None:
    now = succeeding(300, 186, large=(150, 129), small=(150, 57))
    before = succeeding(9000, 7380, large=(4500, 3870), small=(4500, 3510))
    finding = found(now, before)["success_down"]
    assert finding.title == "Success down 20 points to 62% (before 82%)"
    assert finding.severity == pytest.approx(0.38)
    assert finding.impact == pytest.approx(60)
    assert "Most of all under model small: 38% (before 78%)." in finding.detail
    whole, part = finding.cites
    assert (whole.name, whole.labels, whole.value, whole.baseline) == ("success_rate", {}, 0.62, 0.82)
    assert (part.labels, part.value) == ({"model": "small"}, 0.38)
    assert len(whole.samples) == 5


def test_a_fall_that_is_everywhere_names_no_place() -> None:
    now, before = succeeding(300, 186, large=(150, 92)), succeeding(9000, 7380, large=(4500, 3690))
    assert "Most of all" not in found(now, before)["success_down"].detail


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (succeeding(100_000, 80_000), succeeding(3_000_000, 2_460_000)),  # two points, however sure
        (succeeding(30, 20), succeeding(900, 738)),  # 15 points in 30 sessions
        (succeeding(9, 0), succeeding(900, 738)),
        (succeeding(300, 186), succeeding(40, 40)),
        (succeeding(300, 290), succeeding(9000, 7380)),
    ],
)
def test_what_is_no_fall_of_success(now: Traffic, before: Traffic) -> None:
    assert found(now, before) == {}


def failing_everywhere(sessions: int, failing: int, tools: int = 8) -> Traffic:
    """Errors that are spread over many tools."""
    each = sessions // tools
    traffic = Traffic(sessions, {f"tool_{number}": (each, each) for number in range(tools)})
    traffic.add("tool.calls", sessions, sessions).add("tool.errors", failing, failing)
    for number in range(tools):
        traffic.fails(f"tool_{number}", failing // tools, failing // tools)
    return traffic


def test_errors_that_spread_over_many_tools() -> None:
    findings = found(failing_everywhere(320, 32), failing_everywhere(9600, 240))
    assert set(findings) == {"errors_up"}
    assert findings["errors_up"].title == "Tool errors in 10% of sessions (before 2.5%)"
    rate = cited(findings["errors_up"])["tool.error_session_rate"]
    assert (rate.value, rate.n, rate.baseline) == (0.1, 320, 0.025)


def test_where_one_tool_fails_the_whole_is_no_second_item() -> None:
    now = failing_everywhere(320, 32).fails("tool_3", 30, 30)
    assert {finding.rule for finding in found(now, failing_everywhere(9600, 240)).values()} == {"tool_failing"}


def test_where_one_tool_fails_again_and_again_it_is_not_said_that_none_stands_out() -> None:
    now = failing_everywhere(320, 32).loops("tool_3", 16, 48, 6, failing=16)
    assert {finding.rule for finding in found(now, failing_everywhere(9600, 240)).values()} == {"error_loop"}


def test_a_tool_that_fails_more_than_it_used_to() -> None:
    now = Traffic(2000, {"search": (1500, 1500)}).fails("search", 66, 66, {"Error: not found": 66})
    before = Traffic(60_000, {"search": (45_000, 45_000)}).fails("search", 90, 90)
    finding = found(now, before)["tool_failing:search"]
    assert finding.rule == "tool_errors_up"
    assert finding.title == "search fails in 4.4% of sessions, before that in 0.2%"
    assert finding.advice is not None
    assert "search failed in 66 of the 1,500 sessions" in finding.detail
