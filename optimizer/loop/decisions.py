"""Decisions through the one door, the deployments that follow, and taking them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from optimizer.approve.door import Decided, Door, Said
from optimizer.approve.machine import Order, is_expired
from optimizer.approve.people import People
from optimizer.approve.policy import Gate, Policy
from optimizer.approve.provenance import Confirmed
from optimizer.clock import Clock, iso
from optimizer.deploy.plan import make_plan
from optimizer.deploy.worker import LEASE_SECONDS, Worker
from optimizer.errors import UsageError
from optimizer.loop.evidence import Evidence
from optimizer.loop.prompts import Prompts
from optimizer.records.deployment import Deployment, Plan, PromptVersion
from optimizer.records.session import Item, Session
from optimizer.records.states import ItemState
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.deployments import DeploymentStore, Stopped
from optimizer.stores.freezes import FreezeStore
from optimizer.stores.sessions import SessionStore

_ATTEMPTS_MAX = 5  # against others who decide about the same session


@dataclass(frozen=True)
class Rebased:
    """Items after their prompt changed: which can be shown again, and which are lost, with the reason."""

    fits: tuple[int, ...]
    lost: dict[int, str]


@dataclass(frozen=True)
class Decisions:
    """What people decide about the sessions and deployments of one database."""

    prompts: Prompts
    sessions: SessionStore
    freezes: FreezeStore
    deployments: DeploymentStore
    audit: AuditStore
    people_of: Callable[[str], People]
    clock: Clock
    worker_name: str
    lease_seconds: int = LEASE_SECONDS

    async def decide(
        self,
        session: Session,
        orders: Sequence[Order],
        said: Said,
        *,
        shown: dict[UUID, str],
        question: UUID | None = None,
        snoozed_until: datetime | None = None,
        confirmed: Confirmed | None = None,
    ) -> Decided:
        """Through the one door, with a plan made from what the registry holds at this moment."""
        policy = self.policy_of(session.agent)
        door = Door(self.sessions, self.freezes, self.audit, policy, self.plan, self.clock)
        return await door.decide(
            session,
            orders,
            said,
            shown=shown,
            question=question,
            snoozed_until=snoozed_until,
            confirmed=confirmed,
        )

    def policy_of(self, agent: str) -> Policy:
        return Policy(self.prompts.settings.agent(agent).policy, self.people_of(agent))

    async def gate(self, agent: str, session: Session | None, actor: str) -> Gate:
        """What the policies say at this moment to someone who looks at the session."""
        at = self.clock.now()
        return self.policy_of(agent).gate(session, await self.freezes.standing(agent, at), actor, at)

    async def plan(self, session: Session, wanted: frozenset[UUID], confirmed: Confirmed | None = None) -> Plan:
        """What approving these items would do now. `confirmed`: the checks that a second yes lets pass."""
        refs = self.prompts.refs(await self.prompts.declared(session.agent))
        items = [item for item in session.items if item.id in wanted]
        current = await self.prompts.current(session.agent, refs)
        live = frozenset(item.id for item in session.items if item.state is ItemState.deployed)
        resolver = await self.prompts.resolver(session.agent, refs, current)
        touched = {prompt for item in items for prompt in item.prompts}
        traced = await self.prompts.traced(session.agent, refs, resolver, touched)
        plan = make_plan(
            items,
            current,
            refs,
            already_live=live,
            traced=traced,
            policy=self.prompts.settings.agent(session.agent).policy,
            grounds=await Evidence(self.prompts).grounds(session, items, current, refs),
            confirmed=confirmed,
        )
        misread = await self.prompts.misread(session.agent, refs, resolver, touched)
        return plan.model_copy(update={"untold": misread + plan.untold})

    async def examine(self, session: Session, item: Item) -> Plan:
        """What the checks say of one item by itself, whatever becomes of the others."""
        refs = self.prompts.refs(await self.prompts.declared(session.agent))
        current = await self.prompts.current(session.agent, refs)
        return make_plan(
            [item],
            current,
            refs,
            already_live=frozenset(other.id for other in session.items),
            policy=self.prompts.settings.agent(session.agent).policy,
            grounds=await Evidence(self.prompts).grounds(session, [item], current, refs),
        )

    async def rebase(self, session: Session, items: Sequence[Item]) -> Rebased:
        """Tries the edits of items whose prompt changed on the text that is there now.

        Where they fit, the item is bound to the new text and has to be shown again: it needs a new yes. Where
        they do not, it is stale.
        """
        refs = self.prompts.refs(await self.prompts.declared(session.agent))
        current = await self.prompts.current(session.agent, refs)
        fresh = [item.model_copy(update={"base_sha256": _bases(item, current)}) for item in items]
        everything = frozenset(item.id for item in session.items)
        policy = self.prompts.settings.agent(session.agent).policy
        lost: dict[UUID, str] = {}
        for item in fresh:  # each by itself: what overlaps or requires is told when it is approved
            alone = make_plan([item], current, refs, already_live=everything, policy=policy)
            lost |= {left.item: left.reason for left in alone.left_out if not left.may_confirm}
        at = self.clock.now()
        rows = [{"id": str(item.id), "base_sha256": None if item.id in lost else item.base_sha256} for item in fresh]
        audit = audit_body("rebased", at=iso(at), session_id=str(session.id), items=rows)
        latest: Session | None = session
        for _ in range(_ATTEMPTS_MAX):
            if latest is None or await self.sessions.rebase(latest, rows, audit, at):
                break
            latest = await self.sessions.read(session.id)
        return Rebased(
            fits=tuple(item.n for item in fresh if item.id not in lost),
            lost={item.n: lost[item.id] for item in fresh if item.id in lost},
        )

    async def work(self, agent: str | None = None) -> int:
        """Carries out what was decided and what a crash left behind."""
        worker = Worker(
            self.worker_name, self.deployments, self.audit, self.prompts.registry_of, self.clock, self.lease_seconds
        )
        return await worker.work(agent)

    async def expire(self, agent: str) -> bool:
        """Closes the session whose time is over without a decision; True when there was one."""
        at = self.clock.now()
        session = await self.sessions.newest(agent)
        if session is None or not is_expired(session, at):
            return False
        audit = audit_body("expired", at=iso(at), session_id=str(session.id), expires_at=iso(session.expires_at))
        return await self.sessions.expire(agent, audit, at)

    async def allows_taking_back(self, agent: str, said: Said) -> bool:
        """Whether this person is listed; the audit keeps who was not."""
        if self.people_of(agent).may_take_back(said.actor):
            return True
        at = self.clock.now()
        await self.audit.write(agent, audit_body("refused", at=iso(at), **vars(said), reason="not_allowed"), at)
        return False

    async def _require_listed(self, agent: str, said: Said) -> None:
        if not await self.allows_taking_back(agent, said):
            raise UsageError(
                f"{said.actor!r} may not halt or take back deployments of {agent!r}; "
                f"ask {self.people_of(agent).to_ask}."
            )

    async def take_back(
        self, agent: str, deployments: Sequence[Deployment], said: Said, *, question: UUID | None = None
    ) -> bool:
        """Decides a rollback of live deployments; the worker does it. False when someone was faster.

        Raises `UsageError` for someone who is not listed, or may not bring back what was taken out.
        """
        await self._require_listed(agent, said)
        refused = await self.refuses_return(agent, deployments, said.actor)
        if refused is not None:
            raise UsageError(refused)
        at = self.clock.now()
        named = [{"id": str(one.id), "prompt": one.prompt, "version": one.new_version} for one in deployments]
        lost = await self.deployments.take_back(
            agent,
            deployments,
            {"actor": said.actor, "reason": f"taken back by {said.actor}"},
            question=question,
            notices=[
                {
                    "kind": "rollback_decided",
                    "session_id": None,
                    "actor": said.actor,
                    "body": {"deployments": named},
                }
            ],
            audit=audit_body("rollback", at=iso(at), **vars(said), deployments=named),
            at=at,
        )
        refused = await self.refuses_return(agent, deployments, said.actor) if lost == "frozen" else None
        if refused is not None:
            raise UsageError(refused)
        return lost is None

    async def refuses_return(self, agent: str, deployments: Sequence[Deployment], actor: str) -> str | None:
        """Why this person may not take these back where that brings text live again that was taken out; None else.

        It is held to what a deployment is held to.
        """
        if all(one.kind == "change" for one in deployments):
            return None
        policy = self.policy_of(agent)
        block = None if policy.people.may_decide(actor) else policy.no_approver()
        block = block or policy.alone() or (await self.gate(agent, None, actor)).block
        return block and f"That brings text live again that was taken out, so nothing was done. {block.sentence}."

    async def halt(self, agent: str, said: Said) -> Stopped:
        """Halts what is under way and not live; what may be live already, the worker halts or takes back."""
        await self._require_listed(agent, said)
        at = self.clock.now()
        return await self.deployments.stop(
            agent,
            {"actor": said.actor, "reason": f"halted by {said.actor}"},
            notices=[{"kind": "deployment_halted", "session_id": None, "actor": said.actor, "body": {}}],
            decided_notices=[{"kind": "deployment_stopping", "session_id": None, "actor": said.actor, "body": {}}],
            audit=audit_body("halt", at=iso(at), **vars(said)),
            at=at,
        )


def _bases(item: Item, current: Mapping[str, PromptVersion]) -> dict[str, str]:
    return {prompt: current[prompt].sha256 for prompt in item.prompts if prompt in current}
