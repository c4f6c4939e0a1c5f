"""What the same thing is called elsewhere: one table of synonyms for the fields and types of events.

Names are compared in lower snake case (`toolName` is `tool_name`). The first name that is there wins.
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE = ("type", "event_type", "kind", "event", "role")
NAME = ("tool_name", "tool", "function_name", "function", "name", "action")
ARGS = ("args", "arguments", "tool_input", "tool_args", "input", "inputs", "params", "parameters", "kwargs", "request")
OUTPUT = ("output", "result", "tool_output", "response", "observation", "return_value")
TEXT = ("text", "content", "message", "body", "value")
ERROR = ("error", "error_message", "err", "exception", "failure")
CALL_ID = ("call_id", "tool_call_id", "tool_use_id", "invocation_id", "id")
OK = ("ok", "success", "succeeded")
FAILED = ("is_error", "failed", "errored")
STATUS = ("status", "state", "outcome", "level")
STATUS_CODE = ("status_code", "http_status")
MODEL = ("model", "model_name", "model_id")
TOKENS_IN = ("tokens_in", "input_tokens", "prompt_tokens", "tokens_input", "tokens_prompt")
TOKENS_OUT = ("tokens_out", "output_tokens", "completion_tokens", "tokens_output", "tokens_completion")
TOKENS_CACHED = ("tokens_cached", "cached_tokens", "cache_read_input_tokens", "cache_read_tokens")
COST_USD = ("cost_usd", "cost", "total_cost", "total_cost_usd", "price_usd")
TIME = (
    "t_ms",
    "offset_ms",
    "relative_ms",
    "t_s",
    "offset_s",
    "t",
    "ts",
    "time",
    "timestamp",
    "at",
    "created_at",
    "started_at",
    "start_time",
    "occurred_at",
    "date",
)
ENDED = ("ended_at", "end_time", "finished_at", "completed_at")
DURATION = (
    "duration_ms",
    "latency_ms",
    "elapsed_ms",
    "took_ms",
    "duration_s",
    "duration_seconds",
    "latency_s",
    "latency_seconds",
    "elapsed_s",
    "elapsed_seconds",
    "duration",
    "latency",
    "elapsed",
    "took",
)
# An object under one of these says more about the event itself.
WRAPPERS = (
    "data",
    "payload",
    "attributes",
    "details",
    "event",
    "message",
    "function",
    "tool",
    "metrics",
    "usage",
    "tokens",
    "prompt_tokens_details",
)
# What short names mean inside of `usage` and `tokens`.
IN_USAGE = {
    "in": "tokens_in",
    "input": "tokens_in",
    "prompt": "tokens_in",
    "out": "tokens_out",
    "output": "tokens_out",
    "completion": "tokens_out",
    "cached": "tokens_cached",
}
# A list under one of these holds events of its own.
CHILDREN = ("events", "steps", "children", "spans", "tool_calls", "calls")

_KINDS = {
    "user_message": ("user_message", "user", "human", "user_input", "human_message", "customer", "message_user"),
    "assistant_message": (
        "assistant_message",
        "assistant",
        "ai",
        "ai_message",
        "bot",
        "bot_message",
        "agent_message",
        "assistant_text",
        "final_answer",
        "answer",
        "reply",
        "agent_response",
    ),
    "tool_call": (
        "tool_call",
        "tool_use",
        "tool",
        "function_call",
        "function",
        "tool_start",
        "tool_invocation",
        "tool_execution",
        "server_tool_use",
        "mcp_tool_use",
        "mcp_call",
        "action",
        "on_tool_start",
    ),
    "tool_result": (
        "tool_result",
        "tool_response",
        "tool_output",
        "tool_end",
        "tool_message",
        "tool_error",
        "function_call_output",
        "function_result",
        "function_response",
        "mcp_tool_result",
        "observation",
        "on_tool_end",
        "on_tool_error",
    ),
    "error": ("error", "exception", "failure", "agent_error", "run_error"),
    "llm_call": (
        "llm_call",
        "llm",
        "llm_response",
        "llm_end",
        "llm_request",
        "model_call",
        "model_response",
        "generation",
        "completion",
        "chat_completion",
        "usage",
        "on_llm_end",
    ),
}
KINDS = {synonym: kind for kind, synonyms in _KINDS.items() for synonym in synonyms}

GOOD = frozenset({"ok", "success", "succeeded", "successful", "completed", "complete", "done", "finished", "passed"})
BAD = frozenset(
    ("error", "failed", "failure", "fail", "errored", "timeout", "timed_out", "exception", "crashed", "aborted")
)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINT = re.compile(r"[^A-Za-z0-9]+")


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """`toolName`, `Tool Name` and `tool-name` are `tool_name`."""
    return _JOINT.sub("_", _HUMP.sub("_", name)).strip("_").lower()
