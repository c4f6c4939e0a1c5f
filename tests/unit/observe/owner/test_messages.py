"""A message of the owner's chat, and the run to which it belongs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.clock import iso
from optimizer.observe.normalise import normalise
from optimizer.observe.owner.mapping import map_table
from optimizer.observe.owner.messages import Message, merge, message_of
from optimizer.records.trace import Trace
from optimizer.settings.tables import MessagesSettings
from tests.unit.observe.owner.test_rows import TIMESTAMP, table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAPPED = map_table(
    MessagesSettings(table="messages"),
    table(
        {"id": "bigint", "session_id": "text", "role": "text", "content": "jsonb", "created_at": TIMESTAMP}
        | {"feedback": "text", "rating": "integer"}
    ),
)


def message(**columns: Any) -> Message:
    row = {"id": 1, "session_id": "s", "role": "user", "content": "x", "created_at": NOON.isoformat(), **columns}
    found = message_of(json.dumps(row), MAPPED)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("role", "type_"),
    [
        ("user", "user_message"),
        ("Human", "user_message"),
        ("inbound", "user_message"),
        ("assistant", "assistant_message"),
        ("bot", "assistant_message"),
        ("outgoing", "assistant_message"),
        ("system", None),
        ("tool", None),
        (None, None),
    ],
)
def test_who_spoke(role: str | None, type_: str | None) -> None:
    assert message(role=role).type == type_


@pytest.mark.parametrize(
    ("columns", "liked"),
    [
        ({"feedback": "up"}, True),
        ({"feedback": "thumbs-down"}, False),
        ({"feedback": "👍"}, True),
        ({"feedback": True}, True),
        ({"feedback": -1}, False),
        ({"feedback": "1"}, True),
        ({"feedback": 0}, None),
        ({"feedback": {"rating": "dislike"}}, False),
        ({"feedback": "it was fine I guess"}, None),
        ({"rating": 5}, True),
        ({"rating": "2"}, False),
        ({"rating": 3}, None),
        ({"rating": 70}, None),
        ({"feedback": "", "rating": 1}, False),
        ({}, None),
    ],
)
def test_what_a_person_thought_of_it(columns: dict[str, Any], liked: bool | None) -> None:
    assert message(**columns).liked is liked


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("words", "words"),
        (None, ""),
        ([{"type": "text", "text": "a"}, "b"], "a\nb"),
        ({"text": "c"}, "c"),
        ({"d": 1}, '{"d":1}'),
    ],
)
def test_its_words(content: Any, said: str) -> None:
    assert message(content=content).text == said


def run(trace_id: str, minutes: int, length: int = 1) -> Trace:
    start = NOON + timedelta(minutes=minutes)
    events = [
        {"type": "tool_call", "name": "t", "t_ms": 0},
        {"type": "tool_result", "name": "t", "t_ms": length * 60_000},
    ]
    line = {"session_id": "s", "trace_id": trace_id, "started_at": iso(start), "events": events}
    return normalise(line, now=NOON + timedelta(days=3))[1]


def given_to(traces: list[Trace], *said: tuple[str, int]) -> dict[str, list[str]]:
    messages = [
        Message("s", NOON + timedelta(minutes=minutes), type_, f"{type_[0]}{minutes}", None) for type_, minutes in said
    ]
    merged = merge(traces, messages, "messages")
    return {
        trace["trace_id"]: [str(event.get("text")) for event in trace["events"] if "merged_from" in event]
        for trace in merged
    }


def test_a_question_goes_to_the_run_that_began_next_and_an_answer_to_the_one_before() -> None:
    found = given_to(
        [run("b", 30), run("a", 0)],
        ("user_message", -1),
        ("assistant_message", 3),
        ("user_message", 29),
        ("assistant_message", 32),
    )
    assert found == {"a": ["u-1", "a3"], "b": ["u29", "a32"]}


def test_what_is_too_far_from_any_run_belongs_to_none() -> None:
    assert given_to([run("a", 0)], ("user_message", -361), ("assistant_message", 363)) == {"a": []}


SAID = st.lists(st.tuples(st.sampled_from(["user_message", "assistant_message"]), st.integers(-500, 1000)), max_size=8)


@given(SAID, SAID)
def test_merging_again_gives_what_merging_once_would_have_given(
    first: list[tuple[str, int]], second: list[tuple[str, int]]
) -> None:
    def messages(said: list[tuple[str, int]]) -> list[Message]:
        return [Message("s", NOON + timedelta(minutes=at), type_, "x", at % 2 == 0) for type_, at in said]

    traces = [run("a", 0), run("b", 45, length=20)]
    once = merge(traces, messages(second), "m")
    assert merge(merge(traces, messages(first), "m"), messages(second), "m") == once
    assert merge(once, [], "m") == tuple(traces)
    for trace in once:
        times = [event["t_ms"] for event in trace["events"]]
        assert times == sorted(times)
        assert trace["event_count"] == len(times)
