"""Events as they are in the wild become the events of a trace line, and what is none of ours is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from optimizer.observe.owner.events import read_events

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Event = dict[str, Any]


def read(*raw: Any) -> list[Event]:
    return read_events(raw, None, NOON).events


def test_our_own_form_stays_as_it_is() -> None:
    events: list[Event] = [
        {"type": "user_message", "t_ms": 0, "text": "hi", "msg_index": 0},
        {"type": "tool_call", "t_ms": 5, "name": "search", "args": {"q": 1}, "call_id": "c", "tokens_in": 7},
        {"type": "tool_result", "t_ms": 9, "name": "search", "call_id": "c", "ok": False, "error": "no", "text": "x"},
        {"type": "error", "t_ms": 10, "text": "broken"},
        {"type": "assistant_message", "t_ms": 11, "text": "", "cost_usd": 0.5, "actor": "writer"},
    ]
    assert read(*events) == events


@pytest.mark.parametrize(
    ("wild", "result"),
    [
        ({"output": "fine"}, {"ok": True, "text": "fine"}),
        ({"output": None, "error": "boom"}, {"ok": False, "error": "boom"}),
        ({"result": {"a": 1}, "error": ""}, {"ok": True, "text": {"a": 1}}),
        ({"response": "r", "error": "null"}, {"ok": True, "text": "r"}),
        ({"error": {"message": "boom", "code": 7}}, {"ok": False, "error": "boom"}),
        ({"error": True, "output": "what happened"}, {"ok": False, "text": "what happened"}),
        ({"error": False, "output": 1}, {"ok": True, "text": 1}),
        ({"success": "false"}, {"ok": False}),
        ({"is_error": True, "output": "no"}, {"ok": False, "text": "no"}),
        ({"status": "timeout"}, {"ok": False}),
        ({"status": "completed"}, {"ok": True}),
        ({"status_code": 503, "output": "busy"}, {"ok": False, "text": "busy"}),
        ({"duration_ms": 3}, {"ok": True}),
    ],
)
def test_a_call_with_its_result_in_one_event_becomes_two(wild: Event, result: Event) -> None:
    call, ended = read({"type": "tool_use", "tool": "search", "input": {"q": "x"}, **wild})
    assert (call["type"], call["name"], call["args"]) == ("tool_call", "search", {"q": "x"})
    known = {name: ended.get(name) for name in ("ok", "error", "text") if name in ended}
    assert (ended["type"], ended["name"], known) == ("tool_result", "search", result)
    assert call["call_id"] == ended["call_id"]


@pytest.mark.parametrize("status", ["running", "started", None, 7])
def test_a_call_that_has_not_ended_has_no_result(status: Any) -> None:
    assert [event["type"] for event in read({"type": "tool_use", "tool": "search", "status": status})] == ["tool_call"]


def test_a_result_that_also_stands_alone_is_not_counted_twice() -> None:
    call: Event = {"type": "tool_call", "name": "search", "id": "c1", "duration_ms": 5}
    result: Event = {"type": "tool_result", "tool_use_id": "c1", "is_error": True, "content": "no"}
    assert [(event["type"], event.get("ok")) for event in read(call, result)] == [
        ("tool_call", None),
        ("tool_result", False),
    ]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "tool_use", "tool": "search"},
        {"type": "function_call", "function": {"name": "search", "arguments": "{}"}},
        {"event": "tool-start", "data": {"toolName": "search"}},
        {"kind": "ToolCall", "tool": {"name": "search"}},
        {"type": "event", "steps": [{"type": "action", "action": "search"}]},
        {"tool_name": "search"},
        {"type": "tool", "payload": {"name": "search"}},
        {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "search"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "search", "id": "1"}]},
    ],
)
def test_a_call_is_known_under_many_names(event: Event) -> None:
    calls = [one for one in read(event) if one["type"] == "tool_call"]
    assert [call["name"] for call in calls] == ["search"]


def test_the_messages_of_an_api_become_events() -> None:
    usage = {"input_tokens": "1,200", "output_tokens": 30, "cache_read_input_tokens": 1000}
    events = read(
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": [{"type": "text", "text": "find"}, {"type": "text", "text": "it"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "search"}], "usage": usage},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "there"}]},
        {"role": "assistant", "content": "It is there."},
    )
    assert [event["type"] for event in events] == [
        "user_message",
        "llm_call",
        "tool_call",
        "tool_result",
        "assistant_message",
    ]
    assert events[0]["text"] == "find\nit"
    assert (events[1]["tokens_in"], events[1]["tokens_out"], events[1]["tokens_cached"]) == (1200, 30, 1000)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2026-03-02T12:00:01Z", "2026-03-02 12:00:03+00:00"], [0, 2000]),
        ([1772452801, 1772452803], [0, 2000]),
        ([1772452801123, "1772452803123"], [0, 2000]),
        ([1772452801123456789, 1772452803123456789], [0, 2000]),
        ([250, 1500], [250, 1500]),
        ([0.25, 1.5], [250, 1500]),
        ([0, 1.5], [0, 1500]),
        ([None, 40], [0, 40]),
        (["nonsense", -5], [0, 0]),
    ],
)
def test_times_are_read_in_any_unit(times: list[Any], expected: list[int]) -> None:
    events = [{"type": "user", "content": "x", "timestamp": time} for time in times]
    assert [event["t_ms"] for event in read(*events)] == expected


def test_events_without_a_time_happen_with_the_one_before_and_durations_move_them() -> None:
    events = read(
        {"type": "user", "content": "x", "t_ms": 100},
        {"type": "tool_use", "tool": "search", "output": 1, "duration_ms": 50},
        {"type": "tool_use", "tool": "book", "output": 1, "duration": 0.25},
        {"type": "assistant", "content": "y"},
    )
    assert [event["t_ms"] for event in events] == [100, 100, 150, 150, 400, 400]


def test_a_run_begins_with_its_first_event_that_has_a_date() -> None:
    event = {"type": "user", "content": "x", "timestamp": (NOON - timedelta(hours=1)).isoformat()}
    assert read_events([event], None, NOON).started_at == NOON - timedelta(hours=1)
    assert read_events([event], NOON - timedelta(hours=2), NOON).started_at == NOON - timedelta(hours=2)
    assert read_events([{"type": "user", "t_ms": 5}], None, NOON).started_at == NOON


def test_what_is_no_event_of_ours_is_left_out_and_counted() -> None:
    found = read_events(
        [{"type": "span"}, {"type": "span"}, 7, {"type": "tool_use"}, {"role": "tool", "content": "x"}], None, NOON
    )
    assert found.events == []
    assert found.left_out == {
        "span": 2,
        "no event": 1,
        "tool_call without a name": 1,
        "tool_result without a call": 1,
    }


def test_a_model_call_names_its_prompt() -> None:
    [event] = read(
        {"type": "generation", "model": "m", "prompt_name": "p", "prompt_version": "3f2a9c1", "cost": "$0.02"}
    )
    assert (event["type"], event["prompts"], event["model"], event["cost_usd"]) == (
        "llm_call",
        {"p": "3f2a9c1"},
        "m",
        0.02,
    )


def test_what_cannot_be_a_number_is_absent_and_other_fields_stay() -> None:
    [event] = read({"type": "llm", "tokens_in": "many", "cost_usd": -1, "trace_url": "x", "usage": {"output": 4}})
    assert not event.keys() & {"tokens_in", "cost_usd"}
    assert (event["tokens_out"], event["trace_url"]) == (4, "x")
