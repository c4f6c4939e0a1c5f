"""Trace lines as hypothesis makes them: few tools, few arguments, few session ids, so that things meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from optimizer.clock import iso

DAY = datetime(2026, 2, 26, tzinfo=UTC)
NOW = DAY + timedelta(days=4)
SAID = ("hello", "Where is my order?", "  where is, my ORDER!", "And the second order?")
TOOLS = ("search", "write_article", "transfer_to_human_agents")

Line = dict[str, Any]


@st.composite
def turns(draw: st.DrawFn) -> list[Line]:
    """The events of one trace; every call is answered, at once or after the next call was made."""
    events: list[Line] = []
    at = 0
    for number in range(draw(st.integers(0, 6))):
        at += draw(st.integers(1, 90_000))
        if draw(st.integers(0, 3)) == 0:
            kind = draw(st.sampled_from(("user_message", "assistant_message")))
            event: Line = {"type": kind, "t_ms": at, "text": draw(st.sampled_from(SAID))}
            if kind == "assistant_message" and draw(st.booleans()):
                event |= {"tokens_in": draw(st.integers(0, 9000)), "tokens_out": 7, "cost_usd": 0.013}
            events.append(event)
            continue
        tool, latency = draw(st.sampled_from(TOOLS)), draw(st.integers(0, 4000))
        call: Line = {"type": "tool_call", "t_ms": at, "name": tool, "call_id": f"c{number}"}
        if draw(st.booleans()):
            call["args"] = {"b": draw(st.integers(0, 1)), "a": "x"}
        result = {
            "type": "tool_result",
            "t_ms": at + latency,
            "name": tool,
            "call_id": f"c{number}",
            "ok": draw(st.booleans()),
            "latency_ms": latency,
        }
        events += [call, result]
        at += latency
    return events


@st.composite
def batches(draw: st.DrawFn, traces_max: int = 12) -> list[Line]:
    """Lines with trace ids of their own, over three days."""
    lines: list[Line] = []
    for number in range(draw(st.integers(1, traces_max))):
        started_at = DAY + timedelta(minutes=draw(st.integers(0, 3 * 24 * 60 - 1)), seconds=number)
        line: Line = {
            "session_id": f"s{draw(st.integers(0, 3))}",
            "trace_id": f"t{number}",
            "started_at": iso(started_at),
            "events": draw(turns()),
        }
        if draw(st.booleans()):
            line["outcome"] = {"success": draw(st.booleans())}
        if draw(st.booleans()):
            line["model"] = draw(st.sampled_from(("gpt-4.1", "claude-opus-4-6")))
        if draw(st.booleans()):
            line["task_category"] = draw(st.sampled_from(("order", "refund")))
        if draw(st.booleans()):
            line["prompts"] = {"master": draw(st.sampled_from(("1", "2")))}
        lines.append(line)
    return lines
