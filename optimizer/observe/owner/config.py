"""The owner's table of agents' settings -> what each agent declares: tools, escalation tools, environment, prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from optimizer.errors import InputError
from optimizer.observe.declare import tool_name
from optimizer.observe.owner.fields import snake
from optimizer.observe.owner.mapping import Mapped
from optimizer.observe.owner.rows import agent_of
from optimizer.observe.owner.values import as_list, as_object, inside, text
from optimizer.observe.parse import parse_line
from optimizer.text.slug import is_slug

_FIELDS = ("tools", "escalation_tools", "prompts", "environment")
_KEYS = {
    **{field: field for field in _FIELDS},
    "tool_specs": "tools",
    "available_tools": "tools",
    "human_handoff_tools": "escalation_tools",
    "handoff_tools": "escalation_tools",
    "env": "environment",
    "system_prompts": "prompts",
}
_OBJECTS = ("config", "settings", "value")


@dataclass(frozen=True)
class Declared:
    """What the table says of one agent; None where it says nothing."""

    tools: tuple[Any, ...] | None = None
    escalation_tools: tuple[str, ...] | None = None
    environment: str | None = None
    prompts: tuple[tuple[str, str], ...] = ()  # names and texts


def declared_in(
    rows: Iterable[tuple[str, str | None]], mapped: Mapped, agent: str | None
) -> tuple[dict[str, Declared], tuple[str, ...]]:
    """By agent, what the rows (ids and JSON texts) declare, and why rows could not be used.

    A row is an agent with its settings, or one setting: a key and its value. Of two rows that say the same, the
    later one (by id) counts.
    """
    found: dict[str, Declared] = {}
    refused: list[str] = []
    for row_id, doc in rows:
        try:
            slug, values = _values(doc, mapped, agent)
            found[slug] = _with(found.get(slug, Declared()), values)
        except InputError as error:
            refused.append(f"{row_id}: {error}")
    return found, tuple(refused)


def _values(doc: str | None, mapped: Mapped, agent: str | None) -> tuple[str, dict[str, Any]]:
    if doc is None:
        raise InputError("it is too large")
    row, _ = parse_line(doc.encode())
    slug = agent_of(row, mapped, agent)
    values: dict[str, Any] = {}
    if (key := text(mapped.value(row, "key"))) is not None:
        value = inside(mapped.value(row, "value"), key)
        if (ours := _KEYS.get(snake(key))) is not None:
            values[ours] = value
        elif snake(key) in _OBJECTS and (inner := as_object(value)) is not None:
            values |= {ours: one for name, one in inner.items() if (ours := _KEYS.get(snake(name)))}
    for field in _FIELDS:
        if (value := mapped.value(row, field)) is not None:
            values[field] = inside(value, field)
    return slug, values


def _with(before: Declared, values: dict[str, Any]) -> Declared:
    tools = as_list(values.get("tools"))
    if tools is not None:
        bad = next((number for number, tool in enumerate(tools, 1) if tool_name(tool) is None), None)
        if bad is not None:
            raise InputError(f"its tool {bad} has no name")
        before = replace(before, tools=tuple(tools))
    escalation = values.get("escalation_tools")
    names = [text(one) for one in as_list(escalation) or ([escalation] if escalation else [])]
    if names and all(names):
        before = replace(before, escalation_tools=tuple(name for name in names if name))
    if (environment := text(values.get("environment"))) is not None:
        before = replace(before, environment=environment)
    if texts := _texts(values.get("prompts")):
        before = replace(before, prompts=tuple({**dict(before.prompts), **texts}.items()))
    return before


def _texts(prompts: Any) -> dict[str, str]:
    """Names and texts of prompts: an object, or a list of objects with a name and a text."""
    named = as_object(prompts)
    if named is None:
        listed = [one for item in as_list(prompts) or () if (one := as_object(item)) is not None]
        named = {name: one for one in listed if (name := text(one.get("name"))) is not None}
    found: dict[str, str] = {}
    for name, value in named.items():
        inner = as_object(value)
        words = (
            next((inner[key] for key in ("text", "content", "template", "prompt") if key in inner), None)
            if inner
            else value
        )
        # A name alone, or a version, is no text of a prompt.
        if is_slug(name) and isinstance(words, str) and " " in words.strip():
            found[name] = words
    return found
