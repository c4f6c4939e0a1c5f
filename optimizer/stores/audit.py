"""The audit chain, the notices and the open questions over the database port."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optimizer.db.port import Database
from optimizer.records.base import canonical_json

_PAGE = 1000
_FIRST = "0" * 64


def audit_body(kind: str, **fields: Any) -> str:
    """The exact text that is hashed: canonical JSON of what happened."""
    return canonical_json({"kind": kind, **fields})


@dataclass(frozen=True)
class ChainReport:
    """What verifying one agent's chain found; `problem` is None when it holds."""

    agent: str
    rows: int
    head: str
    problem: str | None


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, agent: str, body: str, at: datetime) -> None:
        await self._database.call("decisions_write", agent=agent, body=body, at=at)

    async def head(self, agent: str) -> str:
        page = await self._database.call("decisions_page", agent=agent, after=0, limit=0)
        return page["head"]["sha256"] if page["head"] else _FIRST

    async def newest(self, agent: str, limit: int) -> list[dict[str, Any]]:
        """Newest first: `{seq, at, body}`; the body is the JSON text that was hashed."""
        return await self._database.call("decisions_newest", agent=agent, limit=limit)

    async def closing(self, agent: str, session_id: UUID) -> dict[str, Any] | None:
        """The decision that closed the session, as `newest` gives rows; while it is open, the newest one about it."""
        return await self._database.call("decisions_closing", agent=agent, session_id=session_id)

    async def understood(self, agent: str, message: str) -> tuple[str, ...]:
        """As what a message was understood, in each of the rows in which something came of it; oldest first."""
        return tuple(await self._database.call("decisions_of_message", agent=agent, message=message))

    async def verify(self, agent: str, anchors: frozenset[str] = frozenset()) -> ChainReport:
        """Recomputes every hash. `anchors` are heads that published versions carry: each must be in the chain."""
        previous, seq, seen = _FIRST, 0, {_FIRST}
        while True:
            page = await self._database.call("decisions_page", agent=agent, after=seq, limit=_PAGE)
            for row in page["rows"]:
                digest = hashlib.sha256((previous + row["body"]).encode("utf-8")).hexdigest()
                if row["seq"] != seq + 1:
                    return ChainReport(agent, seq, previous, f"row {seq + 1} is missing")
                if (row["prev_sha256"], row["sha256"]) != (previous, digest) or not _same_time(row):
                    return ChainReport(agent, seq, previous, f"row {row['seq']} was changed after it was written")
                previous, seq = digest, row["seq"]
                seen.add(digest)
            if len(page["rows"]) < _PAGE:
                break
        head = page["head"] or {"seq": 0, "sha256": _FIRST}
        if (head["seq"], head["sha256"]) != (seq, previous):
            said = f"row {head['seq']}" if head["seq"] != seq else "another hash"
            return ChainReport(agent, seq, previous, f"the chain ends at row {seq}, its head says {said}")
        lost = anchors - seen
        if lost:
            return ChainReport(
                agent,
                seq,
                previous,
                f"{len(lost)} published version(s) name a row that the chain does not hold",
            )
        return ChainReport(agent, seq, previous, None)


def _same_time(row: Mapping[str, Any]) -> bool:
    """The time stands in the text that was hashed; the column beside it must not say another."""
    written = json.loads(row["body"]).get("at")
    return written is None or datetime.fromisoformat(written) == datetime.fromisoformat(row["at"])


@dataclass(frozen=True)
class Notice:
    """Something that must be said, neutral; a channel renders it."""

    id: int
    kind: str
    session_id: str | None
    actor: str | None
    body: dict[str, Any]
    created_at: datetime


class NoticeStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest_id(self, agent: str) -> int:
        page = await self._database.call("notices_after", agent=agent, after=None, limit=0)
        return int(page["newest"])

    async def after(self, agent: str, id_: int, limit: int = 100) -> tuple[Notice, ...]:
        page = await self._database.call("notices_after", agent=agent, after=id_, limit=limit)
        return tuple(
            Notice(
                id=row["id"],
                kind=row["kind"],
                session_id=row["session_id"],
                actor=row["actor"],
                body=row["body"],
                created_at=datetime.fromisoformat(row["created_at"]),
            )
            for row in page["rows"]
        )


@dataclass(frozen=True)
class OpenQuestion:
    """What the bot asked one person in one chat; consumed once, within minutes."""

    id: UUID
    agent: str
    session_id: UUID | None
    text: str
    plan: dict[str, Any]
    code: str


class QuestionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self,
        id_: UUID,
        agent: str,
        session_id: UUID | None,
        channel: str,
        chat: str,
        actor: str,
        text: str,
        plan: dict[str, Any],
        code: str,
        *,
        expires_at: datetime,
        at: datetime,
    ) -> None:
        await self._database.call(
            "questions_ask",
            id=id_,
            agent=agent,
            session_id=session_id,
            channel=channel,
            chat=chat,
            actor=actor,
            text=text,
            plan=plan,
            code=code,
            expires_at=expires_at,
            at=at,
        )

    async def open(self, channel: str, chat: str, actor: str, at: datetime) -> OpenQuestion | None:
        row = await self._database.call("questions_open", channel=channel, chat=chat, actor=actor, at=at)
        if row is None:
            return None
        return OpenQuestion(
            id=UUID(row["id"]),
            agent=row["agent"],
            session_id=UUID(row["session_id"]) if row["session_id"] else None,
            text=row["text"],
            plan=row["plan"],
            code=row["code"],
        )

    async def close(self, id_: UUID, at: datetime) -> bool:
        return bool(await self._database.call("questions_close", id=id_, at=at))
