"""Stopped at any moment: nothing of it goes live, or what did is taken back; never live and told otherwise."""

from __future__ import annotations

from itertools import groupby

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.deployment import Follow
from optimizer.records.states import DeploymentState, ItemState
from optimizer.stores.deployments import Stopped
from tests.builders import SYSTEM, Office, approve, make_item
from tests.contract.deploy.interfered import MOVES_TEXT, Interfered, end_leases, states
from tests.contract.deploy.single import approved, only

AT_ONCE, WORKER_DOES = Stopped(halted=1, decided=0), Stopped(halted=0, decided=1)
# The worker's calls, in their order.
LABEL = ["current", "current", "publish", "version", "current", "current", "move_label", "current"]
LATEST = ["current", "current", "publish", "version", "current", "current"]


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


def stopped_before(office: Office, number: int, answers: list[Stopped]) -> type[Interfered]:
    """Someone, in another process, says stop right before the worker's call with this number."""

    class StoppedBefore(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if len(self.calls) == number + 1:
                answers.append(await office.stop())

    return StoppedBefore


async def test_what_no_worker_has_begun_is_halted_at_once(office: Office) -> None:
    batch_id = await approved(office)
    assert await office.stop() == AT_ONCE
    assert await office.worker().work() == 0
    deployment = await only(office, batch_id)
    assert (deployment.state, deployment.reason) == (DeploymentState.halted, "halted by console:dana")
    assert (await office.current("system")).version == 1
    assert await office.stop() == Stopped(halted=0, decided=0)


@pytest.mark.parametrize("number", range(len(LABEL)), ids=lambda number: f"{number} {LABEL[number]}")
async def test_stopped_before_any_call_of_a_running_worker(office: Office, number: int) -> None:
    batch_id = await approved(office)
    answers: list[Stopped] = []
    registry = stopped_before(office, number, answers)
    await office.worker(registry=registry).work()
    # From the moment at which the label is to move, only the worker can tell whether it has.
    about_to_move = number >= LABEL.index("move_label") - 1
    assert answers == [WORKER_DOES if about_to_move else AT_ONCE]
    deployment = await only(office, batch_id)
    moved = number >= LABEL.index("move_label")
    assert deployment.state is (DeploymentState.rolled_back if moved else DeploymentState.halted)
    assert deployment.reason in ("halted by console:dana", "taken back by console:dana")
    assert await office.registry.labels("system") == {"prod": 1}
    places = [move.version for move in await office.registry.moves() if move.prompt == "system"]
    assert [version for version, _ in groupby(places)] == ([1, 2, 1] if moved else [1])
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.failed
    assert await office.worker().work() == 0


@pytest.mark.parametrize("number", range(len(LATEST)), ids=lambda number: f"{number} {LATEST[number]}")
async def test_stopped_where_publishing_is_going_live(database: PostgresDatabase, number: int) -> None:
    office = await Office(database, follow="latest").open()
    batch_id = await approved(office)
    answers: list[Stopped] = []
    await office.worker(registry=stopped_before(office, number, answers)).work()
    assert answers == [AT_ONCE if number == 0 else WORKER_DOES]
    published = number >= LATEST.index("publish")
    deployment = await only(office, batch_id)
    assert deployment.state is (DeploymentState.rolled_back if published else DeploymentState.halted)
    newest = await office.registry.current("system", None)
    assert (newest.version, newest.text) == (3 if published else 1, SYSTEM)
    assert await office.worker().work() == 0


@pytest.mark.parametrize(("follow", "fatal"), [("label", "move_label"), ("latest", "publish")])
@pytest.mark.parametrize("done", [False, True], ids=["it was not done", "it was done"])
async def test_stopped_while_the_registry_does_not_answer(
    database: PostgresDatabase, follow: Follow, fatal: str, done: bool
) -> None:
    """Nobody knows whether it is live when the person says stop; it is found out before anything else is done."""
    office = await Office(database, follow=follow).open()
    batch_id = await approved(office)

    class Dies(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == fatal and not done:
                raise KeyboardInterrupt

        async def after(self, call: str, prompt: str) -> None:
            if call == fatal:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await office.worker(registry=Dies).work()
    assert await office.stop("console:rui") == WORKER_DOES
    await end_leases(office)
    await office.worker("worker-2").work()
    deployment = await only(office, batch_id)
    assert deployment.state is (DeploymentState.rolled_back if done else DeploymentState.halted)
    assert (await office.current("system")).text == SYSTEM
    kinds = [(one.kind, one.actor) for one in await office.notices.after(office.agent, 0)]
    assert kinds[-1] == ("deployment_rolled_back" if done else "deployment_halted", "console:rui")


async def test_stopping_the_second_prompt_of_an_item_takes_the_first_back(office: Office) -> None:
    item = make_item(1, MOVES_TEXT)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None

    class Halted(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if (call, prompt) == ("publish", "system"):
                assert await office.stop() == AT_ONCE

    await office.worker(registry=Halted).work()
    assert states(await office.deployments.batch(decided.batch_id)) == {
        "playbooks": DeploymentState.rolled_back,
        "system": DeploymentState.halted,
    }
    assert await office.registry.labels("playbooks") == {"prod": 1}
