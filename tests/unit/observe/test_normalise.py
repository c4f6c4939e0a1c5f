"""A line becomes a trace: events in time, results beside their calls, prompts by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.observe.normalise import normalise

NOW = datetime(2026, 2, 27, 6, tzinfo=UTC)


def trace(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    line = {"session_id": "s1", "started_at": "2026-02-26T06:00:00Z", "events": list(events), **fields}
    return dict(normalise(line, now=NOW)[1])


def call(t_ms: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_call", "t_ms": t_ms, "name": name, **fields}


def result(t_ms: int, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "t_ms": t_ms, **fields}


def pairs(stored: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(event["type"], event["call_id"], event["name"]) for event in stored["events"]]


@pytest.mark.parametrize("agent", ["blog-writer", "team/a.b:c_2", "café", "x" * 100])
def test_an_agent_may_be_called_so(agent: str) -> None:
    line = {"session_id": "s1", "started_at": "2026-02-26T06:00:00Z", "events": [], "agent": agent}
    assert normalise(line, now=NOW)[0] == agent


def test_events_are_sorted_by_time_and_the_last_one_ends_the_trace() -> None:
    stored = trace({"type": "error", "t_ms": 1500}, {"type": "user_message", "t_ms": 20, "text": "hi"})
    assert [event["t_ms"] for event in stored["events"]] == [20, 1500]
    assert (stored["started_at"], stored["ended_at"]) == (
        "2026-02-26T06:00:00Z",
        "2026-02-26T06:00:01.500000Z",
    )
    assert (stored["trace_id"], stored["event_count"]) == ("s1", 2)


@pytest.mark.parametrize("written", ["2026-02-26T06:00:00", "2026-02-26T08:00:00+02:00", "2026-02-26 06:00:00Z"])
def test_a_time_is_utc_unless_it_says_otherwise(written: str) -> None:
    assert trace(started_at=written)["started_at"] == "2026-02-26T06:00:00Z"


def test_a_result_takes_id_and_name_of_its_call() -> None:
    stored = trace(call(1, "f", call_id="a"), call(2, "g", call_id="b"), result(3, call_id="b"), result(4, call_id="a"))
    assert pairs(stored)[2:] == [("tool_result", "b", "g"), ("tool_result", "a", "f")]


def test_without_ids_results_are_paired_in_order_per_tool() -> None:
    stored = trace(call(1, "f"), call(2, "g"), call(3, "f"), result(4, name="f"), result(5, name="g"), result(6))
    assert pairs(stored) == [
        ("tool_call", "#1", "f"),
        ("tool_call", "#2", "g"),
        ("tool_call", "#3", "f"),
        ("tool_result", "#1", "f"),
        ("tool_result", "#2", "g"),
        ("tool_result", "#3", "f"),
    ]


def test_an_id_that_comes_again_is_made_unique() -> None:
    stored = trace(call(1, "f", call_id="1"), result(2, call_id="1"), call(3, "g", call_id="1"), result(4, call_id="1"))
    assert [event["call_id"] for event in stored["events"]] == ["1", "1", "#1", "#1"]
    assert stored["events"][3]["name"] == "g"


def test_a_generated_id_never_meets_a_given_one() -> None:
    stored = trace(call(1, "f"), call(2, "g", call_id="#1"), result(3, name="f"), result(4, call_id="#1"))
    assert [event["call_id"] for event in stored["events"]] == ["#2", "#1", "#2", "#1"]


def test_a_second_result_of_a_call_stands_alone() -> None:
    stored = trace(call(1, "f", call_id="a"), result(2, call_id="a"), result(3, call_id="a", name="f"))
    assert [event["call_id"] for event in stored["events"]] == ["a", "a", "#1"]


def test_a_result_that_comes_before_its_call_still_finds_it() -> None:
    stored = trace(result(1, call_id="a", ok=False), call(2, "f", call_id="a"))
    assert pairs(stored) == [("tool_result", "a", "f"), ("tool_call", "a", "f")]


def test_a_hundred_thousand_calls_without_results_are_paired_in_no_time() -> None:
    many = 100_000
    stored = trace(
        *(call(1, "f", call_id=str(n)) for n in range(many)),
        *(result(2, call_id=str(n)) for n in reversed(range(many))),
    )
    assert stored["events"][-1]["call_id"] == "0"


def test_ok_is_settled_by_the_error_where_it_is_not_given() -> None:
    stored = trace(
        call(1, "f", call_id="a"),
        result(2, call_id="a", error="boom"),
        call(3, "f", call_id="b"),
        result(4, call_id="b", text="fine"),
    )
    assert [event["ok"] for event in stored["events"] if event["type"] == "tool_result"] == [False, True]


def test_arguments_in_json_text_and_texts_that_are_none_are_put_in_shape() -> None:
    stored = trace(
        call(1, "f", args='{"b": 1, "a": [2]}'),
        call(2, "f", args="{broken"),
        {"type": "user_message", "t_ms": 3, "text": [{"type": "text", "text": "hi"}]},
    )
    assert [event.get("args") for event in stored["events"]] == [{"b": 1, "a": [2]}, "{broken", None]
    assert stored["events"][2]["text"] == '[{"text":"hi","type":"text"}]'


def test_null_is_absence_in_our_fields_and_kept_in_others() -> None:
    stored = trace({"type": "llm_call", "t_ms": 1, "tokens_in": None, "mine": 1}, model=None, outcome=None, note=None)
    assert stored["events"] == [{"type": "llm_call", "t_ms": 1, "mine": 1}]
    assert (stored["extra"], "model" in stored, "success" in stored) == ({"note": None}, False, False)


@pytest.mark.parametrize(
    ("fields", "prompts"),
    [
        ({"prompts": {"master": 7}, "prompt_version": "8"}, {"master": "7"}),
        ({"prompt_version": 8, "system_prompt_sha": "ab"}, {"": "8"}),
        ({"system_prompt_sha": "ab"}, {"": "ab"}),
        ({}, {}),
    ],
)
def test_the_prompts_are_those_that_the_line_says_best(fields: dict[str, Any], prompts: dict[str, str]) -> None:
    assert trace(**fields)["prompts"] == prompts


def test_prompts_and_model_of_llm_calls_count_too() -> None:
    stored = trace(
        {"type": "llm_call", "t_ms": 1, "model": "gpt-4.1", "prompts": {"master": "1", "tone": "3"}},
        {"type": "llm_call", "t_ms": 2, "model": "claude-opus-4-6", "prompts": {"master": "2"}},
        prompts={"master": "1"},
    )
    assert stored["prompts"] == {"master": ["1", "2"], "tone": "3"}
    assert stored["model"] == "gpt-4.1"


def test_what_is_not_ours_is_kept_beside() -> None:
    stored = trace(outcome={"success": True, "end": "user_stop", "judge": "me"}, run="r1", agent="x")
    assert stored["extra"] == {"run": "r1", "outcome": {"judge": "me"}}
    assert (stored["success"], stored["outcome_end"]) == (True, "user_stop")


def test_a_last_event_in_the_far_future_is_refused() -> None:
    with pytest.raises(InputError, match="the time of its last event is 2026-03-18T"):
        trace({"type": "error", "t_ms": 20 * 24 * 3600 * 1000})
