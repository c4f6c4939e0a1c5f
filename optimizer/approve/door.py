"""`decide`: the same allow-list, policies, checks and audit for text, buttons, pages and API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve import written
from optimizer.approve.machine import Kind, Order, Refusal, Ruling, rule
from optimizer.approve.policy import Ballot, Block, Policy, Tally
from optimizer.approve.provenance import Confirmed, provenance_of
from optimizer.approve.written import Said
from optimizer.clock import Clock
from optimizer.records.deployment import Approval, Plan
from optimizer.records.session import Session
from optimizer.stores.audit import AuditStore
from optimizer.stores.freezes import FreezeStore
from optimizer.stores.sessions import SessionStore

__all__ = ["Decided", "Door", "Planner", "Said"]

_ATTEMPTS_MAX = 5
# What the store answers where another try would come to the same.
_FINAL = {
    "busy": Refusal.busy,
    "question": Refusal.decided,
    "superseded": Refusal.superseded,
    "unknown": Refusal.nothing,
}


@dataclass(frozen=True)
class Decided:
    """What came of it: the ruling, the session that it was made on, and the deployments that were planned."""

    ruling: Ruling
    session: Session
    plan: Plan | None
    batch_id: UUID | None
    block: Block | None = None  # the policy that refused it
    tallies: Mapping[UUID, Tally] = field(default_factory=dict[UUID, Tally])  # of the items said yes to, with this yes

    @property
    def refusal(self) -> Refusal | None:
        return self.ruling.refusal


@dataclass(frozen=True)
class _Case:
    """One attempt: the session as it stands, and what these orders come to."""

    session: Session
    plan: Plan | None
    ballot: Ballot
    ruling: Ruling
    block: Block | None


Planner = Callable[[Session, frozenset[UUID], Confirmed], Awaitable[Plan]]


class Door:
    """Decides for one agent. `planner` makes the plan of an approval from what the registry holds now."""

    def __init__(
        self,
        sessions: SessionStore,
        freezes: FreezeStore,
        audit: AuditStore,
        policy: Policy,
        planner: Planner,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._freezes = freezes
        self._audit = audit
        self._policy = policy
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
        if not self._policy.people.may_decide(said.actor):
            return await self._refuse(session, said, Refusal.not_allowed, at, block=self._policy.no_approver())
        for _ in range(_ATTEMPTS_MAX):
            fresh = await self._sessions.read(session.id)
            if fresh is None:
                return await self._refuse(session, said, Refusal.nothing, at)
            case = await self._look(fresh, orders, said, _still_so(session, fresh, shown), confirmed, at)
            refusal = case.block.refusal if case.block else case.ruling.refusal
            if refusal is not None:
                if refusal is Refusal.expired:
                    await self._sessions.expire(fresh.agent, written.expired(fresh, at), at)
                return await self._refuse(fresh, said, refusal, at, case)
            batch_id = uuid4()
            answer = await self._settle(case, said, batch_id, question, snoozed_until, confirmed, at)
            if answer["ok"]:
                deployed = case.plan is not None and case.plan.deployments
                tallies = case.ballot.tallies
                return Decided(case.ruling, fresh, case.plan, batch_id if deployed else None, None, tallies)
            refusal = _FINAL.get(answer["reason"])
            if refusal is not None:
                return await self._refuse(fresh, said, refusal, at, case)
        return await self._refuse(session, said, Refusal.conflict, at)

    async def _look(
        self,
        fresh: Session,
        orders: Sequence[Order],
        said: Said,
        shown: Mapping[UUID, str],
        confirmed: Confirmed,
        at: datetime,
    ) -> _Case:
        wanted = frozenset(id_ for order in orders if order.kind is Kind.approve for id_ in order.items)
        ballot = self._policy.ballot(fresh, wanted, said.actor)
        plan = await self._plan(fresh, wanted, ballot, confirmed) if wanted else None
        ruling = rule(fresh, orders, plan, shown, at, ballot.waiting)
        block = None
        if wanted and ruling.refusal in (None, Refusal.confirm):
            block = self._policy.asked_for_it(fresh, said.actor)
            asked = ruling.refusal is Refusal.confirm and ballot.ready
            if block is None and plan is not None and (plan.deployments or asked):
                # Read after the session: what was decided since then has moved its revision on.
                block = self._policy.blocked(await self._freezes.standing(fresh.agent, at), at)
        return _Case(fresh, plan, ballot, ruling, block)

    async def _plan(self, fresh: Session, wanted: frozenset[UUID], ballot: Ballot, confirmed: Confirmed) -> Plan:
        """What goes live, and of all that was said yes to, what could not go live as it is."""
        whole = await self._planner(fresh, wanted, confirmed)
        if not ballot.waiting:
            return whole
        waiting = tuple(left for left in whole.left_out if left.item in ballot.waiting)
        if not ballot.ready:
            return whole.model_copy(update={"deployments": (), "left_out": waiting})
        ready = await self._planner(fresh, ballot.ready, confirmed)
        left = sorted((*ready.left_out, *waiting), key=lambda one: one.n)
        return ready.model_copy(update={"left_out": tuple(left)})

    async def _settle(
        self,
        case: _Case,
        said: Said,
        batch_id: UUID,
        question: UUID | None,
        snoozed_until: datetime | None,
        confirmed: Confirmed,
        at: datetime,
    ) -> dict[str, Any]:
        fresh, ruling, tallies = case.session, case.ruling, case.ballot.tallies
        return await self._sessions.decide(
            fresh,
            state=ruling.session_state.value if ruling.session_state else None,
            items=[{"id": str(move.item), "from": move.source.value, "to": move.target.value} for move in ruling.moves],
            votes=written.votes(fresh, ruling, said, self._policy.people.person(said.actor)),
            deployments=self._deployments(fresh, case.plan, batch_id, said, confirmed, at),
            question=question,
            snoozed_until=snoozed_until,
            notices=[written.notice(fresh, ruling, said, tallies)],
            audit=written.decision(fresh, ruling, case.plan, said, confirmed, tallies, at),
            at=at,
        )

    def _deployments(
        self, session: Session, plan: Plan | None, batch_id: UUID, said: Said, confirmed: Confirmed, at: datetime
    ) -> list[dict[str, Any]]:
        person = self._policy.people.person(said.actor)
        approval = Approval(person=person, actor=said.actor, words=said.words, at=at)
        counted = self._policy.counted(session)
        return [
            {
                "id": str(uuid4()),
                "batch_id": str(batch_id),
                "ordinal": ordinal,
                "actor": said.actor,
                **deployment.model_dump(mode="json"),
                "provenance": provenance_of(counted, deployment, [approval], confirmed).model_dump(mode="json"),
            }
            for ordinal, deployment in enumerate(plan.deployments if plan else ())
        ]

    async def _refuse(
        self,
        session: Session,
        said: Said,
        refusal: Refusal,
        at: datetime,
        case: _Case | None = None,
        *,
        block: Block | None = None,
    ) -> Decided:
        """Nothing happens, and the audit says who wanted what and why it was refused."""
        block, plan = (case.block, case.plan) if case else (block, None)
        await self._audit.write(session.agent, written.refused(session, said, refusal.value, block, at), at)
        return Decided(Ruling(refusal=refusal), session, plan, None, block)


def _still_so(seen: Session, fresh: Session, shown: Mapping[UUID, str]) -> dict[UUID, str]:
    """What was shown, less the items that were bound to another base text since: those need a new look."""
    bases = {item.id: item.base_sha256 for item in seen.items}
    return {
        item.id: shown[item.id] for item in fresh.items if item.id in shown and bases.get(item.id) == item.base_sha256
    }
