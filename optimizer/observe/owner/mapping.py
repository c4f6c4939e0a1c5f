"""Which column of the owner's table says what: as ratchet.toml names it, else by its usual names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optimizer.errors import DatabaseError, SettingsError
from optimizer.observe.owner.values import as_list, as_object, inside
from optimizer.records.base import canonical_json, sha256_of
from optimizer.settings.tables import AgentConfigSettings, MessagesSettings, TableSettings, TracesSettings
from optimizer.stores.owner_tables import Column, Table, TableRef

Kind = Literal["traces", "messages", "agent_config"]
READER = 1  # another number reads everything anew: rows are understood otherwise

_EVENTS = ("events", "payload.events", "payload.steps", "payload.messages", "payload.trace.events", "steps", "messages")
_IN = ("payload.tokens_in", "payload.usage.input_tokens", "payload.usage.prompt_tokens")
_OUT = ("tokens.completion", "payload.tokens_out", "payload.usage.output_tokens", "payload.usage.completion_tokens")
_USAGE = {
    "tokens_in": ("tokens_in", "input_tokens", "prompt_tokens", "tokens.input", "tokens.in", "tokens.prompt", *_IN),
    "tokens_out": ("tokens_out", "output_tokens", "completion_tokens", "tokens.output", "tokens.out", *_OUT),
    "tokens_cached": ("tokens_cached", "cached_tokens", "tokens.cached", "payload.usage.cache_read_input_tokens"),
    "cost_usd": ("cost_usd", "cost", "total_cost", "total_cost_usd", "payload.cost_usd", "payload.cost"),
}
USUAL: Mapping[Kind, Mapping[str, tuple[str, ...]]] = {
    "traces": {
        "id": ("id", "uuid", "trace_id", "run_id"),
        "session_id": ("session_id", "conversation_id", "thread_id", "chat_id", "payload.session_id"),
        "trace_id": (),
        "created_at": ("created_at", "inserted_at", "timestamp", "started_at"),
        "updated_at": ("updated_at", "modified_at"),
        "started_at": ("started_at", "start_time", "payload.started_at", "payload.start_time"),
        "agent": ("agent", "agent_name", "agent_slug", "payload.agent"),
        "environment": ("environment", "env", "payload.environment"),
        "release": ("release", "app_version", "payload.release"),
        "model": ("model", "model_name", "payload.model"),
        "task_category": ("task_category", "category", "payload.task_category"),
        **_USAGE,
        "steps": ("steps", "step_count", "payload.step_count"),
        "success": ("success", "succeeded", "payload.outcome.success", "payload.success"),
        "reward": ("reward", "payload.outcome.reward"),
        "payload": ("payload", "data", "trace"),
        "events": _EVENTS,
        "prompts": ("prompts", "prompt_versions", "payload.prompts", "payload.prompt_versions"),
        "prompt_version": ("prompt_version", "payload.prompt_version", "payload.system_prompt_sha"),
    },
    "messages": {
        "id": ("id", "uuid", "message_id"),
        "session_id": ("session_id", "conversation_id", "thread_id", "chat_id"),
        "created_at": ("created_at", "inserted_at", "timestamp", "sent_at"),
        "updated_at": ("updated_at", "modified_at"),
        "role": ("role", "sender", "author", "type", "direction"),
        "content": ("content", "text", "body", "message"),
        "feedback": ("feedback", "thumb", "thumbs", "reaction"),
        "rating": ("rating", "stars"),
    },
    "agent_config": {
        "id": ("id", "uuid"),
        "agent": ("agent", "agent_name", "agent_slug", "slug"),
        "key": ("key", "setting"),
        "value": ("value",),
        "tools": ("tools", "config.tools", "value.tools", "settings.tools"),
        "escalation_tools": ("escalation_tools", "config.escalation_tools", "settings.escalation_tools"),
        "prompts": ("prompts", "config.prompts", "settings.prompts"),
        "environment": ("environment", "env"),
    },
}
_PLAIN = {
    "traces": ("id", "created_at", "updated_at"),
    "messages": ("id", "session_id", "created_at", "updated_at"),
    "agent_config": ("id",),
}
_NEEDED: Mapping[Kind, tuple[str, ...]] = {
    "traces": ("id", "session_id", "created_at"),
    "messages": ("id", "session_id", "created_at", "role", "content"),
    "agent_config": (),
}
TIMES = ("timestamp with time zone", "timestamp without time zone")
_OPEN = ("json", "jsonb", "text", "character varying")  # what something may stand inside of


@dataclass(frozen=True)
class Mapped:
    """A table that can be read: where each field stands, and what the reading functions are told."""

    kind: Kind
    table: str  # as ratchet.toml names it, with its schema
    paths: Mapping[str, tuple[tuple[str, ...], ...]]
    ref: TableRef
    digest: str  # of all of this: another one reads the table anew

    @property
    def source(self) -> str:
        return f"{self.kind} {self.table}"

    def value(self, row: Mapping[str, Any], field: str) -> Any:
        """The first value that one of the field's places holds. Raises `InputError` for JSON text that is none."""
        for path in self.paths.get(field, ()):
            found: Any = row.get(path[0])
            for part in path[1:]:
                inner = as_object(inside(found, path[0]))
                found = inner.get(part) if inner else None
            if found is not None:
                return found
        return None

    def column(self, field: str) -> str | None:
        """The plain column of a field."""
        return next((path[0] for path in self.paths.get(field, ()) if len(path) == 1), None)


def kind_of(settings: TableSettings) -> Kind:
    kinds: dict[type, Kind] = {
        TracesSettings: "traces",
        MessagesSettings: "messages",
        AgentConfigSettings: "agent_config",
    }
    return kinds[type(settings)]


