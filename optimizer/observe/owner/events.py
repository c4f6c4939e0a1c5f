"""Events as they stand in the owner's rows -> events as a trace line has them.

A row may hold our own form, one event for a call and its result, messages as OpenAI's or Anthropic's API has them
(calls and results as blocks inside), or any of the names in `fields`. What is no event of ours is left out and
counted; fields that have no meaning here are kept as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from optimizer.errors import InputError
from optimizer.observe.owner.fields import snake
from optimizer.observe.owner.part import Part, part_of
from optimizer.observe.owner.values import Relative, as_list, as_object, milliseconds

EVENTS_MAX = 20_000
_DEPTH_MAX = 8
_MILLISECOND = timedelta(milliseconds=1)


class ReadEvents(NamedTuple):
    started_at: datetime
    events: list[dict[str, Any]]
    left_out: dict[str, int]  # by type


def read_events(raw: Iterable[Any], started_at: datetime | None, created_at: datetime) -> ReadEvents:
    """The events of one run. It began at `started_at`, else with its first event that has a date, else at `created_at`.

    Events without a time happen when the one before them does. Raises `InputError` for more than 20,000 events.
    """
    left_out: Counter[str] = Counter()
    parts: list[Part] = []
    for part in _flat(raw, left_out, 0):
        parts.append(part)
        if len(parts) > EVENTS_MAX:
            raise InputError(f"it has more than {EVENTS_MAX} events")
    dated: list[datetime] = [part.time for part in parts if isinstance(part.time, datetime)]
    if started_at is not None:
        dated.append(started_at)
    began = min(dated, default=created_at)
    answered = {part.call_id for part in parts if part.kind == "tool_result" and part.call_id is not None}
    timeline = _Timeline(began, "s" if any(map(_is_fraction, parts)) else "ms")
    events: list[dict[str, Any]] = []
    for index, part in enumerate(_that_can_be_used(parts, left_out)):
        start, end = timeline.place(part)
        events.extend(_events_of(part, start, end, f"@{index}", answered))
    return ReadEvents(began, events, dict(left_out))


def _that_can_be_used(parts: list[Part], left_out: Counter[str]) -> Iterator[Part]:
    """Without calls that do not name their tool, and without results of a tool that nobody names."""
    called = {part.call_id for part in parts if part.kind == "tool_call" and part.name is not None}
    waiting = 0
    for part in parts:
        if part.kind == "tool_call":
            if part.name is None:
                left_out["tool_call without a name"] += 1
                continue
            waiting += part.result is None
        elif part.kind == "tool_result" and part.name is None:
            known = part.call_id in called if part.call_id is not None else waiting > 0
            if not known:
                left_out["tool_result without a call"] += 1
                continue
        waiting -= part.kind == "tool_result"
        yield part


def _is_fraction(part: Part) -> bool:
    """Whether a time without a unit is written in seconds: milliseconds have no fractions worth writing."""
    times = (value for value in (part.time, part.duration) if isinstance(value, Relative))
    return any(value.unit is None and value.value % 1 for value in times)


@dataclass
class _Timeline:
    began: datetime
    bare_unit: str
    last_ms: int = 0

    def place(self, part: Part) -> tuple[int, int]:
        """When the event begins and ends, in ms since the run began."""
        start = self.last_ms if part.time is None else self._ms(part.time)
        end = start
        if part.ended is not None:
            end = max(start, self._ms(part.ended))
        elif part.duration is not None:
            end = start + milliseconds(part.duration, self.bare_unit)
        # The duration of a result that has no time of its own is that of the call before it.
        if part.kind == "tool_result" and part.time is None:
            start = end
        self.last_ms = end if part.time is None else start
        return start, end

    def _ms(self, time: datetime | Relative) -> int:
        if isinstance(time, datetime):
            return max(0, round((time - self.began) / _MILLISECOND))
        return milliseconds(time, self.bare_unit)


def _flat(raw: Iterable[Any], left_out: Counter[str], depth: int, outer: Part | None = None) -> Iterator[Part]:
    """The parts of a list of events, those inside other events included, in their order."""
    for item in raw:
        values = as_object(item)
        if values is None or depth > _DEPTH_MAX:
            left_out["no event" if values is None else "nested too deeply"] += 1
            continue
        part = part_of(values, outer)
        if part.kind is not None:
            yield from _with_blocks(part)
        elif not part.children:
            left_out[part.type[:50] or "no type"] += 1
        yield from _flat(part.children, left_out, depth + 1, part)


def _with_blocks(part: Part) -> Iterator[Part]:
    """A message whose content is a list of blocks is its text, and the calls and results among the blocks."""
    blocks = as_list(part.content) if part.kind in ("user_message", "assistant_message") else None
    if blocks is None:
        speaks = part.kind != "assistant_message" or part.content is not None or not part.children
        if speaks or part.usage:
            yield part if speaks else part.as_llm_call
        return
    texts: list[str] = []
    others: list[Part] = []
    for block in blocks:
        values = as_object(block)
        if isinstance(block, str):
            texts.append(block)
        elif values is not None and snake(str(values.get("type", "text"))) in ("text", "input_text", "output_text"):
            texts.append(str(values.get("text", "")))
        elif values is not None and (inner := part_of(values, part)).kind in ("tool_call", "tool_result"):
            others.append(inner)
    yield from (one for one in others if one.kind == "tool_result")
    if texts or not others:
        yield part.with_text("\n".join(texts))
    elif part.usage:
        yield part.as_llm_call
    yield from (one for one in others if one.kind == "tool_call")


def _events_of(part: Part, start: int, end: int, own_id: str, answered: set[str]) -> Iterator[dict[str, Any]]:
    """A call that already has its result becomes two events."""
    event: dict[str, Any] = {**part.rest, "type": part.kind, "t_ms": start, **part.usage}
    if part.kind == "tool_call":
        result = part.result if part.call_id not in answered else None
        call_id = part.call_id or (own_id if result is not None else None)
        known = {"name": part.name, "args": part.args, "call_id": call_id}
        yield event | {name: value for name, value in known.items() if value is not None}
        if result is not None:
            yield {"type": "tool_result", "t_ms": end, "name": part.name, "call_id": call_id, **result}
        return
    if part.kind == "tool_result":
        event |= {name: value for name, value in (("name", part.name), ("call_id", part.call_id)) if value is not None}
        yield event | (part.result or {})
        return
    yield event | part.said
