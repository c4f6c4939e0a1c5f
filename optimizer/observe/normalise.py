"""A checked trace line -> the trace that is stored: events in time, calls paired with results."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import from_json

from optimizer.clock import iso
from optimizer.errors import InputError
from optimizer.observe.refusal import reason_of
from optimizer.records.base import canonical_json
from optimizer.records.trace import LINE_FIELDS, OUTCOME_FIELDS, TRACE_LINE, Event, Trace, TraceLine

AHEAD_MAX = timedelta(hours=24)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_COPIED = ("environment", "release", "model", "task_category")
_OUTCOME = {"success": "success", "reward": "reward", "end": "outcome_end"}
_PROMPT_FIELDS = frozenset({"prompts", "prompt_version", "system_prompt_sha"})


def normalise(line: dict[str, Any], *, now: datetime) -> tuple[str | None, Trace]:
    """The line's own agent, and its trace. Raises `InputError` with the reason, naming the field.

    Events are sorted by time (stable); each result gets its call's id and name, matched by call id, else in
    order per tool; ids that come again are made unique. A time without an offset is UTC.
    """
    try:
        checked = TRACE_LINE.validate_python(_without_nulls(line))
    except ValidationError as error:
        raise InputError(reason_of(error)) from error
    agent = checked.get("agent")
    started_at = _in_utc(checked["started_at"])
    events = sorted(checked["events"], key=lambda event: event["t_ms"])
    ended_at = started_at + timedelta(milliseconds=events[-1]["t_ms"]) if events else started_at
    _check_times(started_at, ended_at, now)
    _tidy(events)
    _pair(events)
    outcome = checked.get("outcome", {})
    trace: dict[str, Any] = {
        "trace_id": checked.get("trace_id", checked["session_id"]),
        "session_id": checked["session_id"],
        "started_at": iso(started_at),
        "ended_at": iso(ended_at),
        "prompts": _prompts(checked, events),
        "events": events,
        "event_count": len(events),
        "extra": _extra(checked),
    }
    trace.update({name: value for name, value in checked.items() if name in _COPIED})
    if "model" not in trace and (models := [event["model"] for event in _llm_calls(events) if "model" in event]):
        trace["model"] = models[0]
    trace.update({column: value for name, value in outcome.items() if (column := _OUTCOME.get(name))})
    return agent, cast("Trace", trace)


def _without_nulls(line: dict[str, Any]) -> dict[str, Any]:
    """Null says the same as absence, in every field that is ours."""
    if None in line.values():
        line = {name: value for name, value in line.items() if value is not None or name not in LINE_FIELDS}
    events, outcome = line.get("events"), line.get("outcome")
    if outcome is not None:
        line = {**line, "outcome": _without(outcome)}
    if isinstance(events, list):
        line = {**line, "events": [_without(event) for event in cast("list[Any]", events)]}
    return line


def _without(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = cast("dict[str, Any]", value)
    return {name: part for name, part in parts.items() if part is not None} if None in parts.values() else parts


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _check_times(started_at: datetime, ended_at: datetime, now: datetime) -> None:
    if started_at < EARLIEST:
        raise InputError(f"started_at is {iso(started_at)}, before the year 2000")
    for name, moment in (("started_at", started_at), ("the time of its last event", ended_at)):
        if moment > now + AHEAD_MAX:
            raise InputError(f"{name} is {iso(moment)}, more than 24 hours in the future (it is {iso(now)})")


def _tidy(events: list[Event]) -> None:
    """Texts that are none become JSON text, arguments in JSON text an object, and `ok` is settled."""
    for event in events:
        if not isinstance(event.get("text", ""), str):
            event["text"] = canonical_json(event.get("text"))
        if not isinstance(event.get("error", ""), str):
            event["error"] = canonical_json(event.get("error"))
        args = event.get("args")
        if isinstance(args, str) and args.lstrip().startswith("{"):
            event["args"] = _object_in(args)
        if event["type"] == "tool_result" and "ok" not in event:
            event["ok"] = not event.get("error")


def _object_in(text: str) -> Any:
    """The object that the text holds (as OpenAI's API sends arguments), else the text."""
    try:
        value = from_json(text, allow_inf_nan=False)
        storable = "\\u0000" not in text and canonical_json(value)
    except ValueError:
        return text
    return value if storable else text


def _pair(events: list[Event]) -> None:
    """Every call gets an id of its own, every result that of its call and the call's name."""
    taken = {event["call_id"] for event in events if "call_id" in event}
    new_ids = (candidate for candidate in map("#{}".format, count(1)) if candidate not in taken)
    calls: list[tuple[str | None, Event]] = []
    seen: set[str] = set()
    for number, event in _numbered(events, "tool_call"):
        if "name" not in event:
            raise InputError(f"events[{number}].name is missing: a tool_call names its tool")
        given = event.get("call_id")
        calls.append((given, event))
        if given is None or given in seen:
            event["call_id"] = next(new_ids)
        else:
            seen.add(given)
    waiting = _Waiting(calls)
    for number, event in _numbered(events, "tool_result"):
        call = waiting.take(event.get("call_id"), event.get("name"))
        if call is not None and "name" in call and "call_id" in call:
            event["call_id"], event["name"] = call["call_id"], call["name"]
        elif "name" not in event:
            raise InputError(f"events[{number}].name is missing, and no tool_call waits for this result")
        else:
            event["call_id"] = next(new_ids)


class _Waiting:
    """Calls without a result so far, by the id that their result will give, and by tool."""

    def __init__(self, calls: list[tuple[str | None, Event]]) -> None:
        """`calls` in order, each with the id that the line gave it."""
        self._calls = calls
        self._by_id: dict[str, list[Event]] = {}  # the oldest last, to be popped first
        for given_id, call in reversed(calls):
            if given_id is not None:
                self._by_id.setdefault(given_id, []).append(call)
        self._answered: set[int] = set()

    @cached_property
    def _by_tool(self) -> dict[str | None, list[Event]]:
        """As `_by_id`; under None those of all tools. Made when a result without an id asks: few traces have one."""
        queues: dict[str | None, list[Event]] = {}
        for _, call in reversed(self._calls):
            queues.setdefault(call.get("name"), []).append(call)
            queues.setdefault(None, []).append(call)
        return queues

    def take(self, given_id: str | None, name: str | None) -> Event | None:
        """By id, or by tool where the result has no id."""
        queue = self._by_tool.get(name) if given_id is None else self._by_id.get(given_id)
        while queue:
            call = queue.pop()
            if id(call) not in self._answered:
                self._answered.add(id(call))
                return call
        return None


def _numbered(events: list[Event], kind: str) -> Iterable[tuple[int, Event]]:
    return ((number, event) for number, event in enumerate(events) if event["type"] == kind)


def _llm_calls(events: list[Event]) -> Iterable[Event]:
    return (event for event in events if event["type"] == "llm_call")


def _prompts(line: TraceLine, events: list[Event]) -> dict[str, str | list[str]]:
    """Prompt name ('' where none is given) -> its version, or all of them in order where it changed."""
    found: dict[str, list[str]] = {}
    if "prompts" in line:
        found = {name: [version] for name, version in line["prompts"].items()}
    elif "prompt_version" in line:
        found = {"": [line["prompt_version"]]}
    elif "system_prompt_sha" in line:
        found = {"": [line["system_prompt_sha"]]}
    for event in _llm_calls(events):
        for name, version in event.get("prompts", {}).items():
            versions = found.setdefault(name, [])
            if version not in versions:
                versions.append(version)
    return {name: versions[0] if len(versions) == 1 else versions for name, versions in found.items()}


def _extra(line: TraceLine) -> dict[str, Any]:
    """What is not ours, and what we had no use for."""
    values = cast("dict[str, Any]", line)
    used = next((field for field in ("prompts", "prompt_version", "system_prompt_sha") if field in line), None)
    extra = {
        name: value
        for name, value in values.items()
        if name not in LINE_FIELDS or (name in _PROMPT_FIELDS and name != used)
    }
    outcome = {name: value for name, value in values.get("outcome", {}).items() if name not in OUTCOME_FIELDS}
    return {**extra, "outcome": outcome} if outcome else extra
