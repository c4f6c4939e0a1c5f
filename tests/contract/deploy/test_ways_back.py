"""Ways back that are deployments of their own: all of one or none, once, and from what they were planned on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from optimizer.approve.people import People
from optimizer.db.port import Database
from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.ways_back import NoWay, WayBack
from optimizer.errors import UsageError
from optimizer.prompts.edits import compose
from optimizer.records.deployment import Deployment
from optimizer.records.freeze import Freeze
from optimizer.records.session import Item, Session
from optimizer.stores.audit import QuestionStore, audit_body
from optimizer.stores.freezes import FreezeStore
from tests.builders import AGENT, DANA, MALLORY, NOON, PLAYBOOKS, SYSTEM, Office, approve, make_item, rule_line, said
from tests.contract.deploy.crashing_back import ALONE, BOTH, ratchet_of
from tests.contract.deploy.interfered import Interfered, Silent, end_leases

ALL = compose(SYSTEM, [BOTH[0], *ALONE])


class Scene:
    """Item 1, of two prompts, and item 2 live as version 2."""

    def __init__(self, office: Office, session: Session) -> None:
        self.office, self.session = office, session
        self.ways = ratchet_of(office).ways_back

    async def without(self, *numbers: int) -> WayBack:
        way = await self.ways.without(AGENT, frozenset(item.id for item in self.session.items if item.n in numbers))
        assert isinstance(way, WayBack), way
        return way

    async def back_to(self, version: int) -> WayBack:
        way = await self.ways.to_version(AGENT, "system", version)
        assert isinstance(way, WayBack), way
        return way

    async def go(self, way: WayBack) -> tuple[Deployment, ...]:
        batch_id = await self.ways.go(AGENT, way, said(DANA, "rollback"))
        assert batch_id is not None
        return await self.office.deployments.batch(batch_id)

    async def done(self, batch: tuple[Deployment, ...]) -> list[str]:
        await self.office.worker().work()
        return [one.state.value for one in await self.office.deployments.batch(batch[0].batch_id)]

    async def texts(self) -> tuple[str, str]:
        return (await self.office.current("system")).text, (await self.office.current("playbooks")).text

    async def states(self) -> list[str]:
        return [state.value for _, state in sorted((await self.office.item_states(self.session)).items())]


async def begin(office: Office, *more: Item) -> Scene:
    await office.open()
    session = await office.pending([make_item(1, BOTH), make_item(2, ALONE), *more])
    await office.decide(session, approve(*session.items))
    await office.worker().work()
    return Scene(office, session)


async def frozen(database: Database) -> None:
    freeze = Freeze(agent=AGENT, actor=DANA, reason="", frozen_at=NOON)
    await FreezeStore(database).begin(freeze, {"actor": DANA, "reason": ""}, [], audit_body("freeze", at="x"))


@pytest.fixture
async def scene(database: PostgresDatabase) -> Scene:
    return await begin(Office(database))


@pytest.mark.parametrize("changed", ["playbooks", "system"])
async def test_an_item_of_two_prompts_is_out_of_both_or_of_neither(scene: Scene, changed: str) -> None:
    batch = await scene.go(await scene.without(1))
    before: dict[str, str] = dict(zip(("system", "playbooks"), await scene.texts(), strict=True))
    await scene.office.publish(changed, before[changed] + "By hand.\n")
    assert set(await scene.done(batch)) <= {"failed", "rolled_back"}
    assert dict(zip(before, await scene.texts(), strict=True)) == before | {changed: before[changed] + "By hand.\n"}
    assert await scene.states() == ["deployed", "deployed"]
    kinds = [one.kind for one in await scene.office.notices.after(AGENT, 0)]
    assert "deployment_failed" in kinds
    standing = [one for one in await scene.office.deployments.newest(AGENT) if one.stands]
    assert [one.kind for one in standing] == ["change", "change"]


async def test_the_version_that_a_label_goes_back_to_has_to_be_the_one_that_was_agreed_to(scene: Scene) -> None:
    way = await scene.back_to(1)
    leg = way.legs[0]
    batch = await scene.go(WayBack((replace(leg, text=leg.text + "Not this.\n"), *way.legs[1:])))
    assert set(await scene.done(batch)) == {"failed"}
    assert (await scene.texts())[0] == ALL
    assert await scene.states() == ["deployed", "deployed"]


class Unmoved(Interfered):
    """Says that the label moved, and leaves it where it is."""

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        self.calls.append("move_label")


async def test_a_label_that_did_not_move_is_no_way_back(scene: Scene) -> None:
    batch = await scene.go(await scene.back_to(1))
    await scene.office.worker(registry=Unmoved).work()
    assert (await scene.office.deployments.batch(batch[0].batch_id))[0].state.value == "failed"
    assert (await scene.texts())[0] == ALL
    assert await scene.states() == ["deployed", "deployed"]


@pytest.mark.parametrize("call", ["version", "publish", "move_label"])
async def test_a_registry_that_did_not_answer_is_asked_again(scene: Scene, call: str) -> None:
    batch = await scene.go(await scene.without(1))
    silent = scene.office.worker(registry=lambda inner: Silent(inner, call, "system", 1))
    await silent.work()
    await end_leases(scene.office)
    await silent.work()
    assert await scene.done(batch) == ["live", "live"]
    assert await scene.texts() == (compose(SYSTEM, ALONE), PLAYBOOKS)
    assert await scene.states() == ["failed", "deployed"]


@pytest.mark.parametrize("number", [1, 2])
async def test_two_people_at_once_take_an_item_back_once(scene: Scene, number: int) -> None:
    way = await scene.without(number)
    gone = await asyncio.gather(*(scene.ways.go(AGENT, way, said(DANA, "take back only 1")) for _ in range(2)))
    assert sorted(one is None for one in gone) == [False, True]
    await scene.office.worker().work()
    assert await scene.ways.go(AGENT, way, said(DANA, "take back only 1")) is None  # it is not live any more
    assert len(await scene.office.registry.history("system")) == 3


async def test_a_question_is_consumed_with_the_way_back(scene: Scene) -> None:
    question, at = uuid4(), scene.office.clock.now()
    store = QuestionStore(scene.office.database)
    until = at + timedelta(minutes=10)
    await store.ask(question, AGENT, None, "console", "here", DANA, "?", {}, "ab", expires_at=until, at=at)
    assert await scene.ways.go(AGENT, await scene.without(1), said(), question=question) is not None
    await scene.office.worker().work()
    assert await scene.ways.go(AGENT, await scene.back_to(1), said(), question=question) is None


async def test_only_listed_people_go_back(scene: Scene) -> None:
    with pytest.raises(UsageError, match="may not take back"):
        await scene.ways.go(AGENT, await scene.without(1), said(MALLORY))
    scene.office.people = People(frozenset(), frozenset({MALLORY}))
    assert await scene.ways.go(AGENT, await scene.without(1), said(MALLORY)) is not None


async def test_while_it_is_frozen_nothing_that_was_taken_out_returns(scene: Scene) -> None:
    office = scene.office
    batch = await scene.go(await scene.without(1))
    await frozen(office.database)
    assert await scene.done(batch) == ["live", "live"]
    assert not await office.take_back(*await office.deployments.batch(batch[0].batch_id))
    assert await scene.states() == ["failed", "deployed"]


class FrozenRightBefore:
    """A database in which somebody freezes the agent right before a rollback is decided."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner

    async def call(self, function: str, **arguments: Any) -> Any:
        if function == "deployments_take_back":
            await frozen(self._inner)
        return await self._inner.call(function, **arguments)

    async def close(self) -> None:
        await self._inner.close()


