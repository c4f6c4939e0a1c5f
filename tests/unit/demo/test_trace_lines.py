from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from bot.demo.traffic import day_of_traffic, history, run_time
from tests.unit.demo.counting import (
    FIRST_RUN,
    SEED,
    Line,
    calls,
    ended_at,
    live,
    one_day,
    started_at,
)

EVENT_FIELDS = {
    "user_message": {"text"},
    "assistant_message": {"text", "tokens_in", "tokens_out", "cost_usd"},
    "tool_call": {"name", "call_id", "args"},
    "tool_result": {"name", "call_id", "ok"},
}
USAGE = {"tokens_in", "tokens_out", "cost_usd", "tokens_cached"}


def test_same_arguments_same_lines(last_day: list[Line]) -> None:
    assert one_day() == last_day
    reordered = dict(reversed(live().items()))
    again = list(day_of_traffic(FIRST_RUN, reordered, seed=SEED, first_run=FIRST_RUN))
    assert json.dumps(again) == json.dumps(last_day)


def test_another_process_with_another_hash_seed_makes_the_same_lines(last_day: list[Line]) -> None:
    script = "import json; from tests.unit.demo.counting import one_day; print(json.dumps(one_day()))"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(answer.stdout) == last_day


def test_another_seed_or_day_makes_other_lines(last_day: list[Line]) -> None:
    assert [line["events"] for line in one_day(seed=SEED + 1)] != [line["events"] for line in last_day]
    assert [line["events"] for line in one_day(1)] != [line["events"] for line in last_day]


def test_a_line_says_who_ran_when_under_which_prompts(last_day: list[Line]) -> None:
    for line in last_day:
        assert set(line) == {
            "session_id", "agent", "environment", "model", "started_at", "prompts", "task_category",
            "outcome", "events",
        }  # fmt: skip
        assert (line["agent"], line["environment"]) == ("blog-writer", "prod")
        assert line["prompts"] == {"master_system_core": 1, "playbooks": 1}
        assert line["task_category"] in {"howto", "listicle", "news", "opinion"}
        assert {"success", "end"} <= set(line["outcome"]) <= {"success", "reward", "end"}
        assert isinstance(line["outcome"]["success"], bool)


def test_events_carry_what_their_type_needs(last_day: list[Line]) -> None:
    for event in (event for line in last_day for event in line["events"]):
        needed = EVENT_FIELDS[event["type"]] | {"type", "t_ms"}
        extra = set(event) - needed
        if event["type"] == "tool_result":
            assert extra == ({"text"} if event["ok"] else {"error"})
        else:
            assert extra <= USAGE


def test_absent_is_not_zero(last_day: list[Line]) -> None:
    for event in (event for line in last_day for event in line["events"]):
        present = USAGE & set(event)
        assert all(event[name] > 0 for name in present)
        assert not present or present >= USAGE - {"tokens_cached"}
        assert event.get("tokens_cached", 0) < event.get("tokens_in", 1)


def test_times_are_whole_milliseconds_in_order_from_zero(last_day: list[Line]) -> None:
    for line in last_day:
        times = [event["t_ms"] for event in line["events"]]
        assert all(type(moment) is int for moment in times)
        assert times[0] == 0
        assert times == sorted(times)


def test_every_call_has_one_later_result_of_the_same_tool(last_day: list[Line]) -> None:
    for line in last_day:
        results = {e["call_id"]: e for e in line["events"] if e["type"] == "tool_result"}
        made = calls(line)
        assert len(made) == len({call["call_id"] for call in made}) == len(results)
        for call in made:
            result = results[call["call_id"]]
            assert result["name"] == call["name"]
            assert result["t_ms"] > call["t_ms"]


def test_a_day_is_over_when_its_run_looks_at_it(last_day: list[Line]) -> None:
    since, until = run_time(FIRST_RUN) - timedelta(days=1), run_time(FIRST_RUN)
    assert until == datetime(2026, 2, 26, 6, tzinfo=UTC)
    assert all(since <= started_at(line) and ended_at(line) < until for line in last_day)
    assert [started_at(line) for line in last_day] == sorted(map(started_at, last_day))
    for days in range(-6, 6):
        closing = run_time(FIRST_RUN + timedelta(days=days)) - timedelta(minutes=30)
        assert max(map(started_at, one_day(days))) < closing


def test_people_work_by_day(last_day: list[Line]) -> None:
    hours = [started_at(line).hour for line in last_day]
    assert len(set(hours)) > 20
    assert sum(8 <= hour < 18 for hour in hours) > 4 * sum(hour < 6 for hour in hours)


def test_history_is_thirty_days_without_a_session_twice() -> None:
    lines = list(history(FIRST_RUN, live(), seed=SEED, sessions=20))
    assert len(lines) == len({line["session_id"] for line in lines}) == 600
    assert min(map(started_at, lines)).date() == FIRST_RUN - timedelta(days=30)
    assert [started_at(line) for line in lines] == sorted(map(started_at, lines))
    assert lines[-20:] == one_day(sessions=20)


@pytest.mark.parametrize("sessions", range(6))
def test_a_very_quiet_day_works(sessions: int) -> None:
    for days in (-1, 0):
        assert len(one_day(days, sessions=sessions)) == sessions


def test_lines_are_small(last_day: list[Line]) -> None:
    sizes = [len(json.dumps(line, separators=(",", ":"))) for line in last_day]
    assert median(sizes) < 4_000
    assert max(sizes) < 14_000
    assert max(s for s, line in zip(sizes, last_day, strict=True) if '"research":' not in json.dumps(line)) < 7_500


def test_nothing_points_to_a_real_host_or_looks_like_a_secret(last_day: list[Line]) -> None:
    text = json.dumps(last_day)
    hosts = re.findall(r"(?:https?://|www\.)[\w.-]+", text) + re.findall(r"[\w.]+@([\w.-]+)", text)
    assert all(host.endswith(("example.com", "example.org")) for host in hosts)
    assert not re.search(r"\b(?:sk|pk|ghp|xox[bp]|AKIA)[-_]?[A-Za-z0-9]{12,}|\b[0-9a-fA-F]{32,}\b", text)
    assert "{" not in "".join(e["text"] for line in last_day for e in line["events"] if "text" in e)
