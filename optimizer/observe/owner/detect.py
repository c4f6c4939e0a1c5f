"""Tables that look like an agent's, and the lines of ratchet.toml that would have them read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from optimizer.observe.owner.mapping import TIMES, USUAL, Kind, Mapped
from optimizer.stores.owner_tables import Column, Listed, Table

# One word for what each column is read for.
EXPLAINED: Mapping[str, str] = {
    "id": "row",
    "session_id": "conversation",
    "trace_id": "run",
    "created_at": "order",
    "updated_at": "changes",
    "started_at": "begin",
    "agent": "whose",
    "environment": "environment",
    "release": "release",
    "model": "model",
    "task_category": "category",
    "cost_usd": "dollars",
    "tokens_in": "input",
    "tokens_out": "output",
    "tokens_cached": "cached",
    "steps": "steps",
    "success": "outcome",
    "reward": "score",
    "payload": "everything",
    "events": "calls",
    "prompts": "prompts",
    "prompt_version": "prompt",
    "role": "speaker",
    "content": "words",
    "feedback": "thumb",
    "rating": "stars",
    "key": "setting",
    "value": "value",
    "tools": "tools",
    "escalation_tools": "handover",
}
INDEX_ROWS_MIN = 10_000  # a smaller table is read through faster than its index
_KNOWN_NAMES: Mapping[Kind, re.Pattern[str]] = {
    "traces": re.compile(r"trace|observab|agent_?runs?|llm_?(calls|runs|logs)", re.IGNORECASE),
    "messages": re.compile(r"messages?|chat", re.IGNORECASE),
    "agent_config": re.compile(r"config|setting|agents?$|prompts?$", re.IGNORECASE),
}
_JSON = ("json", "jsonb")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class Proposal(NamedTuple):
    """One table that looks like one of the three."""

    kind: Kind
    table: str
    columns: Mapping[str, str]  # field -> column or path


def propose_tables(listed: Sequence[Listed]) -> tuple[Proposal, ...]:
    """The likeliest table of each kind, by the names and types of its columns; none where none looks like it."""
    found: list[Proposal] = []
    taken: set[str] = set()
    for kind in ("messages", "traces", "agent_config"):
        ranked = sorted(_candidates(kind, listed), key=lambda ranked: ranked[0], reverse=True)
        best = next((proposal for _, proposal in ranked if proposal.table not in taken), None)
        if best is not None:
            taken.add(best.table)
            found.append(best)
    return tuple(sorted(found, key=lambda proposal: proposal.kind != "traces"))


def _candidates(kind: Kind, listed: Sequence[Listed]) -> Iterator[tuple[int, Proposal]]:
    for table in listed:
        if not _can_be_written(table.name) or not _can_be_written(table.schema_name):
            continue
        columns = {column.name: column for column in table.columns}
        fields = {field: path for field, names in USUAL[kind].items() if (path := _usual(names, columns))}
        # One order needs one type.
        if len({columns[fields[field]].type for field in ("created_at", "updated_at") if field in fields}) > 1:
            del fields["updated_at"]
        named = _KNOWN_NAMES[kind].search(table.name) is not None
        if _looks_like(kind, fields, columns, named=named):
            # Among tables with the same columns, the one with the telling name.
            yield len(fields) + 5 * named, Proposal(kind, f"{table.schema_name}.{table.name}", fields)


def _usual(names: Sequence[str], columns: Mapping[str, Column]) -> str | None:
    """The first usual name that is there; inside of another column only where everything is known to lie there."""
    for name in names:
        root, dot, _ = name.partition(".")
        column = columns.get(root)
        inside = name in ("payload.events", "payload.prompt_version")
        if column is not None and (not dot or (inside and column.type in _JSON)):
            return name
    return None


def _looks_like(kind: Kind, fields: Mapping[str, str], columns: Mapping[str, Column], *, named: bool) -> bool:
    if kind == "agent_config":
        return named and ("tools" in fields or {"key", "value"} <= fields.keys())
    if not {"id", "session_id", "created_at"} <= fields.keys() or columns[fields["created_at"]].type not in TIMES:
        return False
    if kind == "messages":
        return {"role", "content"} <= fields.keys()
    place = fields.get("events") or fields.get("payload")
    return place is not None and columns[place.partition(".")[0]].type in _JSON


def toml_lines(proposal: Proposal, agent: str) -> Iterator[str]:
    """The lines to paste, each column explained in a word."""
    yield f"[{proposal.kind}]"
    yield f"table = {_quoted(proposal.table)}"
    if "agent" not in proposal.columns:
        yield f"agent = {_quoted(agent)} # whose"
    yield f"[{proposal.kind}.columns]"
    for field, path in proposal.columns.items():
        yield f"{field} = {_quoted(path)} # {EXPLAINED[field]}"


def _can_be_written(name: str) -> bool:
    return name.isprintable() and "." not in name


def _quoted(text: str) -> str:
    """As TOML has it. A line that is shown keeps single blanks alone."""
    return json.dumps(text, ensure_ascii=False).replace("  ", " \\u0020")


def wanted_index(mapped: Mapped, table: Table) -> str | None:
    """The statement for the index that a large table lacks for being read in its order; None where it has one."""
    key, key_or = mapped.ref.key, mapped.ref.key_or
    if key is None or table.kind not in ("r", "p", "m") or (table.rows or 0) < INDEX_ROWS_MIN:
        return None
    expression = _name(key) if key_or is None else f"coalesce({_name(key)}, {_name(key_or)})"
    if any(index.casefold() == expression.casefold() for index in table.indexes):
        return None
    place = f"{_name(mapped.ref.schema_name)}.{_name(mapped.ref.name)}"
    # A partitioned table takes no concurrent index.
    how = "create index" if table.kind == "p" else "create index concurrently"
    written = expression if key_or is None else f"({expression})"
    return f"{how} on {place} ({written}, {_name(mapped.ref.id)});"


def _name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
