"""Runs, sessions and items over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.db.port import Database
from optimizer.records.session import Answered, Session
from optimizer.records.window import Window


class SessionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def start_run(
        self,
        id_: UUID,
        agent: str,
        slot: str | None,
        window: Window,
        worker: str,
        lease_seconds: int,
        at: datetime,
    ) -> dict[str, Any]:
        """`{started: true}` or `{started: false, reason: slot | busy, run}`."""
        return await self._database.call(
            "runs_start",
            id=id_,
            agent=agent,
            slot=slot,
            since=window.since,
            until=window.until,
            worker=worker,
            lease_seconds=lease_seconds,
            at=at,
        )

    async def finish_run(
        self,
        id_: UUID,
        worker: str,
        state: str,
        result: dict[str, Any],
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> bool:
        """Ends a run without a session; False when another worker has taken it over."""
        answer = await self._database.call(
            "runs_finish",
            id=id_,
            worker=worker,
            state=state,
            result=result,
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return bool(answer["ok"])

    async def run(self, id_: UUID) -> dict[str, Any] | None:
        return await self._database.call("runs_read", id=id_)

    async def newest_run(self, agent: str) -> dict[str, Any] | None:
        """The run that ended last, and did not fail."""
        return await self._database.call("runs_newest", agent=agent)

    async def save(
        self,
        run_id: UUID,
        worker: str,
        session: dict[str, Any],
        items: Sequence[dict[str, Any]],
        result: dict[str, Any],
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> bool:
        """Session, items, notices and the run's end in one transaction; False when the run was lost."""
        answer = await self._database.call(
            "sessions_save",
            run_id=run_id,
            worker=worker,
            session=session,
            items=list(items),
            result=result,
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return bool(answer["ok"])

    async def newest(self, agent: str) -> Session | None:
        row = await self._database.call("sessions_newest", agent=agent)
        return Session.model_validate(row) if row else None

    async def read(self, id_: UUID) -> Session | None:
        row = await self._database.call("sessions_read", id=id_)
        return Session.model_validate(row) if row else None

    async def decide(
        self,
        session: Session,
        *,
        state: str | None,
        items: Sequence[dict[str, Any]],
        votes: Sequence[dict[str, Any]],
        deployments: Sequence[dict[str, Any]],
        question: UUID | None,
        snoozed_until: datetime | None,
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> dict[str, Any]:
        """`{ok: true, revision}` or `{ok: false, reason}`: unknown, conflict, superseded, busy, question or frozen."""
        return await self._database.call(
            "sessions_settle",
            session_id=session.id,
            revision=session.revision,
            state=state,
            items=list(items),
            votes=list(votes),
            deployments=list(deployments),
            question=question,
            snoozed_until=snoozed_until,
            notices=list(notices),
            audit=audit,
            at=at,
        )

    async def rebase(self, session: Session, items: Sequence[dict[str, Any]], audit: str, at: datetime) -> bool:
        """Binds undecided items to new base texts; `base_sha256` None makes the item stale."""
        answer = await self._database.call(
            "items_rebase",
            session_id=session.id,
            revision=session.revision,
            items=list(items),
            audit=audit,
            at=at,
        )
        return bool(answer["ok"])

    async def expire(self, agent: str, audit: str, at: datetime) -> bool:
        return bool(await self._database.call("sessions_expire", agent=agent, audit=audit, at=at))

    async def answered(self, agent: str) -> dict[str, Answered]:
        """The newest item about each key, by key."""
        rows = await self._database.call("items_answered", agent=agent)
        return {row["key"]: Answered.model_validate(row) for row in rows}
