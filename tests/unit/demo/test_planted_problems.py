from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from bot.demo.tools import TOOL_NAMES
from bot.demo.traffic import history
from tests.unit.demo.counting import (
    FIRST_RUN,
    SEED,
    Line,
    calls,
    ended_at,
    failures,
    live,
    one_day,
    repeats,
    share_calling,
    started_at,
    success_rate,
    with_timeouts,
)


def test_write_article_times_out_in_nine_sessions_of_the_last_day(last_day: list[Line]) -> None:
    assert len(last_day) == 240
    hit = with_timeouts(last_day)
    assert len(hit) == 9
    for line in hit:
        assert [(e["name"], e["error"]) for e in failures(line)] == [("write_article", "Error: timed out after 60 s")]
        assert len(calls(line, "write_article")) == 1  # not tried again
    assert success_rate(hit) < 0.3


def test_a_time_out_takes_a_minute_and_a_draft_does_not(last_day: list[Line]) -> None:
    slow = {line["session_id"] for line in with_timeouts(last_day)}
    for line in last_day:
        (call,) = calls(line, "write_article")
        (result,) = [e for e in line["events"] if e.get("ok") is not None and e["call_id"] == call["call_id"]]
        assert (result["t_ms"] - call["t_ms"] >= 60_000) == (line["session_id"] in slow)


@pytest.mark.parametrize(
    ("days", "fewest", "most"), [(-1, 8, 10), (-2, 8, 10), (-3, 8, 10), (1, 8, 10), (-4, 0, 1), (-20, 0, 1)]
)
def test_time_outs_began_four_days_ago_and_go_on(days: int, fewest: int, most: int) -> None:
    assert fewest <= len(with_timeouts(one_day(days))) <= most


def test_inject_links_stops_exactly_a_day_before_the_first_run() -> None:
    lines = list(history(FIRST_RUN, live(), seed=SEED, days=6))
    boundary = datetime(2026, 2, 25, 6, tzinfo=UTC)
    before = [line for line in lines if started_at(line) < boundary]
    after = [line for line in lines if started_at(line) >= boundary]
    assert (len(before), len(after)) == (1_200, 240)
    assert share_calling(before, "inject_links") == pytest.approx(0.31, abs=0.005)
    assert share_calling(after, "inject_links") == 0
    assert max(map(ended_at, before)) < boundary  # by the time of the call it is the same boundary
    assert share_calling(one_day(1), "inject_links") == 0


def test_every_other_tool_is_in_use_on_every_day() -> None:
    for days in (-9, -1, 0, 1):
        lines = one_day(days)
        for tool in set(TOOL_NAMES) - {"inject_links"}:
            assert share_calling(lines, tool) > 0.05, (tool, days)


def test_sixty_sessions_pass_the_same_notes_to_five_tools(last_day: list[Line]) -> None:
    texts: list[str] = []
    wasted_tokens = 0.0
    for line in last_day:
        tools_by_notes: defaultdict[str, list[str]] = defaultdict(list)
        for call in calls(line):
            if "research" in call["args"]:
                tools_by_notes[call["args"]["research"]].append(call["name"])
        for notes, tools in tools_by_notes.items():
            assert len(tools) == len(set(tools)) == 5
            wasted_tokens += 4 * len(notes) / 3.8
            texts.append(notes)
    assert len(texts) == len(set(texts)) == 60
    assert all(1_800 <= len(text) <= 2_000 for text in texts)
    assert wasted_tokens == pytest.approx(120_000, rel=0.02)


def test_no_other_long_text_is_passed_twice(last_day: list[Line]) -> None:
    for line in last_day:
        values = Counter(
            value
            for call in calls(line)
            for name, value in call["args"].items()
            if name != "research" and len(str(value)) > 100
        )
        assert all(count == 1 for count in values.values())


def test_the_rest_is_healthy() -> None:
    lines = list(history(FIRST_RUN, live(), seed=SEED, days=12))
    other_errors = [line for line in lines if failures(line) and not with_timeouts([line])]
    assert 0 < len(other_errors) < 0.01 * len(lines)
    for line in other_errors:
        (error,) = failures(line)
        again = [e for e in line["events"] if e["type"] == "tool_result" and e["name"] == error["name"] and e["ok"]]
        assert again  # tried again, and then it worked
    assert all(max(repeats(line).values()) <= 2 for line in lines)
    assert sum(max(repeats(line).values()) == 2 for line in lines) <= len(other_errors)


def test_success_is_about_88_percent(last_day: list[Line]) -> None:
    assert success_rate(last_day) == pytest.approx(0.88, abs=0.02)
    assert success_rate(one_day(-10)) == pytest.approx(0.9, abs=0.02)


def test_users_write_one_to_three_messages(last_day: list[Line]) -> None:
    counts = Counter(sum(e["type"] == "user_message" for e in line["events"]) for line in last_day)
    assert set(counts) == {1, 2, 3}


def test_nothing_is_planted_where_nothing_is_asked_for() -> None:
    lines = one_day(planted=False)
    assert with_timeouts(lines) == []
    assert share_calling(lines, "inject_links") == pytest.approx(0.31, abs=0.005)
    assert not any("research" in call["args"] for line in lines for call in calls(line))
