"""Generated traffic for measuring size: any number of sessions over 30 days, the same every time.

A session is one trace of 19 events and about 2 kB of JSON: a user message, one model call with the tokens and the
cost of all, eight tool calls with their results, an assistant message; in one session of ten, user and assistant
speak once more (21 events). Ten tools are called, an eleventh is declared and never called; two prompt versions,
two models, four task categories. 3 % of the results are errors, in seven texts whose numbers differ; one session
in fifty makes the same call three times, one in twenty makes one call twice, one in a hundred hands over to a
human.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from optimizer.clock import iso
from optimizer.records.trace import Event, Trace

AGENT = "size"
DAYS = 30
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=DAYS)
BATCH_SESSIONS = 500
CALLS = 8

TOOLS = (
    *("search_flights", "book_flight", "get_booking", "cancel_booking", "search_hotels", "book_hotel"),
    *("get_weather", "convert_currency", "send_email", "transfer_to_human_agent"),
)
DECLARED_TOOLS = (*TOOLS, "issue_refund")
MODELS = ("large-2026-01", "small-2026-01")
CATEGORIES = ("booking", "change", "question", "complaint")
CITIES = ("Paris", "Oslo", "Lima", "Kyoto", "Porto", "Quito", "Turin", "Bergen")
ERRORS = (
    "Request timed out after {} ms",
    "HTTP 503 from upstream, attempt {}",
    "Booking {} not found",
    "Rate limit reached; retry in {} s",
    "Invalid argument: passengers must be less than {}",
    "No seats left on flight AB{}",
    "Payment declined (code {})",
)
ERROR_WEIGHTS = (0.4, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03)
REQUEST = "A cheap trip to {} for {}, please."
ANSWER = "Booked: {}, number {}."
RESULT = "{} EUR"


def batches(sessions: int, *, seed: int = 7) -> Iterator[list[Trace]]:
    """Traces by start, `BATCH_SESSIONS` at a time."""
    step_seconds = DAYS * 86400 / sessions
    for first in range(0, sessions, BATCH_SESSIONS):
        count = min(BATCH_SESSIONS, sessions - first)
        yield _batch(first, count, step_seconds, np.random.default_rng([seed, first]))


def line_of(trace: Trace) -> bytes:
    """The trace as the line of a file that it would be imported from."""
    made_of_it = ("ended_at", "success", "event_count", "extra")
    line: dict[str, Any] = {name: value for name, value in trace.items() if name not in made_of_it}
    if "success" in trace:
        line["outcome"] = {"success": trace["success"]}
    return json.dumps(line, separators=(",", ":")).encode()


def _batch(first: int, count: int, step_seconds: float, rng: np.random.Generator) -> list[Trace]:
    draws: dict[str, list[Any]] = {
        "tools": rng.choice(len(TOOLS) - 1, (count, CALLS), p=_tool_weights()).tolist(),
        "cities": rng.integers(len(CITIES), size=count).tolist(),
        "numbers": rng.integers(1000, 999999, (count, CALLS)).tolist(),
        "failures": np.where(
            rng.random((count, CALLS)) < 0.03, rng.choice(len(ERRORS), (count, CALLS), p=ERROR_WEIGHTS), -1
        ).tolist(),
        "latencies": np.ceil(rng.lognormal(5.5, 0.8, (count, CALLS))).astype(int).tolist(),
        "tokens_in": rng.integers(4500, 18_000, count).tolist(),
        "tokens_out": rng.integers(90, 1200, count).tolist(),
        "costs": rng.lognormal(-4.4, 1.0, count).round(6).tolist(),
        "shapes": rng.random((count, 4)).tolist(),
        "kinds": rng.integers(2**16, size=count).tolist(),
    }
    return [
        _trace(first + row, SINCE + timedelta(milliseconds=int((first + row) * step_seconds * 1000)), *drawn)
        for row, drawn in enumerate(zip(*draws.values(), strict=True))
    ]


def _tool_weights() -> list[float]:
    weights = [1 / (place + 1) for place in range(len(TOOLS) - 1)]
    return [weight / sum(weights) for weight in weights]


def _trace(
    number: int,
    started_at: datetime,
    tools: list[int],
    city: int,
    numbers: list[int],
    failures: list[int],
    latencies: list[int],
    tokens_in: int,
    tokens_out: int,
    cost_usd: float,
    shape: list[float],
    kind: int,
) -> Trace:
    escalates, repeats, asks_twice, rated = shape[0] < 0.01, shape[1], shape[2] < 0.1, shape[3] < 0.8
    for copy in (1, 2) if repeats < 0.02 else (1,) if repeats < 0.07 else ():
        tools[copy], numbers[copy] = tools[0], numbers[0]
    if escalates:
        tools[-1] = len(TOOLS) - 1
    model = MODELS[kind % 2]
    t_ms = 940
    events: list[Event] = [
        {"type": "user_message", "t_ms": 0, "text": REQUEST.format(CITIES[city], numbers[0] % 7 + 2)},
        _response(t_ms, model, tokens_in, tokens_out, cost_usd),
    ]
    for place in range(CALLS):
        t_ms += 5
        events += _call(t_ms, place, TOOLS[tools[place]], numbers[place], failures[place])
        t_ms += latencies[place]
        events[-1]["t_ms"] = t_ms
    t_ms += 700
    events.append({"type": "assistant_message", "t_ms": t_ms, "text": ANSWER.format(CITIES[city], numbers[-1])})
    if asks_twice:
        events.append({"type": "user_message", "t_ms": t_ms + 9000, "text": "And a window seat, if there is one."})
        t_ms += 10_000
        events.append({"type": "assistant_message", "t_ms": t_ms, "text": "There was one, and it is yours."})
    trace: Trace = {
        "trace_id": f"t{number:07d}",
        "session_id": f"s{number:07d}",
        "environment": "prod",
        "model": model,
        "task_category": CATEGORIES[kind // 2 % 4],
        "started_at": iso(started_at),
        "ended_at": iso(started_at + timedelta(milliseconds=t_ms)),
        "prompts": {"system": "7" if kind // 8 % 2 else "8"},
        "events": events,
        "event_count": len(events),
        "extra": {},
    }
    if rated:
        trace["success"] = kind // 16 % 100 < 82
    return trace


def _response(t_ms: int, model: str, tokens_in: int, tokens_out: int, cost_usd: float) -> Event:
    return {
        "type": "llm_call",
        "t_ms": t_ms,
        "model": model,
        "tokens_in": tokens_in,
        "tokens_cached": tokens_in // 2,
        "tokens_out": tokens_out,
        "cost_usd": cost_usd,
    }


def _call(t_ms: int, place: int, tool: str, number: int, failure: int) -> tuple[Event, Event]:
    """A call and its result, whose time is still to come."""
    call_id = str(place)
    call: Event = {"type": "tool_call", "t_ms": t_ms, "name": tool, "call_id": call_id, "args": {"id": number}}
    result: Event = {"type": "tool_result", "t_ms": t_ms, "name": tool, "call_id": call_id, "ok": failure < 0}
    if failure < 0:
        result["text"] = RESULT.format(number % 900 + 40)
    else:
        result["error"] = ERRORS[failure].format(number)
    return call, result