async def test_a_freeze_that_comes_after_the_check_is_told_as_a_freeze(scene: Scene) -> None:
    office = scene.office
    batch = await scene.go(await scene.without(2))
    assert await scene.done(batch) == ["live"]
    overtaken = ratchet_of(replace(office, database=FrozenRightBefore(office.database))).decisions
    with pytest.raises(UsageError, match=r"taken out, so nothing was done\. Deployments are frozen since"):
        await overtaken.take_back(AGENT, await office.deployments.batch(batch[0].batch_id), said(DANA, "rollback"))
    assert await scene.states() == ["deployed", "failed"]


async def test_what_was_passed_over_in_one_prompt_leaves_the_other_live(database: PostgresDatabase) -> None:
    """A way back of one prompt must not make a worker undo the rest of the same decision in another."""
    alone = rule_line(7, "playbooks")
    scene = await begin(Office(database), make_item(3, [alone]))
    assert await scene.done(await scene.go(await scene.back_to(1))) == ["live", "live"]
    assert await scene.office.worker().work() == 0
    assert await scene.texts() == (SYSTEM, compose(PLAYBOOKS, [alone]))
    assert await scene.states() == ["failed", "failed", "deployed"]
    first = (await scene.office.deployments.newest(AGENT))[-2:]
    assert {one.prompt: one.state.value for one in first} == {"system": "rolled_back", "playbooks": "live"}


async def test_no_version_is_gone_back_to_without_what_others_need(database: PostgresDatabase) -> None:
    office = await Office(database).open()
    first = make_item(1, ALONE)
    session = await office.pending([first, make_item(2, [rule_line(7, "playbooks")], requires=[first.id])])
    await office.decide(session, approve(*session.items))
    await office.worker().work()
    answer = await Scene(office, session).ways.to_version(AGENT, "system", 1)
    assert isinstance(answer, NoWay)
    assert answer.reason == "Item 2 needs what would leave, and would stay"
    assert answer.instead == {item.id for item in session.items}


async def test_what_runs_is_looked_at_when_the_way_is_gone(scene: Scene) -> None:
    batch = await scene.go(await scene.back_to(1))
    await scene.office.publish("system", ALL + "By hand.\n")
    assert "failed" in await scene.done(batch)
    assert (await scene.texts())[0] == ALL + "By hand.\n"
    answer = await scene.ways.to_version(AGENT, "system", 1)
    assert isinstance(answer, NoWay)


async def test_the_audit_names_what_left_and_whose_place_was_taken(scene: Scene) -> None:
    batch = await scene.go(await scene.back_to(1))
    await scene.done(batch)
    bodies = [row["body"] for row in await scene.office.audit.newest(AGENT, 50)]
    named = [str(id_) for one in batch for id_ in (*one.undone, *one.passes)]
    assert all(any(id_ in body and '"to":"live"' in body for body in bodies) for id_ in named)
    assert (await scene.office.audit.verify(AGENT)).problem is None
