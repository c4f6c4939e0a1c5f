"""Much read for little written, windows that cost far too much, and models that cost less."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import CitedFact, Finding, Goal, ItemType
from optimizer.records.snapshot import Slot
from tests.unit.diagnose.builders import NO_TRAFFIC, Traffic, slots, snapshot


def cited(finding: Finding) -> dict[str, CitedFact]:
    return {cite.name: cite for cite in finding.cites}


def reading(sessions: int, heavy: int) -> Traffic:
    traffic = Traffic(sessions).values("tokens_in", sessions, 60_000).values("tokens_out", sessions, 500)
    traffic.values("tokens_cached", sessions, 6_000).values("cost_usd", sessions, 0.125)
    return traffic.add("input_heavy", heavy, 54_000 * heavy)


def test_sessions_that_read_far_more_than_they_write() -> None:
    (finding,) = diagnose(snapshot(reading(240, 150))).findings
    assert finding.title == "62% of sessions read 10k+ tokens, over 50x what they write (~8.1M tokens/day)"
    assert (finding.key, finding.goal, finding.by_hand) == ("input_heavy", Goal.cost, ItemType.config_change)
    assert "54k tokens each" in finding.detail
    assert "reads 60k, 6k of them from a cache, and writes 500" in finding.detail
    assert finding.severity == pytest.approx(54_000 * 150 / 240)
    assert finding.impact == pytest.approx(8_100_000)
    assert {name: cite.value for name, cite in cited(finding).items()} == {
        "input_heavy_rate": 0.625,
        "input_heavy.tokens": 8_100_000,
        "tokens_in.mean": 60_000,
        "tokens_out.mean": 500,
        "tokens_cached.mean": 6_000,
    }


def test_some_sessions_that_read_much_are_everyday_life() -> None:
    assert diagnose(snapshot(reading(240, 60))).findings == ()
    assert diagnose(snapshot(reading(9, 9))).findings == ()


USUAL = slots(*[(180 + 8 * (day % 5), 9.0 + (day % 7)) for day in range(30)])


def spending(sessions: int, each: float) -> Traffic:
    return Traffic(sessions).values("cost_usd", sessions, each)


def spikes(now: Traffic, history: tuple[Slot, ...], before: Traffic = NO_TRAFFIC) -> tuple[Finding, ...]:
    return diagnose(snapshot(now, before, history=history)).findings


def test_a_day_with_many_more_sessions_costs_more() -> None:
    (finding,) = spikes(spending(620, 0.062), USUAL)
    assert finding.title == "24h cost $38.44, usually $11.66: more sessions (620, usually 196)"
    assert (finding.key, finding.by_hand) == ("cost_spike", ItemType.config_change)
    assert finding.severity == pytest.approx(38.44)
    cites = cited(finding)
    assert (cites["cost_usd.total"].value, cites["cost_usd.total"].n) == (pytest.approx(38.44), 620)
    assert cites["cost_usd.usual"].value == pytest.approx(11.66, abs=0.01)
    assert (cites["sessions"].value, cites["sessions.usual"].value) == (620, 196)
    assert cites["cost_usd.largest"].samples == ("s0", "s1", "s2", "s3", "s4")


def test_a_day_with_dearer_sessions_costs_more() -> None:
    (finding,) = spikes(spending(200, 0.2), USUAL)
    assert finding.title == "24h cost $40.00, usually $11.66: dearer sessions ($0.20 each, usually $0.060)"


def test_where_the_cost_per_session_is_told_its_sum_is_no_second_item() -> None:
    now = spending(200, 0.2).logged("cost_usd", 200, 0.2)
    before = Traffic(5800).logged("cost_usd", 5800, 0.062)
    assert [finding.key for finding in spikes(now, USUAL, before)] == ["cost_up"]


@pytest.mark.parametrize(
    ("now", "history"),
    [
        (spending(340, 0.062), USUAL),  # not twice the usual
        (spending(620, 0.062), USUAL[:6]),  # too short a history
        (spending(620, 0.062), slots(*[(200, 12.0 if day % 3 else 44.0) for day in range(30)])),  # it happens
        (spending(620, 0.062), ()),
    ],
)
def test_what_is_no_spike(now: Traffic, history: tuple[Slot, ...]) -> None:
    assert spikes(now, history) == ()


def arms(*, small: float, large: float = 0.90, sessions: int = 1500, small_usd: float = 0.02) -> Traffic:
    """Thirty days of one category under two models."""
    traffic = Traffic(2 * sessions).values("tokens_in", 2 * sessions, 9000)
    for model, success, usd in (("small-1", small, small_usd), ("large-1", large, 0.05)):
        labels: dict[str, Any] = {"model": model, "task_category": "faq"}
        traffic.add("sessions", sessions, **labels).add("success", sessions, round(success * sessions), **labels)
        traffic.logged("cost_usd", sessions, usd, 1.0, **labels)
    return traffic


def cheaper(month: Traffic) -> list[Finding]:
    return list(diagnose(snapshot(Traffic(100), month=(month, NO_TRAFFIC))).findings)


def test_a_cheaper_model_that_is_as_good_in_a_category() -> None:
    (finding,) = cheaper(arms(small=0.91))
    assert finding.title == "small-1 does faq about as well as large-1 for 60% less (~$1.50/day)"
    assert (finding.key, finding.by_hand) == ("cheaper_model:faq:large-1", ItemType.config_change)
    assert finding.severity == pytest.approx(1.5)  # dollars a day: 1,500 sessions in 30 days, $0.03 less each
    assert "Sessions were not assigned at random" in finding.detail
    assert "it is less than 5 points worse and at least 20% cheaper" in finding.detail
    assert "small-1 succeeded in 91% of 1,500 sessions at $0.020 each" in finding.detail
    assert [(cite.name, cite.labels["model"], cite.labels["window"]) for cite in finding.cites] == [
        ("success_rate", "small-1", "30d"),
        ("cost_usd.mean", "small-1", "30d"),
        ("success_rate", "large-1", "30d"),
        ("cost_usd.mean", "large-1", "30d"),
    ]


@pytest.mark.parametrize(
    "month",
    [
        arms(small=0.86),  # four points down: not clearly within five
        arms(small=0.91, small_usd=0.042),  # hardly cheaper
        arms(small=0.99, large=0.60, sessions=90),  # too few, however clear
        arms(small=0.90, sessions=150),  # too few to be sure
    ],
)
def test_what_is_no_cheaper_model(month: Traffic) -> None:
    assert cheaper(month) == []


def test_only_rated_sessions_show_how_good_a_model_is() -> None:
    traffic = arms(small=0.91)
    for row in [row for row in traffic.rows if row[0] == "success"]:
        traffic.add("success", 90, 89 if ("model", "small-1") in row[1] else 54, **dict[str, Any](row[1]))
    assert cheaper(traffic) == []  # 90 a side, however clear
    for row in [row for row in traffic.rows if row[0] == "success"]:
        del traffic.rows[row]
    assert cheaper(traffic) == []
