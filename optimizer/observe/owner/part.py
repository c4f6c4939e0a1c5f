"""One event of the owner's, with its fields under our names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from optimizer.observe.owner import fields
from optimizer.observe.owner.fields import snake
from optimizer.observe.owner.values import Relative, as_list, as_object, inside, moment, number, text, time_of, verdict

_BAD_STATUS_MIN = 400  # of HTTP
_ROLES = {"tool": "tool_result", "function": "tool_result"}  # a message of that role is a result, an event is a call


@dataclass(slots=True)
class Part:
    """An event before it has its place in time; `kind` is None where it is none of ours."""

    type: str
    kind: str | None
    time: datetime | Relative | None = None
    ended: datetime | None = None
    duration: Relative | None = None
    name: str | None = None
    args: Any = None
    call_id: str | None = None
    content: Any = None
    result: dict[str, Any] | None = None  # ok, error and text, where the event holds them
    said: dict[str, Any] = field(default_factory=dict[str, Any])  # text, error, model and prompts of other events
    usage: dict[str, Any] = field(default_factory=dict[str, Any])  # tokens and cost
    children: list[Any] = field(default_factory=list[Any])
    rest: dict[str, Any] = field(default_factory=dict[str, Any])

    def with_text(self, said: str) -> Part:
        return replace(self, said={**self.said, "text": said})

    @property
    def as_llm_call(self) -> Part:
        """The response alone: what it cost, without words."""
        return replace(self, kind="llm_call", said={}, children=[])


_AS_CALLED: Mapping[str, str] = {}
_USAGE = ("usage", "tokens", "prompt_tokens_details")


class _Fields:
    """The fields of one event by their names in snake case; what was taken is not left over."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values: dict[str, tuple[str, Any]] = {}
        self._taken: set[str] = set()
        self._add(values, 0)

    def _add(self, values: dict[str, Any], depth: int, names: Mapping[str, str] = _AS_CALLED) -> None:
        for name, value in values.items():
            if value is not None:
                self._values.setdefault(names.get(snake(name), snake(name)), (name, value))
        if self._values.keys().isdisjoint(fields.WRAPPERS):
            return
        for wrapper in fields.WRAPPERS:
            inner = self._values.get(wrapper)
            values_inside = as_object(inner[1]) if inner else None
            if values_inside is not None and wrapper not in self._taken and depth < len(fields.WRAPPERS):
                self._taken.add(wrapper)
                self._add(values_inside, depth + 1, fields.IN_USAGE if wrapper in _USAGE else _AS_CALLED)

    def find(self, names: tuple[str, ...]) -> tuple[str, Any] | None:
        """The first of the names that is there, and its value; not an object that was opened."""
        if self._values.keys().isdisjoint(names):
            return None
        for name in names:
            if name in self._values and name not in self._taken:
                return name, self._values[name][1]
        return None

    def take(self, names: tuple[str, ...]) -> Any:
        found = self.find(names)
        if found is None:
            return None
        self._taken.add(found[0])
        return found[1]

    def name_in(self, wrapper: str) -> str | None:
        """The name inside of an object that was opened: `{"function": {"name": "search"}}`."""
        opened = self._values.get(wrapper)
        inner = as_object(opened[1]) if opened else None
        return text(inner.get("name")) if inner else None

    @property
    def rest(self) -> dict[str, Any]:
        return {
            original: value
            for name, (original, value) in self._values.items()
            if name not in self._taken and original not in _OURS
        }


_OURS = frozenset({"type", "t_ms", "name", "args", "call_id", "ok", "error", "text", "model", "prompts"}) | frozenset(
    {"tokens_in", "tokens_out", "tokens_cached", "cost_usd"}
)


def part_of(values: dict[str, Any], outer: Part | None) -> Part:
    """The event that an object holds; what stands inside another event happens when that one does."""
    found = _Fields(values)
    type_, kind = _kind(found)
    time = _time(found, fields.TIME)
    part = Part(
        type=type_,
        kind=kind,
        time=time if time is not None else outer.time if outer else None,
        ended=moment(found.take(fields.ENDED)),
        duration=_duration(found),
        children=_children(found),
        usage=_usage(found),
    )
    if kind in ("tool_call", "tool_result"):
        return _tool(part, found)
    return _other(part, found)


def _children(found: _Fields) -> list[Any]:
    if found.find(fields.CHILDREN) is None:
        return []
    return [child for name in fields.CHILDREN for child in as_list(found.take((name,))) or ()]


def _kind(found: _Fields) -> tuple[str, str | None]:
    """What the event says it is; a message is what its role says."""
    named = text(found.take(("type", "event_type", "kind")))
    event = found.find(("event",))
    if named is None and event is not None and isinstance(event[1], str):
        named = text(found.take(("event",)))
    role = found.find(("role", "sender", "author"))
    said = text(role[1]) if role else None
    if named is None or snake(named) in ("message", "chat_message", "msg", "text"):
        if role is not None and said is not None:
            found.take((role[0],))
            word = snake(said)
            return said, _ROLES.get(word) or fields.KINDS.get(word)
        if named is None:
            # A call needs no type where it says which tool it is.
            bare = found.find(("tool_name", "tool", "function_name")) or found.name_in("function")
            return "", "tool_call" if bare else None
    return named, fields.KINDS.get(snake(named))


