"""A row of the owner's -> the trace that it is, through the same normaliser as a line of a file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from optimizer.clock import iso
from optimizer.errors import InputError
from optimizer.observe.normalise import normalise
from optimizer.observe.owner.events import read_events
from optimizer.observe.owner.mapping import Mapped, items_in
from optimizer.observe.owner.values import as_list, as_object, inside, moment, number, text, verdict
from optimizer.observe.parse import parse_line
from optimizer.observe.refusal import shown
from optimizer.records.trace import Trace
from optimizer.text.slug import SLUG_RULE, is_slug

_NAMES = ("environment", "release", "model", "task_category")
_USAGE = ("tokens_in", "tokens_out", "tokens_cached", "cost_usd")


def trace_of(doc: str, row_id: str, mapped: Mapped, agent: str | None, *, now: datetime) -> tuple[str, Trace]:
    """The agent and the trace of a row (`doc`: the JSON text of its columns). Raises `InputError` with the reason.

    `agent` is whose row it is where no column says so. Tokens and cost of the row count where its events carry
    none: as one model call at the end.
    """
    row, _ = parse_line(doc.encode())
    created_at = moment(mapped.value(row, "created_at"))
    if created_at is None:
        raise InputError("created_at is missing")
    slug = agent_of(row, mapped, agent)
    raw = items_in(mapped.value(row, "events"))
    if raw is None:
        raw = items_in(mapped.value(row, "payload"))
    read = read_events(raw or (), moment(mapped.value(row, "started_at")), created_at)
    trace_id = text(mapped.value(row, "trace_id")) or row_id
    line: dict[str, Any] = {
        "trace_id": trace_id,
        "session_id": text(mapped.value(row, "session_id")) or trace_id,
        "started_at": iso(read.started_at),
        "events": [*read.events, *_uncounted(row, mapped, read.events)],
        "owner_table": mapped.table,
    }
    if read.left_out:
        line["left_out"] = read.left_out
    line |= {name: value for name in _NAMES if (value := text(mapped.value(row, name)))}
    line |= _prompts(mapped.value(row, "prompts"), mapped.value(row, "prompt_version"))
    if (outcome := _outcome(row, mapped)) is not None:
        line["outcome"] = outcome
    if (steps := number(mapped.value(row, "steps"))) is not None:
        line["steps"] = steps
    _, trace = normalise(line, now=now)
    return slug, trace


def agent_of(row: dict[str, Any], mapped: Mapped, agent: str | None) -> str:
    """Whose row it is; `agent` where it does not say. Raises `InputError` where nobody says so."""
    slug = text(mapped.value(row, "agent")) or agent
    if slug is None:
        raise InputError('it names no agent; say whose rows these are: agent = "..."')
    if not is_slug(slug):
        raise InputError(f"agent is {shown(slug)}, not {SLUG_RULE}")
    return slug


def _uncounted(row: dict[str, Any], mapped: Mapped, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the row says about tokens and cost, and no event does."""
    usage: dict[str, Any] = {}
    for name in _USAGE:
        value = number(mapped.value(row, name))
        if value is not None and value >= 0 and not any(name in event for event in events):
            usage[name] = value if name == "cost_usd" else round(value)
    end = max((event["t_ms"] for event in events), default=0)
    return [{"type": "llm_call", "t_ms": end, **usage}] if usage else []


def _prompts(prompts: Any, version: Any) -> dict[str, Any]:
    """`{"prompts": {name: version}}` or `{"prompt_version": ...}`, whichever the row can say."""
    for value in (inside(prompts, "prompts"), inside(version, "prompt_version")):
        named = _named(value)
        if named:
            return {"prompts": named}
    single = text(version) or text(prompts)
    return {"prompt_version": single} if single else {}


def _named(value: Any) -> dict[str, str]:
    """Prompt names and versions: an object, or a list of objects with a name and a version."""
    fields = as_object(value)
    if fields is not None:
        flat = {name: as_object(said) for name, said in fields.items()}
        found = {name: text(said.get("version")) if (said := flat[name]) else text(fields[name]) for name in fields}
        return {name: version for name, version in found.items() if version}
    listed = [one for item in as_list(value) or () if (one := as_object(item)) is not None]
    pairs = ((text(one.get("name")), text(one.get("version")) or text(one.get("sha"))) for one in listed)
    return {name: version for name, version in pairs if name and version}


def _outcome(row: dict[str, Any], mapped: Mapped) -> dict[str, Any] | None:
    said = mapped.value(row, "success")
    success, reward = verdict(said), number(mapped.value(row, "reward"))
    outcome: dict[str, Any] = {}
    if success is not None:
        outcome["success"] = success
    if reward is not None:
        outcome["reward"] = reward
    if isinstance(said, str) and said.strip():
        outcome["end"] = said.strip()[:200]
    return outcome or None
