"""The trace line: one run of an agent as JSON, and the trace that is stored from it.

Typed dicts instead of models: an import checks millions of them, and what was checked is stored as it is.
Numbers and times are coerced where nothing is lost; unknown fields are kept; an explicit null is absence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

EVENT_TYPES = ("user_message", "assistant_message", "tool_call", "tool_result", "error", "llm_call")
IDENTIFIER_CHARACTERS_MAX = 500
# A trace is one run: what comes a year after its start is a time of day written as a difference.
TRACE_MS_MAX = 366 * 24 * 3600 * 1000

EventType = Literal["user_message", "assistant_message", "tool_call", "tool_result", "error", "llm_call"]


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no number and no text")
    return value


def _only_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a time is written as text")
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Version = Annotated[str, BeforeValidator(_no_bool), Field(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Milliseconds = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=TRACE_MS_MAX)]
Tokens = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=10**12)]
Dollars = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=1e9, allow_inf_nan=False)]

_OPEN = ConfigDict(extra="allow", coerce_numbers_to_str=True)


@with_config(_OPEN)
class Event(TypedDict, total=False):
    """One event; tokens and cost belong to one model response and sit on its first event."""

    type: Required[EventType]
    t_ms: Required[Milliseconds]  # since the trace's started_at
    name: Name  # of the tool
    args: Any
    call_id: Identifier
    ok: bool
    error: Any
    text: Any
    actor: Any
    tokens_in: Tokens
    tokens_cached: Tokens
    tokens_out: Tokens
    cost_usd: Dollars
    model: Name  # of an llm_call
    prompts: dict[str, Version]  # of an llm_call


@with_config(_OPEN)
class Outcome(TypedDict, total=False):
    success: bool
    reward: Annotated[float, Field(allow_inf_nan=False)]
    end: str


@with_config(_OPEN)
class TraceLine(TypedDict, total=False):
    """One line of a file of traces, checked."""

    session_id: Required[Identifier]
    trace_id: Identifier
    agent: Name
    environment: Name
    release: Name
    model: Name
    task_category: Name
    started_at: Required[Annotated[datetime, BeforeValidator(_only_text)]]  # naive means UTC
    prompts: dict[str, Version]
    prompt_version: Version
    system_prompt_sha: Version
    outcome: Outcome
    events: Required[list[Event]]


LINE_FIELDS = frozenset(TraceLine.__annotations__)
OUTCOME_FIELDS = frozenset(Outcome.__annotations__)
EVENT_FIELDS = frozenset(Event.__annotations__)
TRACE_LINE = TypeAdapter(TraceLine)


class Trace(TypedDict):
    """One trace as the store takes it; times are RFC 3339 in UTC."""

    trace_id: str
    session_id: str
    environment: NotRequired[str]
    release: NotRequired[str]
    model: NotRequired[str]
    task_category: NotRequired[str]
    started_at: str
    ended_at: str  # started_at and the last event's t_ms
    # Prompt name ('' where the line gave none) -> version or hash; several where it changed in mid-run.
    prompts: dict[str, str | list[str]]
    success: NotRequired[bool]
    reward: NotRequired[float]
    outcome_end: NotRequired[str]
    events: list[Event]
    event_count: int
    extra: dict[str, Any]  # fields of the line that are not ours
