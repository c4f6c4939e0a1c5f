"""`decide`: the same allow-list, checks and audit for text, buttons, pages and API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve.machine import Kind, Order, Refusal, Ruling, rule
from optimizer.approve.people import People
from optimizer.approve.provenance import Confirmed, provenance_of
from optimizer.clock import Clock, iso
from optimizer.records.deployment import Approval, Plan
from optimizer.records.session import Session
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.sessions import SessionStore

_ATTEMPTS_MAX = 5
# What the store answers where another try would come to the same.
_FINAL = {
    "busy": Refusal.busy,
    "frozen": Refusal.frozen,
    "question": Refusal.decided,
    "superseded": Refusal.superseded,
    "unknown": Refusal.nothing,
}


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


Planner = Callable[[Session, frozenset[UUID], Confirmed], Awaitable[Plan]]


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
        shown: Mapping[UUID, str],
        question: UUID | None = None,
        snoozed_until: datetime | None = None,
        confirmed: Confirmed | None = None,
    ) -> Decided:
        """Applies the orders to the session as it stands now; the first decision wins.

        `session` is the one that was shown, with the base texts of that moment; `shown` maps item ids to the
        content hash that the person saw; `confirmed` are the checks that this person let pass with a second yes.
        """
        confirmed = confirmed or {}
        at = self._clock.now()
        if not self._people.may_decide(said.actor):
            return await self._refuse(session, said, Refusal.not_allowed, None, at)
        for _ in range(_ATTEMPTS_MAX):
            fresh = await self._sessions.read(session.id)
            if fresh is None:
                return await self._refuse(session, said, Refusal.nothing, None, at)
            wanted = frozenset(id_ for order in orders if order.kind is Kind.approve for id_ in order.items)
            plan = await self._planner(fresh, wanted, confirmed) if wanted else None
            ruling = rule(fresh, orders, plan, _still_so(session, fresh, shown), at)
            if ruling.refusal is not None:
                if ruling.refusal is Refusal.expired:
                    await self._sessions.expire(fresh.agent, _expired(fresh, at), at)
                return await self._refuse(fresh, said, ruling.refusal, plan, at)
            batch_id = uuid4()
            answer = await self._sessions.decide(
                fresh,
                state=ruling.session_state.value if ruling.session_state else None,
                items=[
                    {"id": str(move.item), "from": move.source.value, "to": move.target.value} for move in ruling.moves
                ],
                votes=[],
                deployments=self._deployments(fresh, plan, batch_id, said, confirmed, at),
                question=question,
                snoozed_until=snoozed_until,
                notices=[_notice(fresh, ruling, said)],
                audit=_decision(fresh, ruling, plan, said, confirmed, at),
                at=at,
            )
            if answer["ok"]:
                return Decided(ruling, fresh, plan, batch_id if plan and plan.deployments else None)
            refusal = _FINAL.get(answer["reason"])
            if refusal is not None:
                return await self._refuse(fresh, said, refusal, plan, at)
        return await self._refuse(session, said, Refusal.conflict, None, at)

    def _deployments(
        self, session: Session, plan: Plan | None, batch_id: UUID, said: Said, confirmed: Confirmed, at: datetime
    ) -> list[dict[str, Any]]:
        approval = Approval(person=self._people.person(said.actor), actor=said.actor, words=said.words, at=at)
        return [
            {
                "id": str(uuid4()),
                "batch_id": str(batch_id),
                "ordinal": ordinal,
                "actor": said.actor,
                **deployment.model_dump(mode="json"),
                "provenance": provenance_of(session, deployment, [approval], confirmed).model_dump(mode="json"),
            }
            for ordinal, deployment in enumerate(plan.deployments if plan else ())
        ]

    async def _refuse(self, session: Session, said: Said, refusal: Refusal, plan: Plan | None, at: datetime) -> Decided:
        """Nothing happens, and the audit says who wanted what and why it was refused."""
        await self._audit.write(session.agent, _refused(session, said, refusal, at), at)
        return Decided(Ruling(refusal=refusal), session, plan, None)


def _still_so(seen: Session, fresh: Session, shown: Mapping[UUID, str]) -> dict[UUID, str]:
    """What was shown, less the items that were bound to another base text since: those need a new look."""
    bases = {item.id: item.base_sha256 for item in seen.items}
    return {
        item.id: shown[item.id] for item in fresh.items if item.id in shown and bases.get(item.id) == item.base_sha256
    }


def _decision(
    session: Session, ruling: Ruling, plan: Plan | None, said: Said, confirmed: Confirmed, at: datetime
) -> str:
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
        confirmed={str(item): sorted(checks) for item, checks in confirmed.items()},
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
