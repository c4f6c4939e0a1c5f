from __future__ import annotations

from datetime import date, timedelta
from statistics import median

import pytest

from bot.demo.prompts import MASTER_SYSTEM_CORE, PLAYBOOKS, composed
from bot.demo.traffic import LivePrompt, day_of_traffic
from tests.unit.demo.counting import (
    FIRST_RUN,
    GHOST_ONCE,
    SEED,
    WITHOUT_COPY,
    WITHOUT_GHOST,
    WITHOUT_PLAYBOOKS,
    Line,
    calls,
    cost_usd,
    failures,
    live,
    mean_cost_usd,
    one_day,
    success_rate,
)


def responses(lines: list[Line]) -> int:
    return sum("tokens_in" in event for line in lines for event in line["events"])


def tokens_in(lines: list[Line]) -> int:
    return sum(event.get("tokens_in", 0) for line in lines for event in line["events"])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("first_run", [FIRST_RUN, date(2027, 8, 1)])
def test_a_session_costs_44_thousandths_of_a_dollar(seed: int, first_run: date) -> None:
    lines = list(day_of_traffic(first_run, live(), seed=seed, first_run=first_run))
    assert 0.0435 <= mean_cost_usd(lines) < 0.0445


def test_costs_spread_to_the_right_as_real_ones_do(last_day: list[Line]) -> None:
    costs = sorted(map(cost_usd, last_day))
    assert median(costs) < mean_cost_usd(last_day)
    assert costs[-1] > 1.8 * median(costs)
    assert costs[0] < 0.5 * median(costs)


def test_cost_follows_from_tokens_and_list_prices(last_day: list[Line]) -> None:
    paid = [event for line in last_day for event in line["events"] if "cost_usd" in event]
    for event in paid:
        cached = event.get("tokens_cached", 0)
        expected = (event["tokens_in"] - cached) * 1.00 + cached * 0.10 + event["tokens_out"] * 5.00
        assert event["cost_usd"] == pytest.approx(expected / 1e6, abs=1e-6)


def test_each_response_reads_the_prompt_and_a_growing_conversation(last_day: list[Line]) -> None:
    prompt_tokens = len(composed(MASTER_SYSTEM_CORE, PLAYBOOKS)) / 3.8
    for line in last_day:
        sizes = [event["tokens_in"] for event in line["events"] if "tokens_in" in event]
        assert sizes[0] > prompt_tokens
        assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("master", "tokens_saved", "least", "most"),
    [(WITHOUT_COPY, 650, 0.10, 0.20), (GHOST_ONCE, 210, 0.03, 0.06)],
)
def test_text_that_is_taken_out_is_no_longer_paid_for(
    master: str, tokens_saved: int, least: float, most: float
) -> None:
    before, after = one_day(1), one_day(1, master)
    assert (tokens_in(before) - tokens_in(after)) / responses(before) == pytest.approx(tokens_saved, abs=3)
    assert least < 1 - mean_cost_usd(after) / mean_cost_usd(before) < most
    assert success_rate(after) == success_rate(before)
    assert [calls(line) for line in after] != [calls(line) for line in before]
    assert [[c["args"] for c in calls(line)] for line in after] == [[c["args"] for c in calls(line)] for line in before]


def test_an_agent_without_playbooks_does_worse() -> None:
    assert success_rate(one_day(1, WITHOUT_PLAYBOOKS)) == pytest.approx(0.7, abs=0.03)


def test_the_playbooks_prompt_counts_where_the_placeholder_includes_it() -> None:
    prompts = live(WITHOUT_COPY) | {"playbooks": LivePrompt("Write well.", 2)}
    lines = list(day_of_traffic(FIRST_RUN + timedelta(days=1), prompts, seed=SEED, first_run=FIRST_RUN))
    assert success_rate(lines) == pytest.approx(0.7, abs=0.03)
    assert lines[0]["prompts"] == {"master_system_core": 1, "playbooks": 2}


def test_an_agent_that_lost_the_ghost_block_gets_pushes_refused() -> None:
    def refused(lines: list[Line]) -> int:
        return sum(e["name"] == "push_to_ghost" for line in lines for e in failures(line))

    assert refused(one_day(1, GHOST_ONCE)) <= 2
    assert refused(one_day(1, WITHOUT_GHOST)) > 40
    assert success_rate(one_day(1, WITHOUT_GHOST)) < success_rate(one_day(1))
