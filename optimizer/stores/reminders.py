"""What waits for people, and what they were told of it, over the database port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.db.port import Database


@dataclass(frozen=True)
class WaitingSession:
    id: UUID
    agent: str
    created_at: datetime
    expires_at: datetime
    snoozed_until: datetime | None
    reminded_at: tuple[datetime, ...]
    told: bool  # some chat was told of it


@dataclass(frozen=True)
class Ignored:
    """How many sessions in a row nobody answered, and when a list was told last."""

    sessions: int
    told_at: datetime | None
    told: bool  # whether some chat was told of the session that was asked about


class ReminderStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self) -> tuple[WaitingSession, ...]:
        """The sessions of all agents that wait for a decision; those whose time is over too."""
        return tuple(_waiting(row) for row in await self._database.call("reminders_waiting"))

    async def add(self, session_id: UUID, deliveries: Sequence[dict[str, Any]], at: datetime) -> bool:
        """Writes reminders, each once; False when the session does not wait any more."""
        return bool(
            await self._database.call("reminders_add", session_id=session_id, deliveries=list(deliveries), at=at)
        )

    async def ignored(self, agent: str, session_id: UUID) -> Ignored:
        """As it was before this session."""
        row = await self._database.call("reminders_ignored", agent=agent, session_id=session_id)
        return Ignored(int(row["ignored"]), _time(row["told_at"]), row["told"])

    async def week(self, agent: str, since: datetime, until: datetime) -> dict[str, int]:
        """`{runs, quiet, failed, lists, live}` in (since, until]."""
        return await self._database.call("reminders_week", agent=agent, since=since, until=until)


def _waiting(row: Mapping[str, Any]) -> WaitingSession:
    return WaitingSession(
        id=UUID(row["id"]),
        agent=row["agent"],
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        snoozed_until=_time(row["snoozed_until"]),
        reminded_at=tuple(datetime.fromisoformat(at) for at in row["reminded_at"]),
        told=row["told"],
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