def _time(found: _Fields, names: tuple[str, ...]) -> datetime | Relative | None:
    field_ = found.find(names)
    if field_ is None:
        return None
    found.take((field_[0],))
    return time_of(*field_)


def _duration(found: _Fields) -> Relative | None:
    field_ = found.find(fields.DURATION)
    value = number(field_[1]) if field_ else None
    if field_ is None or value is None or value < 0:
        return None
    found.take((field_[0],))
    name = field_[0]
    return Relative(value, "ms" if name.endswith("_ms") else "s" if name.endswith(("_s", "_seconds")) else None)


def _usage(found: _Fields) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    for ours, names in (
        ("tokens_in", fields.TOKENS_IN),
        ("tokens_out", fields.TOKENS_OUT),
        ("tokens_cached", fields.TOKENS_CACHED),
        ("cost_usd", fields.COST_USD),
    ):
        field_ = found.find(names)
        value = number(field_[1]) if field_ else None
        if field_ is not None and value is not None and value >= 0:
            found.take((field_[0],))
            usage[ours] = value if ours == "cost_usd" else round(value)
    return usage


def _tool(part: Part, found: _Fields) -> Part:
    name = (
        text(found.take(("tool_name", "function_name")))
        or found.name_in("function")
        or found.name_in("tool")
        or text(found.take(fields.NAME))
    )
    is_result = part.kind == "tool_result"
    args = None if is_result else found.take(fields.ARGS)
    call_id = text(found.take(fields.CALL_ID[:-1] if is_result else fields.CALL_ID))
    output = found.take((*fields.OUTPUT, *fields.TEXT) if is_result else fields.OUTPUT)
    result = _result(part, found, output)
    part.name, part.args, part.call_id, part.result, part.rest = name, args, call_id, result, found.rest
    return part


def _result(part: Part, found: _Fields, output: Any) -> dict[str, Any] | None:
    """How a call ended: `{"ok", "error"?, "text"?}`; None for a call that has not (or does not say so)."""
    error = found.take(fields.ERROR)
    ok = verdict(found.take(fields.OK))
    failed = verdict(found.take(fields.FAILED))
    status = found.find((*fields.STATUS, *fields.STATUS_CODE))
    if ok is None and failed is not None:
        ok = not failed
    if ok is None and status is not None:
        ok = _ok_by_status(*status)
    if error is True:
        ok, error = False, None
    elif not error or (isinstance(error, str) and snake(error) in ("", "none", "null", "false")):
        error = None
    is_result = part.kind == "tool_result"
    ended = part.duration is not None or part.ended is not None
    if not is_result and output is None and error is None and ok is None and not ended:
        return None
    if ok is None:
        ok = error is None and not snake(part.type).endswith("error")
    if not ok and error is None and is_result and snake(part.type).endswith("error"):
        error, output = output, None
    message = as_object(error)
    if message is not None:
        error = text(message.get("message")) or error
    result: dict[str, Any] = {"ok": ok}
    if error is not None:
        result["error"] = error
    if output is not None:
        result["text"] = output
    return result


def _ok_by_status(name: str, value: Any) -> bool | None:
    code = number(value)
    if code is not None and (name in fields.STATUS_CODE or code >= 100):
        return code < _BAD_STATUS_MIN
    return verdict(value) if isinstance(value, str | bool) else None


def _other(part: Part, found: _Fields) -> Part:
    content = found.take((*fields.TEXT, *(("output",) if part.kind == "assistant_message" else ("input",))))
    said: dict[str, Any] = {}
    if part.kind == "llm_call":
        said |= {name: value for name, value in (("model", text(found.take(fields.MODEL))), ("text", content)) if value}
        said |= _prompts(found)
    elif part.kind == "error":
        error = found.take(fields.ERROR)
        said["text"] = content if content is not None else error if error is not None else ""
        if (tool := text(found.take(("tool_name", "tool")))) is not None:
            said["name"] = tool
    elif content is not None and as_list(content) is None:
        said["text"] = content
    part.content, part.said, part.rest = content, said, found.rest
    return part


def _prompts(found: _Fields) -> dict[str, Any]:
    """The prompts of one model call, by name: an object, or one name with its version."""
    prompts = as_object(inside(found.take(("prompts",)), "prompts"))
    if prompts:
        return {"prompts": {name: version for name, version in prompts.items() if text(version)}}
    name, version = text(found.take(("prompt_name", "prompt_id"))), text(found.take(("prompt_version", "prompt_sha")))
    return {"prompts": {name or "": version}} if version else {}
