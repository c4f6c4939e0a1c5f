"""The owner's own tables over the database port: rows as they are, and how far they were read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from optimizer.db.port import Database
from optimizer.records.base import Record
from optimizer.records.trace import Trace

_LISTED_MAX = 500
_COUNTED_MAX = 100_000


class Column(Record):
    name: str
    type: str
    not_null: bool


class Table(Record):
    """What the catalogue says about one table."""

    columns: tuple[Column, ...]
    rows: int | None  # where they are counted: up to 100,000, then estimated; None where it may not be read
    kind: str  # pg_class.relkind
    indexes: tuple[str, ...]  # what each whole one begins with
    readable: bool
    hidden: bool  # row-level security keeps rows from us


class Listed(Record):
    schema_name: str
    name: str
    columns: tuple[Column, ...]


class TableRef(Record):
    """One table as the reading functions take it."""

    schema_name: str
    name: str
    id: str
    key: str | None = None  # the column by whose time the table is read
    key_or: str | None = None  # stands in where `key` is null
    columns: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        values = self.model_dump(exclude_none=True)
        return {"schema": values.pop("schema_name"), **values}


class Row(NamedTuple):
    """One row that is new or has changed."""

    id: str
    key: datetime
    sha256: str
    doc: str | None  # JSON text of the mapped columns; None where it is too large
    bytes: int
    was: tuple[str, str] | None = None  # the agent and the trace that it became when it was read before


class Gone(NamedTuple):
    """A row that was read before and is no longer there."""

    id: str
    agent: str | None
    trace_id: str | None
    session_id: str | None


class Position(Record):
    """A place in a table; without an id, just before the first row of that time."""

    key: datetime
    id: str | None = None


class Page(NamedTuple):
    rows: tuple[Row, ...]
    gone: tuple[Gone, ...]
    last: Position | None  # None where the page is empty, or is to be read again for more that is gone
    seen: int
    ended: bool


class Kept(NamedTuple):
    """What is kept of a row that was read."""

    id: str
    key: datetime
    sha256: str
    agent: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    refused: str | None = None


class Refusals(NamedTuple):
    rows: int
    examples: tuple[tuple[str, str], ...]  # row id and reason, the newest five


class OwnerTableStore:
    """Every call is one plain SELECT of theirs at most; what is written is ours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def describe(self, schema: str, name: str, *, counted: bool = False) -> Table | None:
        """None where there is no such table, or it is one that is never read."""
        rows_max = _COUNTED_MAX if counted else 0
        row = await self._database.call("owner_tables_read", schema=schema, name=name, rows_max=rows_max)
        return None if row is None else Table.model_validate(row)

    async def list(self) -> tuple[Listed, ...]:
        rows = await self._database.call("owner_tables_list", tables_max=_LISTED_MAX)
        return tuple(Listed(schema_name=row["schema"], name=row["name"], columns=row["columns"]) for row in rows)

    async def page(
        self,
        source: str,
        table: TableRef,
        digest: str,
        start: Position | None,
        *,
        backwards_until: datetime | None = None,
        rows_max: int,
        bytes_max: int,
        row_bytes_max: int,
    ) -> Page:
        """Rows in the order of (key, id) after `start`; with `backwards_until`, newest first and down to there."""
        answer = await self._database.call(
            "owner_rows_page",
            source=source,
            table=table.as_json(),
            digest=digest,
            **{"from": start.key if start else None, "from_id": start.id if start else None},
            backwards=backwards_until is not None,
            until=backwards_until,
            rows_max=rows_max,
            bytes_max=bytes_max,
            row_bytes_max=row_bytes_max,
        )
        return Page(
            rows=tuple(
                Row(row["id"], _time(row["key"]), row["sha256"], row["doc"], row["bytes"], _was(row))
                for row in answer["rows"]
            ),
            gone=tuple(Gone(**row) for row in answer["gone"]),
            last=Position.model_validate(answer["last"]) if answer["last"] else None,
            seen=answer["seen"],
            ended=answer["ended"],
        )

    async def rows_of(
        self,
        table: TableRef,
        by: str,
        values: Sequence[str],
        since: datetime,
        until: datetime,
        start: Position | None,
        *,
        rows_max: int,
        row_bytes_max: int,
    ) -> tuple[tuple[Position, str | None], ...]:
        """Rows whose column `by` is one of `values`, with their places, in the order of (key, id)."""
        rows = await self._database.call(
            "owner_rows_of",
            table=table.as_json(),
            by=by,
            values=list(values),
            since=since,
            until=until,
            **{"from": start.key if start else None, "from_id": start.id if start else None},
            rows_max=rows_max,
            row_bytes_max=row_bytes_max,
        )
        return tuple((Position(key=row["key"], id=row["id"]), row["doc"]) for row in rows)

    async def all_rows(
        self, table: TableRef, *, rows_max: int, row_bytes_max: int
    ) -> tuple[tuple[str, str | None], ...]:
        """The first rows of a small table: ids and JSON texts."""
        rows = await self._database.call(
            "owner_rows_all", table=table.as_json(), rows_max=rows_max, row_bytes_max=row_bytes_max
        )
        return tuple((row["id"], row["doc"]) for row in rows)

    async def mark(self, source: str) -> dict[str, Any] | None:
        """`{"digest", "mark", "at"}`, or None where the table was never read."""
        return await self._database.call("owner_marks_read", source=source)

    async def keep(
        self,
        source: str,
        digest: str,
        mark: dict[str, Any],
        rows: Sequence[Kept],
        gone: Sequence[str],
        *,
        keep_since: datetime,
        keep_refused_since: datetime,
        at: datetime,
    ) -> None:
        """Keeps the position, and the hashes of what will be read again, in one transaction."""
        await self._database.call(
            "owner_marks_write",
            source=source,
            digest=digest,
            mark=mark,
            rows=[{**row._asdict(), "key": row.key.isoformat()} for row in rows],
            gone=list(gone),
            keep_since=keep_since,
            keep_refused_since=keep_refused_since,
            at=at,
        )

    async def refused(self, source: str, since: datetime) -> Refusals:
        answer = await self._database.call("owner_rows_refused", source=source, since=since)
        return Refusals(answer["count"], tuple((one["id"], one["reason"]) for one in answer["examples"]))

    async def replace(self, agent: str, traces: Sequence[Trace], *, at: datetime) -> None:
        """Writes traces as their rows are now, whatever was there before. May be repeated."""
        await self._database.call("traces_replace", agent=agent, traces=list(traces), at=at)

    async def forget(self, agent: str, trace_ids: Sequence[str], *, at: datetime) -> int:
        """Drops traces whose rows are gone, and queues the hours that they leave."""
        return await self._database.call("traces_forget", agent=agent, trace_ids=list(trace_ids), at=at)

    async def traces_of(
        self, table: str, session_ids: Sequence[str], since: datetime, until: datetime, *, traces_max: int
    ) -> tuple[tuple[str, Trace], ...]:
        """The traces of a table of theirs that ran in a time, with their agents, by (agent, session, start, id)."""
        rows = await self._database.call(
            "traces_of", table=table, session_ids=list(session_ids), since=since, until=until, traces_max=traces_max
        )
        return tuple((row["agent"], row["trace"]) for row in rows)


def _was(row: dict[str, Any]) -> tuple[str, str] | None:
    return (row["was_agent"], row["was_trace_id"]) if row["was_agent"] and row["was_trace_id"] else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