def not_read(settings: TableSettings, error: DatabaseError) -> DatabaseError:
    """The error with the table that it is about."""
    return DatabaseError(f"[{kind_of(settings)}] {'.'.join(settings.schema_and_name)} could not be read: {error}")


def map_table(settings: TableSettings, table: Table | None) -> Mapped:
    """Raises `SettingsError` with what is missing and its nearest neighbour."""
    kind = kind_of(settings)
    schema, name = settings.schema_and_name
    where = f"{schema}.{name}"
    if table is None:
        raise SettingsError(
            f"[{kind}]: there is no table {where!r} that may be read; correct its name in ratchet.toml."
        )
    if not table.readable:
        raise SettingsError(
            f"[{kind}]: the table {where!r} may not be read; grant usage on its schema and select on it to the role "
            "that ran the migrations."
        )
    columns = {column.name: column for column in table.columns}
    given: dict[str, str] = settings.columns.model_dump(exclude_none=True)
    paths = {
        field: (_given(kind, where, field, given[field], columns),)
        if field in given
        else tuple(path for path in (tuple(usual.split(".")) for usual in names) if _fits(path, columns))
        for field, names in USUAL[kind].items()
    }
    if "agent" not in given and settings.agent is not None and "agent" in paths:
        paths["agent"] = ()
    for field in _PLAIN[kind]:
        paths[field] = tuple(path for path in paths[field] if len(path) == 1)[:1]
    _require(kind, where, paths, columns)
    ref = _ref(kind, schema, name, paths, columns, given)
    shape = canonical_json([READER, settings.agent, {field: list(map(list, path)) for field, path in paths.items()}])
    return Mapped(kind, where, paths, ref, sha256_of(shape + canonical_json(ref.as_json()))[:32])


def _given(kind: Kind, where: str, field: str, path: str, columns: Mapping[str, Column]) -> tuple[str, ...]:
    parts = tuple(path.split("."))
    place = f"[{kind}] columns.{field} = {path!r}"
    column = columns.get(parts[0])
    if column is None:
        raise SettingsError(f"{place}: {where} has no column {parts[0]!r}{_nearest(parts[0], columns)}; correct it.")
    if len(parts) > 1 and column.type not in _OPEN:
        raise SettingsError(f"{place}: the column {parts[0]!r} is {column.type}, so nothing stands inside; correct it.")
    if len(parts) > 1 and field in _PLAIN[kind]:
        raise SettingsError(f"{place}: it must be a column, not a path into one; name a column.")
    return parts


def _fits(path: tuple[str, ...], columns: Mapping[str, Column]) -> bool:
    column = columns.get(path[0])
    return column is not None and (len(path) == 1 or column.type in _OPEN)


def _require(
    kind: Kind, where: str, paths: Mapping[str, tuple[tuple[str, ...], ...]], columns: Mapping[str, Column]
) -> None:
    for field in _NEEDED[kind]:
        if not paths[field]:
            raise SettingsError(
                f"[{kind}]: {where} has no column called {' or '.join(USUAL[kind][field])}{_nearest(field, columns)}; "
                f'name the one that holds it: columns.{field} = "...".'
            )
    if kind == "traces" and not (paths["events"] or paths["payload"]):
        raise SettingsError(f'[traces]: {where} has no column of events; name it: columns.events = "payload.events".')
    if kind == "agent_config":
        if not (paths["key"] and paths["value"]) and not any(paths[one] for one in ("tools", "prompts")):
            raise SettingsError(f'[agent_config]: {where} has no column of tools; name it: columns.tools = "tools".')
        return
    key = paths["created_at"][0][0]
    if columns[key].type not in TIMES:
        raise SettingsError(
            f"[{kind}]: the column {key!r} of {where} is {columns[key].type}, no time; name one that is a timestamp: "
            'columns.created_at = "...".'
        )


def _ref(
    kind: Kind,
    schema: str,
    name: str,
    paths: Mapping[str, tuple[tuple[str, ...], ...]],
    columns: Mapping[str, Column],
    given: Mapping[str, str],
) -> TableRef:
    used = {path[0] for places in paths.values() for path in places}
    if kind == "agent_config":
        first = next((paths[field][0][0] for field in ("id", "key", "agent") if paths[field]), min(used))
        return TableRef(schema_name=schema, name=name, id=first, columns=tuple(sorted({*used, first})))
    created, key, key_or = columns[paths["created_at"][0][0]], None, None
    updated = columns[paths["updated_at"][0][0]] if paths["updated_at"] else None
    if updated is not None and updated.type != created.type:
        if "updated_at" in given:
            raise SettingsError(
                f"[{kind}]: {updated.name!r} is {updated.type} and {created.name!r} is {created.type}, and one order "
                "needs one type; leave updated_at out, or name another column."
            )
        updated = None
    key, key_or = (created.name, None) if updated is None else (updated.name, created.name)
    if updated is not None and updated.not_null:
        key_or = None
    id_ = paths["id"][0][0]
    wanted = {*used, id_, key, *([key_or] if key_or else [])}
    return TableRef(schema_name=schema, name=name, id=id_, key=key, key_or=key_or, columns=tuple(sorted(wanted)))


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def items_in(value: Any) -> list[Any] | None:
    """A list, also one in JSON text or under the usual name in an object; None where there is none."""
    value = inside(value, "the column of events")
    inner = as_object(value)
    if inner is not None:
        return next((found for name in ("events", "steps", "messages") if (found := as_list(inner.get(name)))), None)
    return as_list(value)
