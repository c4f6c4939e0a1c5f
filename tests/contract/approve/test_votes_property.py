"""Whatever people say in whatever order: an item goes live with enough yeses of people who may, or not at all.

The model beside it keeps, for each item, whose yes stands. It knows nothing of votes, tallies or rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimizer.approve.machine import Kind, Order
from optimizer.approve.people import People
from optimizer.db.postgres import PostgresDatabase
from optimizer.records.session import Session
from optimizer.records.states import ItemState, SessionState
from optimizer.settings.policies import PolicySettings
from tests.builders import SYSTEM, Office, make_item, shown_of

PERSON = {
    "slack:U1": "dana",
    "console:dana": "dana",
    "console:rui": "rui",
    "console:sam": "sam",
    "console:eve": "eve",
}
LISTED = frozenset(PERSON)
ITEMS = 4
DANA, DANA_TOO, RUI, SAM, EVE = "console:dana", "slack:U1", "console:rui", "console:sam", "console:eve"
actors = st.sampled_from([DANA, DANA_TOO, RUI, SAM, DANA, RUI, SAM, EVE, "console:mallory"])
numbers = st.sampled_from([(1, 2, 3, 4), (1,), (2,), (1, 2), (3, 4), (2, 3, 4)]).map(frozenset)
yes = st.tuples(st.just("yes"), actors, numbers)
approvers = st.sampled_from([{DANA, DANA_TOO, RUI, SAM}, {DANA, RUI}, {DANA_TOO, SAM, EVE}, {RUI, SAM}]).map(frozenset)
steps = st.one_of(
    yes,
    yes,
    yes,
    yes,
    st.tuples(st.just("no"), actors, numbers),
    st.tuples(st.just("restore"), actors, numbers),
    st.tuples(st.just("restore and yes"), actors, numbers),
    st.tuples(st.just("by hand")),
    st.tuples(st.just("approvers"), approvers),
    st.tuples(st.just("run")),
)


@dataclass
class Story:
    """One agent, what happens to it, and what must be true of it."""

    office: Office
    needed: int
    requester: str | None
    session: Session
    texts: int = 0
    yes: dict[UUID, set[str]] = field(default_factory=dict[UUID, set[str]])  # who stands behind each item
    live: set[UUID] = field(default_factory=set[UUID])

    def may(self, actor: str) -> bool:
        return actor in self.office.people.approvers

    def allowed(self, person: str) -> bool:
        excluded = PERSON[self.requester] if self.requester else None
        return person != excluded and any(self.may(actor) for actor, name in PERSON.items() if name == person)

    async def step(self, step: tuple[Any, ...]) -> None:
        name, *rest = step
        if name == "by hand":
            await self.by_hand()
        elif name == "approvers":
            self.office.people = People(rest[0], LISTED, PERSON)
        elif name == "run":
            await self.run()
        else:
            await self.say(name, *rest)

    async def say(self, name: str, actor: str, numbers: frozenset[int]) -> None:
        session = await self.office.read(self.session.id)
        items = [item for item in session.items if item.n in numbers]
        ids = frozenset(item.id for item in items)
        kinds = {"yes": [Kind.approve], "no": [Kind.remove], "restore": [Kind.restore]}
        orders = [Order(kind, ids) for kind in kinds.get(name, [Kind.restore, Kind.approve])]
        decided = await self.office.decide(session, *orders, actor=actor, shown=shown_of(session))
        if decided.refusal is not None:
            assert await self.office.read(self.session.id) == session
            return
        assert self.may(actor)
        for item in items:
            if name == "no" and item.state is ItemState.open:
                self.yes[item.id] = set()
            if "restore" in name and item.state is ItemState.removed:
                self.yes[item.id] = set()
            if "yes" in name and (item.state is ItemState.open or "restore" in name):
                self.yes.setdefault(item.id, set()).add(PERSON[actor])
        went = decided.plan.items if decided.plan else frozenset[UUID]()
        assert went <= ids
        assert not went or "yes" in name
        for id_ in went:
            assert len([one for one in self.yes[id_] if self.allowed(one)]) >= self.needed
            assert id_ not in self.live
            self.live.add(id_)
        for id_ in ids - went if "yes" in name else ():
            assert len([one for one in self.yes.get(id_, ()) if self.allowed(one)]) < self.needed or id_ in self.live
        await self.office.worker().work()
        if went:
            await self.rebase()

    async def by_hand(self) -> None:
        """Someone changes the prompt in the registry; the items are shown again on the new text."""
        self.texts += 1
        await self.office.publish("system", (await self.office.current("system")).text + f"By hand {self.texts}.\n")
        await self.rebase()

    async def rebase(self) -> None:
        session = await self.office.read(self.session.id)
        if session.state is not SessionState.pending:
            return
        base = {"system": (await self.office.current("system")).sha256}
        items = [{"id": str(item.id), "base_sha256": base} for item in session.items if item.state is ItemState.open]
        assert await self.office.sessions.rebase(session, items, '{"kind":"rebased"}', self.office.clock.now())
        self.yes.update({item.id: set() for item in session.items if item.state is ItemState.open})

    async def run(self) -> None:
        """A run finds again what is open, and nothing else has changed about it."""
        session = await self.office.read(self.session.id)
        waiting = [item for item in session.items if item.state is ItemState.open]
        if session.state is SessionState.pending and waiting:
            self.session = await self.office.pending(waiting, requested_by=self.requester)

    async def check(self) -> None:
        """What runs is the text of those items that had all they needed, and of no others."""
        text = (await self.office.current("system")).text
        named = {item.n: item.id for item in (await self.office.read(self.session.id)).items}
        for n, id_ in named.items():
            assert (f"Rule {n}: (always)" in text) is (id_ in self.live)


async def begin(database: PostgresDatabase, needed: int, requester: str | None) -> Story:
    office = Office(database, agent=f"agent-{uuid4().hex[:12]}")
    office.people = People(LISTED - {EVE}, LISTED, PERSON)
    office.policy = PolicySettings(approvals_min=needed, requester_excluded=True)
    await office.publish("system", SYSTEM)
    await office.publish("playbooks", SYSTEM)
    items = [make_item(n) for n in range(1, ITEMS + 1)]
    return Story(office, needed, requester, await office.pending(items, requested_by=requester))


ONE = frozenset({1})


@example(2, None, [("yes", DANA, ONE), ("yes", DANA_TOO, ONE)])
@example(2, None, [("yes", DANA, ONE), ("by hand",), ("yes", RUI, ONE)])
@example(2, None, [("yes", DANA, ONE), ("approvers", frozenset({RUI, SAM})), ("yes", RUI, ONE)])
@example(2, None, [("yes", DANA, ONE), ("no", SAM, ONE), ("restore", SAM, ONE), ("yes", RUI, ONE)])
@example(2, DANA, [("yes", DANA_TOO, ONE), ("yes", RUI, ONE), ("run",), ("yes", SAM, ONE)])
@given(
    needed=st.sampled_from([2, 3, 1]),
    requester=st.sampled_from([None, None, DANA_TOO, RUI]),
    story=st.lists(steps, min_size=6, max_size=12),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_only_what_enough_people_want_goes_live(
    database: PostgresDatabase, needed: int, requester: str | None, story: list[tuple[Any, ...]]
) -> None:
    told = await begin(database, needed, requester)
    for step in story:
        await told.step(step)
        await told.check()
