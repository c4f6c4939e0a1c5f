"""What was decided to go back goes back together, or not at all."""

from __future__ import annotations

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState
from optimizer.stores.audit import Notice
from tests.builders import DANA, PLAYBOOKS, RUI, SYSTEM, TEXTS, Office, approve, make_item, rule_line
from tests.contract.deploy.interfered import MOVES_TEXT, Interfered, Silent, end_leases, states

LIVE = {"playbooks": DeploymentState.live, "system": DeploymentState.live}
BACK = {"playbooks": DeploymentState.rolled_back, "system": DeploymentState.rolled_back}


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


async def two_items(office: Office) -> tuple[Deployment, ...]:
    """Two prompts that share a decision, and no item."""
    return await office.deployed([make_item(1, [rule_line(1)]), make_item(2, [rule_line(2, "playbooks")])])


async def labels(office: Office) -> dict[str, int]:
    return {prompt: (await office.registry.labels(prompt))["prod"] for prompt in sorted(TEXTS)}


async def told(office: Office) -> list[Notice]:
    kinds = ("deployment_rolled_back", "rollback_failed")
    return [one for one in await office.notices.after(office.agent, 0) if one.kind in kinds]


async def read(office: Office, batch: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    return await office.deployments.batch(batch[0].batch_id)


@pytest.mark.parametrize("changed", ["playbooks", "system"])
async def test_a_label_that_someone_moved_on_keeps_the_other_where_it_is(office: Office, changed: str) -> None:
    batch = await two_items(office)
    by_hand = await office.publish(changed, TEXTS[changed] + "By hand.\n")
    assert await office.take_back(*batch)
    assert await office.worker().work() == 1
    assert await office.worker().work() == 0
    batch = await read(office, batch)
    assert states(batch) == LIVE
    assert await labels(office) == {"playbooks": 2, "system": 2} | {changed: by_hand}
    reasons = {(one.rollback or {})["failed"] for one in batch}
    (notice,) = await told(office)
    assert reasons == {notice.body["reason"]}
    assert f"{changed!r} was to go back to version 1 and stands at version {by_hand}" in notice.body["reason"]
    assert notice.kind == "rollback_failed"


async def test_no_label_moves_where_one_of_them_cannot(office: Office) -> None:
    batch = await two_items(office)
    await office.publish("playbooks", PLAYBOOKS + "By hand.\n")
    assert await office.take_back(*batch)
    watched = Interfered(office.registry)
    await office.worker(registry=lambda _: watched).work()
    assert set(watched.calls) == {"current"}


async def test_what_could_not_go_back_can_be_decided_again(office: Office) -> None:
    batch = await two_items(office)
    by_hand = await office.publish("playbooks", PLAYBOOKS + "By hand.\n")
    assert await office.take_back(*batch)
    await office.worker().work()
    await office.registry.move_label("playbooks", "prod", 2, expected=by_hand)
    assert await office.take_back(*await read(office, batch))
    await office.worker().work()
    assert states(await read(office, batch)) == BACK
    assert await labels(office) == {"playbooks": 1, "system": 1}


async def test_a_label_that_stands_at_its_base_already_is_no_hindrance(office: Office) -> None:
    batch = await two_items(office)
    await office.registry.move_label("playbooks", "prod", 1, expected=2)
    assert await office.take_back(*batch)
    await office.worker().work()
    assert states(await read(office, batch)) == BACK
    assert await labels(office) == {"playbooks": 1, "system": 1}


async def test_the_other_prompt_of_an_item_is_looked_at_too(office: Office) -> None:
    batch = await office.deployed([make_item(1, MOVES_TEXT)])
    by_hand = await office.publish("playbooks", PLAYBOOKS + "By hand.\n")
    assert await office.take_back(next(one for one in batch if one.prompt == "system"))
    await office.worker().work()
    batch = await read(office, batch)
    assert states(batch) == LIVE
    assert await labels(office) == {"playbooks": by_hand, "system": 2}
    assert len(await told(office)) == 1


class MovedBetween(Interfered):
    """Someone moves the second label between the look and the move."""

    def __init__(self, office: Office, *, then: str = "") -> None:
        super().__init__(office.registry)
        self.office, self.then = office, then

    async def before(self, call: str, prompt: str) -> None:
        if (call, prompt) == ("move_label", "playbooks") and self.calls.count("move_label") == 2:
            await self.office.publish("playbooks", PLAYBOOKS + "By hand.\n")
            if self.then == "dies":
                raise KeyboardInterrupt
            if self.then == "other":
                await self.office.publish("system", SYSTEM + "By hand too.\n")


async def test_a_label_that_moves_at_the_last_moment_brings_the_other_forward_again(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)
    await office.worker(registry=lambda _: MovedBetween(office)).work()
    assert await office.worker().work() == 0
    assert states(await read(office, batch)) == LIVE
    assert await labels(office) == {"playbooks": 3, "system": 2}
    (notice,) = await told(office)
    assert "'playbooks'" in notice.body["reason"]


async def test_a_worker_that_dies_at_the_last_moment_leaves_that_to_the_next(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)
    with pytest.raises(KeyboardInterrupt):
        await office.worker(registry=lambda _: MovedBetween(office, then="dies")).work()
    assert await labels(office) == {"playbooks": 3, "system": 1}
    await office.worker("worker-2").work()
    assert states(await read(office, batch)) == LIVE
    assert await labels(office) == {"playbooks": 3, "system": 2}
    assert len(await told(office)) == 1


async def test_a_label_that_nobody_can_bring_forward_again_is_told_by_itself(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)
    await office.worker(registry=lambda _: MovedBetween(office, then="other")).work()
    assert await office.worker().work() == 0
    assert states(await read(office, batch)) == LIVE
    assert await labels(office) == {"playbooks": 3, "system": 3}
    reasons = {one.body["prompt"]: one.body["reason"] for one in await told(office)}
    assert "could not go forward again" in reasons["system"]
    assert "'playbooks' could not" in reasons["playbooks"]


async def test_a_worker_that_loses_its_lease_at_the_last_look_leaves_the_end_to_the_next(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)

    class LosesIt(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            # Each is looked at before the moves and after them: this is the last look.
            if (call, prompt, self.calls.count("current")) == ("current", "playbooks", 4):
                await end_leases(office)

    lost = LosesIt(office.registry)
    await office.worker(registry=lambda _: lost).work(batches_max=1)
    assert states(await read(office, batch)) == LIVE
    await office.worker("worker-2").work()
    assert states(await read(office, batch)) == BACK
    assert len(await told(office)) == 2


async def test_a_registry_that_falls_silent_in_between_is_asked_again(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)
    silent = Silent(office.registry, "move_label", "playbooks", times=2)
    for _ in range(3):
        await office.worker(registry=lambda _: silent).work()
        await end_leases(office)
    assert states(await read(office, batch)) == BACK
    assert await labels(office) == {"playbooks": 1, "system": 1}


async def test_a_registry_that_stays_silent_leaves_all_of_it_live(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch)
    silent = Silent(office.registry, "move_label", "playbooks", times=1000)
    for _ in range(8):
        await office.worker(registry=lambda _: silent).work()
        await end_leases(office)
    assert states(await read(office, batch)) == LIVE
    assert await labels(office) == {"playbooks": 2, "system": 2}
    (notice,) = await told(office)
    assert "'playbooks' could not: The registry did not answer" in notice.body["reason"]


async def test_who_took_it_back_is_who_the_news_name(office: Office) -> None:
    batch = await two_items(office)
    assert await office.take_back(*batch, actor=RUI)
    await office.worker().work()
    assert {one.actor for one in batch} == {DANA}
    assert [(one.kind, one.actor) for one in await told(office)] == [("deployment_rolled_back", RUI)] * 2


async def test_a_rollback_that_failed_is_news_for_everybody(office: Office) -> None:
    batch = await two_items(office)
    await office.publish("playbooks", PLAYBOOKS + "By hand.\n")
    assert await office.take_back(*batch, actor=RUI)
    await office.worker().work()
    assert [(one.kind, one.actor) for one in await told(office)] == [("rollback_failed", "ratchet")]


async def test_what_goes_back_by_itself_is_told_as_ratchets(office: Office) -> None:
    item = make_item(1, MOVES_TEXT)
    assert (await office.decide(await office.pending([item]), approve(item))).batch_id is not None

    class Changed(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if (call, prompt) == ("publish", "system"):
                await office.publish("system", SYSTEM + "By hand.\n")

    await office.worker(registry=Changed).work()
    assert [(one.kind, one.actor) for one in await told(office)] == [("deployment_rolled_back", "ratchet")]


async def test_of_one_moment_the_last_version_is_the_newest(office: Office) -> None:
    for n in range(1, 4):
        text = (await office.current("system")).text
        await office.deployed([make_item(n, [rule_line(n)], texts={"system": text})])
    newest = await office.deployments.newest(office.agent)
    assert len({one.planned_at for one in newest}) == 1
    assert [one.new_version for one in newest] == [4, 3, 2]
    assert [one.new_version for one in await office.deployments.newest(office.agent, 1)] == [4]
