"""Messages of the owner's chat table, merged into the traces of their sessions that lack them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from optimizer.clock import iso
from optimizer.observe.owner.fields import KINDS, snake
from optimizer.observe.owner.mapping import Mapped
from optimizer.observe.owner.values import as_list, as_object, moment, number, text, verdict
from optimizer.observe.parse import parse_line
from optimizer.records.base import canonical_json
from optimizer.records.trace import TRACE_MS_MAX, Event, Trace

# A message farther from a run than this is another conversation's.
REACH = timedelta(hours=6)
TEXT_CHARACTERS_MAX = 20_000
_GOOD_STARS_MIN, _BAD_STARS_MAX = 4, 2
_UP = frozenset({"up", "thumbs_up", "thumb_up", "like", "liked", "positive", "good", "helpful", "1", "👍"})
_DOWN = frozenset({"down", "thumbs_down", "thumb_down", "dislike", "disliked", "negative", "bad", "unhelpful", "👎"})
_INBOUND = {"inbound": "user_message", "incoming": "user_message", "in": "user_message"}
_OUTBOUND = {"outbound": "assistant_message", "outgoing": "assistant_message", "out": "assistant_message"}


@dataclass(frozen=True)
class Message:
    session_id: str
    at: datetime
    type: str | None  # user_message, assistant_message; None for others
    text: str
    liked: bool | None  # what a person said about it


def message_of(doc: str, mapped: Mapped) -> Message | None:
    """The message of a row (`doc`: the JSON text of its columns); None for one that belongs to no session.

    Raises `InputError` for a text that is no JSON.
    """
    row, _ = parse_line(doc.encode())
    session_id, at = text(mapped.value(row, "session_id")), moment(mapped.value(row, "created_at"))
    if session_id is None or at is None:
        return None
    role = snake(text(mapped.value(row, "role")) or "")
    type_ = _INBOUND.get(role) or _OUTBOUND.get(role) or KINDS.get(role)
    return Message(
        session_id=session_id,
        at=at,
        type=type_ if type_ in ("user_message", "assistant_message") else None,
        text=_said(mapped.value(row, "content"))[:TEXT_CHARACTERS_MAX],
        liked=_liked(mapped.value(row, "feedback"), mapped.value(row, "rating")),
    )


def _said(content: Any) -> str:
    """The words of a message; of a list of blocks, those of its texts."""
    if isinstance(content, str):
        return content
    blocks = as_list(content)
    if blocks is not None:
        texts = [text(one.get("text")) if (one := as_object(block)) else text(block) for block in blocks]
        return "\n".join(one for one in texts if one)
    inner = as_object(content)
    if inner is not None and (words := text(inner.get("text")) or text(inner.get("content"))):
        return words
    return "" if content is None else canonical_json(content)


def _liked(feedback: Any, rating: Any) -> bool | None:
    """A thumb (a word, true and false, 1 and -1), else stars: four and five are good, one and two are bad."""
    inner = as_object(feedback)
    if inner is not None:
        feedback = next((inner[name] for name in ("thumb", "value", "rating", "type", "score") if name in inner), None)
    if isinstance(feedback, bool):
        return feedback
    value = number(feedback)
    if value is not None and value != 0:
        return value > 0
    if isinstance(feedback, str):
        word = snake(feedback) or feedback.strip()
        found = True if word in _UP else False if word in _DOWN else verdict(feedback)
        if found is not None:
            return found
    stars = number(rating)
    if stars is None or _BAD_STARS_MAX < stars < _GOOD_STARS_MIN or not 1 <= stars <= 5:
        return None
    return stars >= _GOOD_STARS_MIN


def merge(traces: Sequence[Trace], messages: Sequence[Message], table: str) -> tuple[Trace, ...]:
    """The traces of one session id with its messages; what was merged before is replaced.

    A user's message belongs to the run that was under way or began next, an answer to the run that began last, and
    neither to one that is more than six hours away. A run that has messages of its own of that side keeps those. A
    thumb becomes the outcome of a run that has none; the last one counts.
    """
    bare = sorted((_without_merged(trace) for trace in traces), key=_start_of)
    spans = [(datetime.fromisoformat(trace["started_at"]), datetime.fromisoformat(trace["ended_at"])) for trace in bare]
    given: list[list[Message]] = [[] for _ in bare]
    for message in sorted(messages, key=lambda message: message.at):
        index = _run_of(message, spans)
        if index is not None:
            given[index].append(message)
    return tuple(_merged(trace, mine, table) if mine else trace for trace, mine in zip(bare, given, strict=True))


def _run_of(message: Message, spans: Sequence[tuple[datetime, datetime]]) -> int | None:
    if message.type == "user_message":
        fits = (index for index, (start, end) in enumerate(spans) if end >= message.at >= start - REACH)
        index = next(fits, None)
        if index is not None:
            return index
    before = [index for index, (start, end) in enumerate(spans) if start <= message.at <= end + REACH]
    if before:
        return before[-1]
    return next((index for index, (start, _) in enumerate(spans) if start - REACH <= message.at <= start), None)


def _without_merged(trace: Trace) -> Trace:
    """The trace as its row alone says it."""
    extra = trace["extra"]
    if "messages" not in extra:
        return trace
    own = [event for event in trace["events"] if "merged_from" not in event]
    before = as_object(extra["messages"]) or {}
    bare = {name: value for name, value in trace.items() if not (before.get("rated") and name in _RATED)}
    bare["extra"] = {name: value for name, value in extra.items() if name != "messages"}
    return _with_events(cast("Trace", bare), own)


_RATED = ("success", "outcome_end")


def _merged(trace: Trace, messages: Sequence[Message], table: str) -> Trace:
    start = datetime.fromisoformat(trace["started_at"])
    has = {event["type"] for event in trace["events"]}
    added: list[tuple[int, int, Event]] = []
    for message in messages:
        if message.type is None or message.type in has:
            continue
        t_ms = max(0, round((message.at - start) / timedelta(milliseconds=1)))
        event: dict[str, Any] = {"type": message.type, "t_ms": t_ms, "text": message.text, "merged_from": table}
        if t_ms <= TRACE_MS_MAX:
            # At the same time, a question comes before what it led to, and an answer after it.
            added.append((t_ms, 0 if message.type == "user_message" else 2, cast("Event", event)))
    own = [(event["t_ms"], 1, event) for event in trace["events"]]
    events = [event for _, _, event in sorted([*added, *own], key=lambda placed: placed[:2])]
    thumbs = [message.liked for message in messages if message.liked is not None]
    rated = bool(thumbs) and not {"success", "reward", "outcome_end"} & trace.keys()
    if not added and not rated:
        return trace
    whole = dict(trace)
    if rated:
        whole |= {"success": thumbs[-1], "outcome_end": "feedback"}
    whole["extra"] = {**trace["extra"], "messages": {"merged": len(added), "rated": rated}}
    return _with_events(cast("Trace", whole), events)


def _with_events(trace: Trace, events: list[Event]) -> Trace:
    start = datetime.fromisoformat(trace["started_at"])
    end = start + timedelta(milliseconds=events[-1]["t_ms"]) if events else start
    return {**trace, "events": events, "event_count": len(events), "ended_at": iso(end)}


def _start_of(trace: Trace) -> datetime:
    return datetime.fromisoformat(trace["started_at"])
