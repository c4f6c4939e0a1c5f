"""Our store beside an owner's tables: what was read of them, and what traces came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.observe.owner.pull import OwnerTables, Pulled
from optimizer.records.trace import Trace
from optimizer.settings import Environment, Settings, parse_values
from optimizer.stores.owner_tables import OwnerTableStore
from optimizer.wiring import Ratchet, wire
from tests.journey.owners import Owner

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGENT = "wild"
TRACES: dict[str, Any] = {"table": "observability_traces", "agent": AGENT}
TABLE = "public.observability_traces"
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def call(tool: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "tool": tool, "input": {}, "output": "fine", "duration_ms": 10, **more}


@dataclass
class Beside:
    database: Database
    owner: Owner
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    tables: dict[str, Any] = field(default_factory=lambda: {"traces": TRACES})

    @property
    def ratchet(self) -> Ratchet:
        settings = Settings(file=parse_values(self.tables), environment=Environment())
        return wire(settings, self.database, self.clock, lambda agent: People(frozenset(), frozenset()))

    @property
    def store(self) -> OwnerTableStore:
        return OwnerTableStore(self.database)

    async def pull(self, seconds_max: float | None = None) -> Pulled:
        tables = self.ratchet.owner_tables
        if seconds_max is not None:
            tables = OwnerTables(
                tables.settings, tables.store, tables.agents, tables.audit, tables.registry_of, self.clock, seconds_max
            )
        return await tables.pull()

    def add(self, session: str, *events: Any, ago: timedelta = timedelta(minutes=5), **columns: Any) -> str:
        """A row of the owner's, written by their program; returns its id."""
        row: dict[str, Any] = {
            "id": str(uuid4()),
            "session_id": session,
            "payload": {"events": list(events)},
            "created_at": self.clock.now() - ago,
            **columns,
        }
        self.owner.insert("observability_traces", [row])
        return row["id"]

    def say(self, session: str, role: str, content: Any, ago: timedelta = timedelta(minutes=5), **columns: Any) -> None:
        row = {"session_id": session, "role": role, "content": content, "created_at": self.clock.now() - ago}
        self.owner.insert("messages", [{**row, **columns}])

    async def traces(self, *sessions: str) -> dict[str, Trace]:
        """What is stored of some sessions, by trace id."""
        found = await self.store.traces_of(TABLE, sessions, LONG_AGO, FAR_AHEAD, traces_max=1000)
        return {trace["trace_id"]: trace for _, trace in found}

    def queued(self) -> set[datetime]:
        """The hours that are to be folded again."""
        return {row[0].astimezone(UTC) for row in self.owner.run("select hour from ratchet.fold_queue")}

    def folded(self) -> None:
        self.owner.run("delete from ratchet.fold_queue")
