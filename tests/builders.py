"""Small builders: an item, a session, and a pending session in a database with two prompts in its registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve.door import Decided, Door, Said
from optimizer.approve.machine import Kind, Order
from optimizer.approve.people import People
from optimizer.approve.policy import Policy
from optimizer.approve.provenance import Confirmed
from optimizer.clock import ManualClock, iso
from optimizer.db.port import Database
from optimizer.deploy.plan import make_plan
from optimizer.deploy.worker import Worker
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, Follow, Plan, PromptRef, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.findings import Goal, ItemType, content_sha256
from optimizer.records.session import Header, Item, Session
from optimizer.records.states import ItemState, SessionState
from optimizer.records.window import Window
from optimizer.registries.local import LocalRegistry
from optimizer.registries.port import Registry
from optimizer.settings.policies import PolicySettings
from optimizer.stores.audit import AuditStore, NoticeStore, audit_body
from optimizer.stores.deployments import DeploymentStore, Stopped
from optimizer.stores.freezes import FreezeStore
from optimizer.stores.sessions import SessionStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGENT = "blog-writer"
DANA, RUI, MALLORY = "console:dana", "console:rui", "console:mallory"
SYSTEM = "".join(
    f"Rule {number}: keep sentence {number} of the article short, true and to the point.\n" for number in range(12)
)
PLAYBOOKS = "".join(
    f"Play {number}: when the reader asks for topic {number}, answer with an example.\n" for number in range(12)
)
TEXTS = {"system": SYSTEM, "playbooks": PLAYBOOKS}


def rule_line(number: int, prompt: str = "system", replace: str | None = None) -> Edit:
    """An edit of one line of a builder's prompt; edits of two lines do not overlap."""
    find = f"Rule {number}:" if prompt == "system" else f"Play {number}:"
    return Edit(prompt=prompt, find=find, replace=replace if replace is not None else f"{find} (always)")


def held(prompt: str = "system", text: str | None = None, version: int = 1) -> PromptVersion:
    text = TEXTS[prompt] if text is None else text
    return PromptVersion(prompt=prompt, version=version, text=text, sha256=sha256_of(text))


def make_item(
    n: int,
    edits: Sequence[Edit] | None = None,
    *,
    type_: ItemType = ItemType.prompt_change,
    state: ItemState = ItemState.open,
    requires: Sequence[UUID] = (),
    texts: Mapping[str, str] = TEXTS,
    key: str | None = None,
    id_: UUID | None = None,
) -> Item:
    """Without edits given, a prompt change edits line `n` of the system prompt."""
    edits = tuple(edits) if edits is not None else ((rule_line(n),) if type_ is ItemType.prompt_change else ())
    return Item(
        id=id_ or uuid4(),
        n=n,
        agent=AGENT,
        key=key or f"trouble:{n}",
        rule="trouble",
        goal=Goal.cost,
        type=type_,
        title=f"Trouble {n}",
        detail="It costs.",
        facts=(),
        edits=edits,
        base_sha256={edit.prompt: sha256_of(texts[edit.prompt]) for edit in edits},
        requires=tuple(requires),
        content_sha256=content_sha256(type_, edits),
        state=state,
        severity=1.0,
        first_seen_at=NOON,
    )


def make_session(
    items: Sequence[Item],
    *,
    state: SessionState = SessionState.pending,
    expires_at: datetime = NOON + timedelta(days=3),
) -> Session:
    return Session(
        id=uuid4(),
        agent=AGENT,
        run_id=uuid4(),
        environment="prod",
        since=NOON - timedelta(days=1),
        until=NOON,
        state=state,
        revision=1,
        created_at=NOON,
        expires_at=expires_at,
        decided_at=None,
        snoozed_until=None,
        facts=(),
        header=Header(span="24h", sessions=240, cost_usd_mean=0.044),
        watching=(),
        dropped=(),
        items=tuple(items),
    )


def shown_of(session: Session) -> dict[UUID, str]:
    return {item.id: item.content_sha256 for item in session.items}


def approve(*items: Item) -> Order:
    return Order(Kind.approve, frozenset(item.id for item in items))


def said(actor: str = DANA, words: str = "deploy all") -> Said:
    return Said(actor=actor, channel="console", chat="terminal", words=words, understood=words)


def item_row(item: Item) -> dict[str, Any]:
    return {
        **item.model_dump(
            mode="json", exclude={"agent", "state", "first_seen_at", "answered_at", "answered_severity", "votes"}
        )
    }


