"""What traces say, and the inputs of their requests: newest first, page by page, within bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from optimizer.clock import iso
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.records.window import Window
from optimizer.stores.traces import Inputs, Spoken, TraceStore
from tests.builders import AGENT, NOON

HOUR = timedelta(hours=1)
WEEK = Window(since=NOON - timedelta(days=7), until=NOON)


async def put(traces: TraceStore, *lines: dict[str, Any], agent: str = AGENT) -> None:
    await traces.put(agent, [normalise(line, now=NOON)[1] for line in lines], at=NOON)


def line(number: int, *events: dict[str, Any], hours_ago: float = 1, session_id: str | None = None) -> dict[str, Any]:
    return {
        "trace_id": f"t{number:03}",
        "session_id": session_id or f"s{number}",
        "started_at": iso(NOON - hours_ago * HOUR),
        "events": [{"t_ms": place, **event} for place, event in enumerate(events)],
    }


def says(text: str) -> dict[str, Any]:
    return {"type": "user_message", "text": text}


async def pages(traces: TraceStore, traces_max: int = 400) -> list[list[Spoken]]:
    return [page async for page in traces.spoken(AGENT, WEEK, traces_max)]


async def test_every_field_in_which_words_may_stand_is_read(database: PostgresDatabase) -> None:
    traces = TraceStore(database)
    call = {"type": "tool_call", "name": "search", "call_id": "c1", "args": {"q": ["tea", "é"]}}
    result = {"type": "tool_result", "name": "search", "call_id": "c1", "ok": False, "error": "gone", "text": {"a": 1}}
    request = {"type": "llm_call", "inputs": {"name": "Ann"}, "model": "m"}
    await put(traces, line(1, says("hello"), call, result, request, {"type": "assistant_message"}))
    (page,) = await pages(traces)
    assert page == [
        Spoken("s1", "user_message", "", "text", "hello"),
        Spoken("s1", "tool_call", "search", "args", '{"q": ["tea", "é"]}'),
        Spoken("s1", "tool_result", "search", "text", '{"a":1}'),
        Spoken("s1", "tool_result", "search", "error", "gone"),
        Spoken("s1", "llm_call", "", "inputs", '{"name": "Ann"}'),
    ]


async def test_the_newest_come_first_each_once_and_no_more_than_asked(database: PostgresDatabase) -> None:
    traces = TraceStore(database)
    # Several begin at one moment: a page ends between them.
    await put(traces, *(line(number, says(f"word {number}"), hours_ago=1 + number // 30) for number in range(120)))
    await put(traces, line(900, says("too old"), hours_ago=24 * 8), line(901, says("too new"), hours_ago=-1))
    await put(traces, line(902, says("another's")), agent="other")
    said = [one.text for page in await pages(traces) for one in page]
    assert len(said) == len(set(said)) == 120
    numbers = [int(text.split()[1]) for text in said]
    assert numbers == sorted(numbers, key=lambda number: (number // 30, -number))
    assert len([one for page in await pages(traces, 70) for one in page]) == 70


async def test_a_page_ends_where_it_is_large_and_always_holds_one(database: PostgresDatabase) -> None:
    traces = TraceStore(database)
    # Text that does not compress, each more than a page holds.
    large = ["".join(f"{number * 7919 + place:x} " for place in range(320_000)) for number in range(3)]
    await put(traces, *(line(number, says(text), hours_ago=1 + number) for number, text in enumerate(large)))
    read = await pages(traces)
    assert [len(page) for page in read] == [1, 1, 1]
    assert [page[0].text for page in read] == [text[:100_000] for text in large]


async def test_sessions_are_read_whatever_their_age(database: PostgresDatabase) -> None:
    traces = TraceStore(database)
    await put(traces, line(1, says("old"), hours_ago=24 * 20), line(2, says("new")), line(3, says("other")))
    said = await traces.spoken_in(AGENT, ["s1", "s2", "nobody"])
    assert [one.text for one in said] == ["new", "old"]
    assert await traces.spoken_in(AGENT, []) == []


async def test_inputs_are_told_once_newest_first_with_the_prompts_that_they_fill(database: PostgresDatabase) -> None:
    traces = TraceStore(database)

    def asked(name: Any, **more: Any) -> dict[str, Any]:
        return {"type": "llm_call", "inputs": name, **more}

    named = line(1, asked({"name": "Ann"}, prompts={"system": "3"}), hours_ago=3) | {"prompts": {"main": "1"}}
    unnamed = line(2, asked({"name": "Bob"}), asked({"name": "Ann"}), hours_ago=2)
    odd = line(3, asked("text"), asked(["list"]), asked({"name": "x" * 200_000}), says("hello"))
    old = line(4, asked({"name": "Old"}), hours_ago=24 * 8)
    by_trace = line(5, asked({"name": "Cy"}), hours_ago=4) | {"prompts": {"main": "1"}}
    await put(traces, named, unnamed, odd, old, by_trace)
    found = await traces.inputs(AGENT, WEEK.since, traces_max=400, limit=10)
    assert found == [
        Inputs("s2", (), {"name": "Bob"}),
        Inputs("s2", (), {"name": "Ann"}),
        Inputs("s5", ("main",), {"name": "Cy"}),
    ]
    assert len(await traces.inputs(AGENT, WEEK.since, traces_max=400, limit=2)) == 2
    assert await traces.inputs(AGENT, WEEK.since, traces_max=1, limit=10) == []
