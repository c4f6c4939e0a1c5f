from __future__ import annotations

import pytest

from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import Goal
from tests.unit.diagnose.builders import Traffic, prompt, snapshot


def test_repeats_that_fail_are_a_matter_of_accuracy() -> None:
    traffic = Traffic(240, {"search": (200, 400)}).loops("search", 12, 30, 4, failing=9)
    found = diagnose(snapshot(traffic)).findings
    # It has said it all: that the same tool loops is no second item.
    assert [(finding.key, finding.goal) for finding in found] == [("error_loop:search", Goal.accuracy)]
    assert found[0].impact == 9
    assert "correct them first" in (found[0].advice or "")
    cited = {cite.name: cite for cite in found[0].cites}
    assert (cited["loop.sessions"].value, cited["loop.sessions"].n) == (12, 240)
    assert cited["error_loop.longest"].value == 4
    assert (cited["error_loop.sessions"].value, cited["error_loop.sessions"].n) == (9, 240)
    assert cited["error_loop.errors"].value == 30


def test_a_third_look_in_a_few_sessions_is_everyday_life() -> None:
    traffic = Traffic(300, {"check_status": (150, 330)}).loops("check_status", 12, 24, 3)
    assert diagnose(snapshot(traffic)).findings == ()


def test_long_loops_are_found_earlier() -> None:
    traffic = Traffic(300, {"check_status": (150, 900)}).loops("check_status", 12, 540, 80)
    assert [finding.key for finding in diagnose(snapshot(traffic)).findings] == ["loop:check_status"]


def test_a_loop_costs_what_its_turns_send() -> None:
    traffic = Traffic(240, {"search": (200, 1400)}).loops("search", 20, 1000, 90)
    traffic.add("steps", 240, 4800).add("tokens_in", 240, 9_600_000)
    traffic.add("cost_usd", 240, 28.8).add("tokens_out", 240, 480_000)
    found = diagnose(snapshot(traffic)).findings[0]
    # 1,000 calls at 2,000 tokens each; $28.80 for 9.6M read and 0.48M written tokens of five times the price.
    assert found.impact == pytest.approx(2_000_000)
    assert "1,000 calls a day for nothing, ~2M tokens a day, ~$4.80 a day" in found.detail


def test_without_recorded_tokens_a_turn_costs_at_least_its_prompts() -> None:
    traffic = Traffic(240, {"search": (200, 1400)}).loops("search", 20, 1000, 90)
    found = diagnose(snapshot(traffic, prompts=[prompt("system", "x" * 4000)])).findings[0]
    assert found.impact == pytest.approx(1_000_000)
    assert "$" not in found.detail


def test_identical_calls_in_many_sessions_without_a_loop() -> None:
    traffic = Traffic(240, {"get_order": (200, 400)}).add("redundant_calls", 60, 120, tool="get_order")
    found = diagnose(snapshot(traffic)).findings
    assert [finding.title for finding in found] == [
        "get_order repeats identical calls in 30% of sessions (120 calls a day)"
    ]
    assert found[0].goal is Goal.cost
    assert "`get_order`" in (found[0].advice or "")
    assert (found[0].cites[0].name, found[0].cites[0].value) == ("redundant_calls", 120)


def test_trying_again_after_an_error_is_no_waste_of_its_own() -> None:
    traffic = Traffic(240, {"get_order": (200, 400)}).fails("get_order", 80, 120, {"Error: timed out": 120})
    traffic.add("redundant_calls", 60, 120, tool="get_order")
    assert [finding.rule for finding in diagnose(snapshot(traffic)).findings] == ["tool_failing"]


def test_identical_calls_here_and_there_are_no_news() -> None:
    traffic = Traffic(240, {"get_order": (200, 400)}).add("redundant_calls", 20, 22, tool="get_order")
    assert diagnose(snapshot(traffic)).findings == ()


def test_the_same_research_again_and_again() -> None:
    traffic = Traffic(240).add("repeated_text", 40, 480_000, largest=5, argument="research_text")
    traffic.add("tokens_in", 240, 9_500_000).add("tokens_out", 240, 100_000).add("cost_usd", 240, 10.0)
    found = diagnose(snapshot(traffic)).findings
    assert [finding.title for finding in found] == ["Same research text passed 5x in one session (~120k tokens/day)"]
    assert found[0].goal is Goal.cost
    assert found[0].impact == pytest.approx(120_000)
    assert found[0].edits == ()
    # The model writes it: 120k tokens at five times the $1 for a million that it reads.
    assert "~120k tokens a day, ~$0.60 a day" in found[0].detail
    assert (found[0].cites[0].name, found[0].cites[0].value) == ("repeated_text.tokens", 120_000)


def test_a_text_passed_again_in_two_sessions_is_watched() -> None:
    traffic = Traffic(24).add("repeated_text", 2, 8_000, largest=3, argument="research")
    diagnosis = diagnose(snapshot(traffic))
    assert diagnosis.findings == ()
    assert [line.text for line in diagnosis.watching] == ["same research text passed 3x in 2 sessions"]
