"""From approved to live and back, on a real database and the local registry."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.journal import TRIES_MAX
from optimizer.errors import SettingsError
from optimizer.records.base import sha256_of
from optimizer.records.edits import Edit
from optimizer.records.states import DeploymentState, ItemState
from optimizer.registries.port import Registry
from tests.builders import NOON, SYSTEM, Office, approve, make_item, rule_line
from tests.contract.deploy.interfered import MOVES_TEXT, Interfered, Silent, end_leases, states


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


@pytest.fixture
async def latest(database: PostgresDatabase) -> Office:
    """An agent that always loads the newest version."""
    return await Office(database, follow="latest").open()


async def approved(office: Office, *edits: Edit) -> UUID:
    item = make_item(1, edits or None)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    return decided.batch_id


async def test_an_approved_item_goes_live_as_one_new_version(office: Office) -> None:
    item = make_item(3)
    (deployment,) = await office.deployed([item])
    held = await office.current("system")
    assert deployment.state is DeploymentState.live
    assert (held.version, held.text) == (2, SYSTEM.replace("Rule 3:", "Rule 3: (always)"))
    assert deployment.new_version == 2
    assert deployment.live_at is not None
    assert [(step.step, step.phase) for step in deployment.steps] == [
        ("publish", "before"),
        ("publish", "after"),
        ("move_label", "before"),
        ("move_label", "after"),
    ]
    assert (await office.notices.after(office.agent, 0))[-1].kind == "deployment_live"
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.deployed
    assert await office.worker().work() == 0


async def test_the_published_version_names_the_head_of_the_audit_chain(office: Office) -> None:
    await office.deployed([make_item(1)])
    head = (await office.current("system")).metadata["audit_head"]
    report = await office.audit.verify(office.agent, frozenset({head}))
    assert report.problem is None
    assert report.rows >= 4


async def test_two_workers_at_once_do_it_once(office: Office) -> None:
    batch_id = await approved(office)
    await asyncio.gather(*(office.worker(f"worker-{number}").work() for number in range(4)))
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2
    assert len(deployment.steps) == 4


async def test_a_worker_without_its_lease_touches_nothing(office: Office) -> None:
    batch_id = await approved(office)

    class LosesIt(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            await end_leases(office)

    await office.worker("worker-2", registry=LosesIt).work(batches_max=1)
    assert len(await office.registry.history("system")) == 1
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.planned
    await office.worker("worker-3").work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.live


@pytest.mark.parametrize("moment", ["current", "publish", "version", "move_label"])
async def test_a_prompt_that_someone_changes_meanwhile_is_left_as_they_want_it(office: Office, moment: str) -> None:
    batch_id = await approved(office)

    class Changed(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == moment and self.calls.count(moment) == 1:
                await office.publish("system", SYSTEM + "By hand.\n")

    await office.worker(registry=Changed).work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.failed
    assert deployment.reason
    assert (await office.current("system")).text == SYSTEM + "By hand.\n"
    notice = (await office.notices.after(office.agent, 0))[-1]
    assert (notice.kind, notice.body["reason"]) == ("deployment_failed", deployment.reason)
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.stale  # the next run proposes it on the text of today


async def test_the_same_text_under_another_number_is_not_a_change(office: Office) -> None:
    batch_id = await approved(office)
    assert await office.publish("system", SYSTEM) == 2
    await office.worker().work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.live
    assert (await office.current("system")).version == 3


@pytest.mark.parametrize("call", ["current", "publish", "version", "move_label"])
async def test_a_registry_that_does_not_answer_is_asked_again_when_the_lease_ends(office: Office, call: str) -> None:
    batch_id = await approved(office)
    silent = Silent(office.registry, call, "system", times=2)
    worker = office.worker(registry=lambda _: silent)
    assert await worker.work() == 1  # it does not spin: the batch waits for the end of its lease
    assert await worker.work() == 0
    for _ in range(2):
        await end_leases(office)
        await worker.work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2
    assert sum(step.phase == "failed" for step in deployment.steps) == 2


async def test_a_registry_that_never_answers_ends_in_a_reason(office: Office) -> None:
    batch_id = await approved(office)
    worker = office.worker(registry=lambda inner: Silent(inner, "publish", "system", times=1000))
    for _ in range(TRIES_MAX + 2):
        await worker.work()
        await end_leases(office)
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.failed
    assert deployment.reason is not None
    assert "did not answer" in deployment.reason
    assert sum(step.phase == "failed" for step in deployment.steps) == TRIES_MAX


async def test_one_batch_in_trouble_does_not_stop_the_next(office: Office) -> None:
    broken = await approved(office)
    session = await office.pending([make_item(1, [rule_line(4, "playbooks")])])
    decided = await office.decide(session, approve(*session.items))
    assert decided.batch_id is not None
    await office.worker(registry=lambda inner: Silent(inner, "publish", "system", times=1000)).work()
    assert states(await office.deployments.batch(broken)) == {"system": DeploymentState.publishing}
    assert states(await office.deployments.batch(decided.batch_id)) == {"playbooks": DeploymentState.live}


async def test_where_the_newest_version_runs_publishing_is_going_live(latest: Office) -> None:
    (deployment,) = await latest.deployed([make_item(1)])
    assert deployment.state is DeploymentState.live
    newest = await latest.registry.current("system", None)
    assert newest.sha256 == deployment.sha256
    assert await latest.registry.labels("system") == {"prod": 1}  # labels are not its business


async def test_where_the_newest_version_runs_rolling_back_publishes_the_old_text_again(latest: Office) -> None:
    (deployment,) = await latest.deployed([make_item(1)])
    assert await latest.take_back(deployment)
    await latest.worker().work()
    assert states(await latest.deployments.batch(deployment.batch_id)) == {"system": DeploymentState.rolled_back}
    newest = await latest.registry.current("system", None)
    assert (newest.version, newest.text) == (3, SYSTEM)


async def test_where_the_newest_version_runs_a_foreign_one_is_not_overwritten(latest: Office) -> None:
    batch_id = await approved(latest)

    class CrashesThenChanged(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "publish":
                await latest.publish("system", SYSTEM + "By hand.\n")
                raise KeyboardInterrupt  # the worker dies with the publish under way

    with pytest.raises(KeyboardInterrupt):
        await latest.worker(registry=CrashesThenChanged).work()
    await latest.worker("worker-2").work()
    assert states(await latest.deployments.batch(batch_id)) == {"system": DeploymentState.failed}
    assert (await latest.registry.current("system", None)).text == SYSTEM + "By hand.\n"


async def test_where_the_newest_version_runs_a_newer_one_is_not_rolled_over(latest: Office) -> None:
    (deployment,) = await latest.deployed([make_item(1)])
    await latest.publish("system", SYSTEM + "By hand.\n")
    assert await latest.take_back(deployment)
    await latest.worker().work()
    (deployment,) = await latest.deployments.batch(deployment.batch_id)
    assert deployment.state is DeploymentState.live
    assert (await latest.registry.current("system", None)).text == SYSTEM + "By hand.\n"
    assert "someone else" in (deployment.rollback or {})["failed"]


async def test_rolling_back_moves_the_label_to_the_version_before(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    assert await office.take_back(deployment)
    assert await office.worker().work() == 1
    (deployment,) = await office.deployments.batch(deployment.batch_id)
    assert deployment.state is DeploymentState.rolled_back
    assert deployment.reason == "taken back by console:dana"
    assert await office.registry.labels("system") == {"prod": 1}
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.failed


async def test_a_rollback_of_a_label_that_someone_moved_is_told_once_and_can_be_decided_again(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    by_hand = await office.publish("system", SYSTEM + "By hand.\n")
    assert await office.take_back(deployment)
    assert await office.worker().work() == 1
    assert await office.worker().work() == 0  # no endless loop
    (deployment,) = await office.deployments.batch(deployment.batch_id)
    assert deployment.state is DeploymentState.live
    assert f"stands at version {by_hand}" in (deployment.rollback or {})["failed"]
    assert await office.registry.labels("system") == {"prod": by_hand}
    assert [one.kind for one in await office.notices.after(office.agent, 0)].count("rollback_failed") == 1

    await office.registry.move_label("system", "prod", 2, expected=by_hand)
    assert await office.take_back(deployment)
    await office.worker().work()
    assert await office.registry.labels("system") == {"prod": 1}


async def test_the_first_rollback_wins(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    answers = await asyncio.gather(*(office.take_back(deployment, actor=f"console:{n}") for n in range(4)))
    assert sorted(answers) == [False, False, False, True]
    assert not await office.take_back()


async def test_nothing_is_deployed_to_a_prompt_that_is_being_taken_back(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    assert await office.take_back(deployment)
    text = (await office.current("system")).text
    session = await office.pending([make_item(2, texts={"system": text})])
    decided = await office.decide(session, approve(*session.items))
    assert decided.refusal == "busy"
    assert (await office.item_states(session)) == {2: ItemState.open}


async def test_the_prompt_that_gains_text_goes_first(office: Office) -> None:
    batch = await office.deployed([make_item(1, MOVES_TEXT)])
    assert [one.prompt for one in batch] == ["playbooks", "system"]
    assert states(batch) == {"playbooks": DeploymentState.live, "system": DeploymentState.live}


async def test_if_the_second_prompt_fails_the_first_goes_back(office: Office) -> None:
    batch_id = await approved(office, *MOVES_TEXT)
    changes = 0

    class Changed(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            nonlocal changes
            if (call, prompt) == ("publish", "system") and not changes:
                changes += 1
                await office.publish("system", SYSTEM + "By hand.\n")

    await office.worker(registry=Changed).work()
    batch = await office.deployments.batch(batch_id)
    assert states(batch) == {"playbooks": DeploymentState.rolled_back, "system": DeploymentState.failed}
    assert await office.registry.labels("playbooks") == {"prod": 1}
    assert (await office.current("system")).text == SYSTEM + "By hand.\n"
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.stale
    kinds = [one.kind for one in await office.notices.after(office.agent, 0)]
    assert kinds[-2:] == ["deployment_failed", "deployment_rolled_back"]


async def test_a_worker_that_dies_between_the_two_leaves_the_way_back_to_the_next(office: Office) -> None:
    batch_id = await approved(office, *MOVES_TEXT)

    class Dies(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if (call, prompt) == ("move_label", "playbooks") and self.calls.count("move_label") == 2:
                raise KeyboardInterrupt
            if (call, prompt) == ("publish", "system"):
                await office.publish("system", SYSTEM + "By hand.\n")

    with pytest.raises(KeyboardInterrupt):
        await office.worker(registry=Dies).work()
    assert states(await office.deployments.batch(batch_id))["playbooks"] is DeploymentState.live
    await office.worker("worker-2").work()
    assert states(await office.deployments.batch(batch_id))["playbooks"] is DeploymentState.rolled_back
    assert await office.registry.labels("playbooks") == {"prod": 1}


async def test_an_item_of_two_prompts_is_deployed_when_both_are_live(office: Office) -> None:
    batch_id = await approved(office, *MOVES_TEXT)
    session = await office.sessions.newest(office.agent)
    assert session is not None
    between: list[ItemState] = []

    class Looks(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if (call, prompt) == ("publish", "system"):
                between.extend((await office.item_states(session)).values())

    await office.worker(registry=Looks).work()
    assert between == [ItemState.approved]
    assert (await office.item_states(session)) == {1: ItemState.deployed}
    assert len(states(await office.deployments.batch(batch_id))) == 2


async def test_taking_back_one_prompt_of_an_item_takes_back_both(office: Office) -> None:
    batch = await office.deployed([make_item(1, MOVES_TEXT)])
    assert await office.take_back(batch[0])
    await office.worker().work()
    assert set(states(await office.deployments.batch(batch[0].batch_id)).values()) == {DeploymentState.rolled_back}
    for prompt in ("system", "playbooks"):
        assert await office.registry.labels(prompt) == {"prod": 1}


async def test_a_stored_text_that_was_changed_is_not_published(office: Office) -> None:
    item = make_item(1)
    session = await office.pending([item])
    plan = await office.plan(session, frozenset({item.id}))
    row = {
        **plan.deployments[0].model_dump(mode="json"),
        "id": str(item.id),
        "batch_id": str(item.id),
        "ordinal": 0,
        "actor": "x",
    }
    row["text"] += "Slipped in."
    await office.sessions.decide(
        session,
        state="decided",
        items=[{"id": str(item.id), "from": "open", "to": "approved"}],
        votes=[],
        deployments=[row],
        question=None,
        snoozed_until=None,
        notices=[],
        audit='{"kind":"test"}',
        at=office.clock.now(),
    )
    await office.worker().work()
    (deployment,) = await office.deployments.batch(item.id)
    assert deployment.state is DeploymentState.failed
    assert len(await office.registry.history("system")) == 1
    assert deployment.sha256 != sha256_of(deployment.text)


async def test_seen_in_traffic_then_rolled_back(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    office.clock.advance(timedelta(hours=1))
    at = office.clock.now()
    assert await office.deployments.observe(
        deployment.id, seen_at=at, verdict=None, severities=[], notices=[], audit='{"kind":"seen"}', at=at
    )
    (deployment,) = await office.deployments.batch(deployment.batch_id)
    assert (deployment.state, deployment.seen_at) == (DeploymentState.seen, at)
    assert await office.take_back(deployment)
    await office.worker().work()
    assert states(await office.deployments.batch(deployment.batch_id)) == {"system": DeploymentState.rolled_back}


async def test_a_step_on_what_someone_else_changed_is_refused(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    assert await office.take_back(deployment)
    (claimed,) = await office.deployments.claim(None, "worker-1", 20)
    at = office.clock.now()
    step = office.deployments.step
    assert await step(deployment, "worker-1", "roll_back", "before", at=at) == "conflict"
    assert await step(claimed, "worker-2", "roll_back", "before", at=at) == "lease"
    assert await step(claimed, "worker-1", "roll_back", "before", at=at, to=DeploymentState.planned) == "conflict"
    assert await step(claimed, "worker-1", "roll_back", "before", at=at) is None


async def test_a_worker_that_slept_through_a_rollback_moves_nothing_when_it_wakes(office: Office) -> None:
    batch_id = await approved(office)

    class Sleepy(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "move_label" and self.calls.count("move_label") == 1:
                # Its lease ends; another worker does the work, and people take it back.
                await end_leases(office)
                other = office.worker("worker-2")
                await other.work()
                assert await office.take_back(*await office.deployments.batch(batch_id))
                await other.work()

    await office.worker(registry=Sleepy).work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert deployment.state is DeploymentState.rolled_back
    assert (await office.current("system")).version == 1


async def test_an_agent_without_a_registry_is_in_no_other_ones_way(database: PostgresDatabase) -> None:
    """The oldest batch is one whose key is missing: what is missing is told after all others were carried out."""
    clock, names = ManualClock(NOON), ("keyless", "hotel", "locked", "shop")
    offices = {name: await Office(database, agent=name, clock=clock).open() for name in names}
    batches: dict[str, UUID] = {}
    for name, office in offices.items():
        batches[name] = await approved(office)
        clock.advance(timedelta(minutes=1))
    keys = {"hotel", "shop"}

    def registry_of(agent: str) -> Registry:
        if agent not in keys:
            raise SettingsError(f"The registry of {agent!r} has no key; set one.")
        return offices[agent].registry

    office = offices["keyless"]
    worker = replace(office.worker(), registry_of=registry_of)
    with pytest.raises(SettingsError, match=r"'keyless' has no key; set one\. The registry of 'locked' has no key"):
        await worker.work()
    live = {name: (await office.deployments.batch(id_))[0].state.value for name, id_ in batches.items()}
    assert live == {"keyless": "planned", "hotel": "live", "locked": "planned", "shop": "live"}
    keys |= {"keyless", "locked"}
    assert await worker.work() == 2  # at once: nobody waits for a lease
    left = [(await office.deployments.batch(batches[name]))[0].state.value for name in ("keyless", "locked")]
    assert left == ["live", "live"]
