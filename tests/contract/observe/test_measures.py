"""Single measures, where the words of their definitions matter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.records.facts import Measures
from optimizer.records.window import Window
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore

NOW = datetime(2026, 2, 27, 6, tzinfo=UTC)
# Not a whole hour: read straight from the traces.
WINDOW = Window(since=datetime(2026, 2, 26, 6, 1, tzinfo=UTC), until=datetime(2026, 2, 26, 6, 59, tzinfo=UTC))


async def measured(database: PostgresDatabase, *sessions: list[dict[str, Any]]) -> Measures:
    lines = [
        {"session_id": f"s{number}", "started_at": "2026-02-26T06:30:00Z", "events": events}
        for number, events in enumerate(sessions)
    ]
    traces = [normalise(line, now=NOW)[1] for line in lines]
    await TraceStore(database).put("a", traces, at=NOW)
    return await RollupStore(database).read("a", WINDOW)


def called(*args: Any, tool: str = "search", **result: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, given in enumerate(args):
        events.append({"type": "tool_call", "t_ms": 10 * number, "name": tool, "args": given})
        events.append({"type": "tool_result", "t_ms": 10 * number + 5, "name": tool, **result})
    return events


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        (
            "Error: payment amount does not add up, total price is 375, but paid 299",
            "Error: payment amount does not add up, total price is N, but paid N",
        ),
        ("flight HAT030 not available on date 2024-05-13", "flight N not available on date N"),
        ("Payment method credit_card_7334 not found", "Payment method N not found"),
        ("user 'Mei Garcia' isn't known, doesn't exist", "user '...' isn't known, doesn't exist"),
        ('missing field "name" in 0xdeadbeef', "missing field '...' in N"),
        ("id 3fa85f64-5717-4562-b3fc-2c963f66afa6 took 1.5s", "id N took N"),
        ("HTTP 503 from host, status: 404", "HTTP 5xx from host, status: 4xx"),
        ("two\n  lines\tof  it", "two lines of it"),
        ("", "(no text)"),
        ("x" * 500, "x" * 120),
    ],
)
async def test_an_error_text_is_masked_and_stays_readable(dsn: str, text: str, signature: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("select ratchet.masked(%s)", [text])).fetchone()
    assert row == (signature,)


async def test_signatures_beyond_the_fifty_most_frequent_stand_together(database: PostgresDatabase) -> None:
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)} failed" for n in range(60)]
    sessions = [called({}, ok=False, error=word) for word in words]
    sessions += [called({}, ok=False, error=word) for word in words[10:]]
    rows = (await measured(database, *sessions)).named("tool.error_signature")
    found = {labels["signature"]: measure for labels, measure in rows}
    assert found.keys() == {*words[10:], "other"}
    assert (found["other"].n, found["other"].total) == (10, 10)
    assert all(found[word].total == 2 for word in words[10:])


async def test_arguments_are_compared_without_the_order_of_their_names(database: PostgresDatabase) -> None:
    measures = await measured(database, called({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}), called({}, None))
    assert measures.get("redundant_calls").total == 2
    assert measures.get("loop").largest == 2
    assert measures.get("loop").n == 0


async def test_a_tool_is_abandoned_when_its_last_result_failed_and_no_call_follows(
    database: PostgresDatabase,
) -> None:
    given_up = called({}, ok=False)
    tried_again = [*called({}, ok=False), *called({}, ok=True)]
    unanswered = [*called({}, ok=False), {"type": "tool_call", "t_ms": 50, "name": "search"}]
    measures = await measured(database, given_up, tried_again, unanswered)
    assert measures.get("tool.abandoned", tool="search").samples == ("s0",)


async def test_a_long_text_passed_three_times_counts_beyond_the_first_pass(
    database: PostgresDatabase,
) -> None:
    article = "w" * 600
    thrice = called(*[{"text": article, "n": n} for n in range(3)])
    twice = called({"text": article}, {"text": article}, {"other": article})
    short = called(*[{"text": "w" * 499}] * 3)
    measures = await measured(database, thrice, twice, short)
    repeated = measures.get("repeated_text", argument="text")
    assert (repeated.n, repeated.total, repeated.largest, repeated.samples) == (1, 1200, 3, ("s0",))


async def test_absent_is_not_zero_and_the_first_response_is_the_first_with_tokens(
    database: PostgresDatabase,
) -> None:
    spoken = [
        {"type": "user_message", "t_ms": 1, "text": "12345"},
        {"type": "assistant_message", "t_ms": 2, "text": "hi"},
        {"type": "user_message", "t_ms": 3, "text": "678"},
        {"type": "llm_call", "t_ms": 4, "tokens_in": 900, "tokens_cached": 0, "cost_usd": 0},
        {"type": "llm_call", "t_ms": 5, "tokens_in": 50},
    ]
    measures = await measured(database, spoken, called({}))
    assert (measures.get("tokens_in").n, measures.get("tokens_in").total) == (1, 950)
    assert (measures.get("tokens_cached").n, measures.get("tokens_out").n) == (1, 0)
    assert (measures.get("cost_usd").n, measures.get("cost_usd_log").n) == (1, 0)
    assert measures.get("first_tokens_in").total == 900
    assert measures.get("first_characters").total == 8


async def test_latencies_fall_into_the_buckets_of_the_histogram(database: PostgresDatabase) -> None:
    events: list[dict[str, Any]] = []
    for number, latency in enumerate((0, 1, 100, 100, 5000)):
        events.append({"type": "tool_call", "t_ms": 10_000 * number, "name": "search"})
        events.append({"type": "tool_result", "t_ms": 10_000 * number + latency, "name": "search"})
    latency = (await measured(database, events)).get("tool.latency_ms", tool="search")
    assert latency.buckets == {0: 2, 117: 2, 217: 1}
    assert (latency.n, latency.total, latency.largest) == (5, 5201, 5000)
