"""`decide`: the same allow-list, checks and audit for text, buttons, pages and API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve.machine import Kind, Order, Refusal, Ruling, rule
from optimizer.approve.people import People
from optimizer.clock import Clock, iso
from optimizer.records.deployment import Plan
from optimizer.records.session import Session
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.sessions import SessionStore

_ATTEMPTS_MAX = 5


@dataclass(frozen=True)
class Said:
    """Who said it, where, in which words, and as what it was understood."""

    actor: str  # channel identity: "console:dana"
    channel: str
    chat: str
    words: str
    understood: str


@dataclass(frozen=True)
class Decided:
    """What came of it: the ruling, the session that it was made on, and the deployments that were planned."""

    ruling: Ruling
    session: Session
    plan: Plan | None
    batch_id: UUID | None

    @property
    def refusal(self) -> Refusal | None:
        return self.ruling.refusal


Planner = Callable[[Session, frozenset[UUID]], Awaitable[Plan]]


class Door:
    """Decides for one agent. `planner` makes the plan of an approval from what the registry holds now."""

    def __init__(
        self, sessions: SessionStore, audit: AuditStore, people: People, planner: Planner, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._audit = audit
        self._people = people
        self._planner = planner
        self._clock = clock

    async def decide(
        self,
        session: Session,
        orders: Sequence[Order],
        said: Said,
        *,
        shown: dict[UUID, str],
        question: UUID | None = None,
        snoozed_until: datetime | None = None,
    ) -> Decided:
        """Applies the orders to the session as it stands now; the first decision wins."""
        at = self._clock.now()
        if not self._people.may_decide(said.actor):
            await self._audit.write(session.agent, _refused(session, said, Refusal.not_allowed, at), at)
            return Decided(Ruling(refusal=Refusal.not_allowed), session, None, None)
        for _ in range(_ATTEMPTS_MAX):
            fresh = await self._sessions.read(session.id)
            if fresh is None:
                break
            wanted = frozenset(id_ for order in orders if order.kind is Kind.approve for id_ in order.items)
            plan = await self._planner(fresh, wanted) if wanted else None
            ruling = rule(fresh, orders, plan, shown, at)
            if ruling.refusal is Refusal.expired:
                await self._sessions.expire(fresh.agent, _expired(fresh, at), at)
            if ruling.refusal is not None:
                await self._audit.write(fresh.agent, _refused(fresh, said, ruling.refusal, at), at)
                return Decided(ruling, fresh, plan, None)
            batch_id = uuid4()
            answer = await self._sessions.decide(
                fresh,
                state=ruling.session_state.value if ruling.session_state else None,
                items=[
                    {"id": str(move.item), "from": move.source.value, "to": move.target.value}
                    for move in ruling.moves
                ],
                deployments=_deployments(plan, batch_id, said.actor),
                question=question,
                snoozed_until=snoozed_until,
                notices=[_notice(fresh, ruling, said)],
                audit=_decision(fresh, ruling, plan, said, at),
                at=at,
            )
            if answer["ok"]:
                return Decided(ruling, fresh, plan, batch_id if plan and plan.deployments else None)
            if answer["reason"] == "busy":
                return Decided(Ruling(refusal=Refusal.busy), fresh, plan, None)
            if answer["reason"] == "question":
                return Decided(Ruling(refusal=Refusal.decided), fresh, plan, None)
        return Decided(Ruling(refusal=Refusal.conflict), session, None, None)


def _deployments(plan: Plan | None, batch_id: UUID, actor: str) -> list[dict[str, Any]]:
    if plan is None:
        return []
    return [
        {
            "id": str(uuid4()),
            "batch_id": str(batch_id),
            "ordinal": ordinal,
            "actor": actor,
            **deployment.model_dump(mode="json"),
        }
        for ordinal, deployment in enumerate(plan.deployments)
    ]


def _decision(session: Session, ruling: Ruling, plan: Plan | None, said: Said, at: datetime) -> str:
    by_id = {item.id: item for item in session.items}
    return audit_body(
        "decision",
        at=iso(at),
        **vars(said),
        session_id=str(session.id),
        session_revision=session.revision,
        session_state=ruling.session_state.value if ruling.session_state else session.state.value,
        items=[
            {
                "id": str(move.item),
                "n": by_id[move.item].n,
                "title": by_id[move.item].title,
                "from": move.source.value,
                "to": move.target.value,
                "content_sha256": by_id[move.item].content_sha256,
                "base_sha256": by_id[move.item].base_sha256,
            }
            for move in ruling.moves
        ],
        deployments=[
            {"prompt": one.prompt, "base_version": one.base_version, "sha256": one.sha256}
            for one in (plan.deployments if plan else ())
        ],
        left_out=[{"n": left.n, "reason": left.reason} for left in (plan.left_out if plan else ())],
    )


def _refused(session: Session, said: Said, refusal: Refusal, at: datetime) -> str:
    return audit_body(
        "refused",
        at=iso(at),
        **vars(said),
        session_id=str(session.id),
        session_revision=session.revision,
        reason=refusal.value,
    )


def _expired(session: Session, at: datetime) -> str:
    return audit_body("expired", at=iso(at), session_id=str(session.id), expires_at=iso(session.expires_at))


def _notice(session: Session, ruling: Ruling, said: Said) -> dict[str, Any]:
    by_id = {item.id: item for item in session.items}
    return {
        "kind": "decision",
        "session_id": str(session.id),
        "actor": said.actor,
        "body": {
            "words": said.words,
            "understood": said.understood,
            "session_state": ruling.session_state.value if ruling.session_state else None,
            "items": [{"n": by_id[move.item].n, "to": move.target.value} for move in ruling.moves],
        },
    }
