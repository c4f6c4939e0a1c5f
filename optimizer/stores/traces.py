"""Traces over the database port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from optimizer.db.port import Database
from optimizer.records.trace import Trace
from optimizer.records.window import Window


class Written(NamedTuple):
    """What became of the traces of one batch."""

    new: int
    grown: int  # known, replaced by a longer one
    rated: int  # known, took the outcome that it had not
    known: int  # nothing changed


class Spoken(NamedTuple):
    """One text in a trace: what a field of an event says."""

    session_id: str
    type: str  # of the event
    name: str  # of its tool; empty where it has none
    field: str  # "text", "args", "error" or "inputs"
    text: str


class Inputs(NamedTuple):
    """What one request filled its prompt with; `prompts` are the names that it gives, "" where it gives none."""

    session_id: str
    prompts: tuple[str, ...]
    inputs: dict[str, Any]


_PAGE_TRACES_MAX = 50
_PAGE_BYTES_MAX = 1_000_000  # as they are stored: compressed
_FIELDS = ("text", "args", "error", "inputs")


class TraceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, agent: str) -> datetime | None:
        """When the newest trace began; None where there is none."""
        at = await self._database.call("traces_newest", agent=agent)
        return datetime.fromisoformat(at).astimezone(UTC) if at else None

    async def first_under(self, agent: str, window: Window) -> dict[tuple[str, str], datetime]:
        """When each prompt version first ran in the window, by (prompt, reference) as the traces name it."""
        rows = await self._database.call("traces_first", agent=agent, since=window.since, until=window.until)
        return {(row["prompt"], row["reference"]): datetime.fromisoformat(row["at"]).astimezone(UTC) for row in rows}

    async def put(self, agent: str, traces: Sequence[Trace], *, at: datetime) -> Written:
        """Writes a batch in one transaction, and queues the hours that it changes. May be repeated."""
        answer = await self._database.call("traces_put", agent=agent, traces=list(traces), at=at)
        return Written(**answer)

    async def spoken(self, agent: str, window: Window, traces_max: int) -> AsyncIterator[list[Spoken]]:
        """What the newest traces that began in the window say, newest first, page by page."""
        until, before_id, left = window.until, None, traces_max
        while left > 0:
            page = await self._database.call(
                "traces_said",
                agent=agent,
                since=window.since,
                until=until,
                before_id=before_id,
                limit=min(left, _PAGE_TRACES_MAX),
                bytes_max=_PAGE_BYTES_MAX,
            )
            if not page:
                return
            yield list(_spoken(page))
            left -= len(page)
            until, before_id = datetime.fromisoformat(page[-1]["started_at"]).astimezone(UTC), page[-1]["trace_id"]

    async def spoken_in(self, agent: str, session_ids: Sequence[str]) -> list[Spoken]:
        """What the newest traces of these sessions say; of the first page alone."""
        page = await self._database.call(
            "traces_said_in",
            agent=agent,
            session_ids=list(session_ids),
            limit=_PAGE_TRACES_MAX,
            bytes_max=_PAGE_BYTES_MAX,
        )
        return list(_spoken(page))

    async def inputs(self, agent: str, since: datetime, *, traces_max: int, limit: int) -> list[Inputs]:
        """The inputs of recent requests, each once, newest first."""
        rows = await self._database.call(
            "traces_inputs",
            agent=agent,
            since=since,
            traces_max=traces_max,
            bytes_max=_PAGE_BYTES_MAX,
            limit=limit,
        )
        return [Inputs(row["session_id"], tuple(row["prompts"]), row["inputs"]) for row in rows]


def _spoken(page: Sequence[dict[str, Any]]) -> Iterator[Spoken]:
    for trace in page:
        for event in trace["said"]:
            for field in _FIELDS:
                if event.get(field):
                    yield Spoken(trace["session_id"], event["type"], event.get("name", ""), field, event[field])