@dataclass
class Office:
    """One agent on a real database: stores, registry, people, and the way from a session to a deployment."""

    database: Database
    agent: str = AGENT
    follow: Follow = "label"
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    policy: PolicySettings = field(default_factory=PolicySettings)
    people: People = field(default_factory=lambda: People(frozenset({DANA, RUI}), frozenset({DANA, RUI})))

    def __post_init__(self) -> None:
        self.sessions = SessionStore(self.database)
        self.deployments = DeploymentStore(self.database)
        self.audit = AuditStore(self.database)
        self.notices = NoticeStore(self.database)
        self.registry: Registry = LocalRegistry(self.database, self.agent, self.clock)

    @property
    def refs(self) -> dict[str, PromptRef]:
        return {name: PromptRef(follow=self.follow) for name in TEXTS}

    async def open(self) -> Office:
        """Publishes the prompts and puts their labels on version 1."""
        for name, text in TEXTS.items():
            await self.publish(name, text)
        return self

    async def publish(self, prompt: str, text: str) -> int:
        """As a person does it by hand: a new version, and the label on it."""
        before = (await self.registry.labels(prompt)).get("prod")
        published = await self.registry.publish(
            prompt, text, commit_message="by hand", metadata={}, deployment_id=uuid4()
        )
        await self.registry.move_label(prompt, "prod", published.version, expected=before)
        return published.version

    async def current(self, prompt: str) -> PromptVersion:
        return await self.registry.current(prompt, "prod" if self.follow == "label" else None)

    async def start_run(
        self, worker: str = "runner", slot: str | None = None, lease_seconds: int = 60
    ) -> tuple[UUID, dict[str, Any]]:
        run_id = uuid4()
        window = Window(since=self.clock.now() - timedelta(days=1), until=self.clock.now())
        answer = await self.sessions.start_run(
            run_id, self.agent, slot, window, worker, lease_seconds, self.clock.now()
        )
        return run_id, answer

    async def save(
        self,
        items: Sequence[Item],
        *,
        run_id: UUID | None = None,
        worker: str = "runner",
        requested_by: str | None = None,
    ) -> UUID | None:
        """A run that found these items; None when the run was lost."""
        if run_id is None:
            run_id, answer = await self.start_run(worker)
            assert answer["started"], answer
        at = self.clock.now()
        session_id = uuid4()
        saved = await self.sessions.save(
            run_id,
            worker,
            {
                "id": str(session_id),
                "environment": "prod",
                "expires_at": iso(at + timedelta(days=3)),
                "facts": [],
                "header": Header(span="24h", sessions=240, cost_usd_mean=0.044, requested_by=requested_by).model_dump(
                    mode="json"
                ),
                "watching": [],
                "dropped": [],
            },
            [item_row(item) for item in items],
            {"status": "pending"},
            [],
            audit_body("run", at=iso(at), run_id=str(run_id)),
            at,
        )
        return session_id if saved else None

    async def pending(self, items: Sequence[Item], *, requested_by: str | None = None) -> Session:
        id_ = await self.save(items, requested_by=requested_by)
        assert id_ is not None
        return await self.read(id_)

    async def read(self, id_: UUID) -> Session:
        session = await self.sessions.read(id_)
        assert session is not None
        return session

    async def plan(self, session: Session, wanted: frozenset[UUID], confirmed: Confirmed | None = None) -> Plan:
        current = {name: await self.current(name) for name in TEXTS}
        items = [item for item in session.items if item.id in wanted]
        live = frozenset(item.id for item in session.items if item.state is ItemState.deployed)
        return make_plan(items, current, self.refs, already_live=live, policy=self.policy, confirmed=confirmed)

    async def decide(
        self,
        session: Session,
        *orders: Order,
        actor: str = DANA,
        question: UUID | None = None,
        shown: Mapping[UUID, str] | None = None,
    ) -> Decided:
        policy = Policy(self.policy, self.people)
        door = Door(self.sessions, FreezeStore(self.database), self.audit, policy, self.plan, self.clock)
        return await door.decide(
            session,
            orders,
            said(actor),
            shown=shown_of(session) if shown is None else shown,
            question=question,
        )

    def worker(
        self,
        name: str = "worker-1",
        *,
        lease_seconds: int = 20,
        registry: Callable[[Registry], Registry] | None = None,
    ) -> Worker:
        wrapped = registry(self.registry) if registry else self.registry
        return Worker(name, self.deployments, self.audit, lambda _: wrapped, self.clock, lease_seconds)

    async def deployed(self, items: Sequence[Item]) -> tuple[Deployment, ...]:
        """Proposed, approved and carried out."""
        session = await self.pending(items)
        decided = await self.decide(session, approve(*items))
        assert decided.batch_id is not None, decided
        await self.worker().work()
        return await self.deployments.batch(decided.batch_id)

    async def take_back(self, *deployments: Deployment, actor: str = DANA, question: UUID | None = None) -> bool:
        at = self.clock.now()
        lost = await self.deployments.take_back(
            self.agent,
            deployments,
            {"actor": actor, "reason": f"taken back by {actor}"},
            question=question,
            notices=[],
            audit=audit_body("rollback", at=iso(at), actor=actor),
            at=at,
        )
        return lost is None

    async def halt(self, actor: str = DANA) -> int:
        """How many were halted at once."""
        return (await self.stop(actor)).halted

    async def stop(self, actor: str = DANA) -> Stopped:
        at = self.clock.now()
        return await self.deployments.stop(
            self.agent,
            {"actor": actor, "reason": f"halted by {actor}"},
            notices=[],
            decided_notices=[],
            audit=audit_body("halt", at=iso(at), actor=actor),
            at=at,
        )

    async def item_states(self, session: Session) -> dict[int, ItemState]:
        return {item.n: item.state for item in (await self.read(session.id)).items}
