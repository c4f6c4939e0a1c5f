"""Where the newest version is what runs, what somebody publishes in the middle runs in the end."""

from __future__ import annotations

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.states import DeploymentState, ItemState
from tests.builders import SYSTEM, Office, approve, make_item
from tests.contract.deploy.interfered import Interfered, end_leases
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import PromptLayer

THEIRS = SYSTEM + "By hand.\n"


@pytest.fixture(params=["local", "promptlayer"])
async def office(request: pytest.FixtureRequest, database: PostgresDatabase) -> Office:
    office = Office(database, follow="latest")
    if request.param == "promptlayer":
        api: PromptLayer = request.getfixturevalue("promptlayer_api")
        office.registry = registry_on(api)
    return await office.open()


def overtaken(office: Office) -> type[Interfered]:
    """Somebody publishes right before we do."""

    class Overtaken(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "publish" and self.calls.count("publish") == 1:
                await office.publish("system", THEIRS)

    return Overtaken


async def test_a_deployment_steps_aside(office: Office) -> None:
    item = make_item(1)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    await office.worker(registry=overtaken(office)).work()
    (deployment,) = await office.deployments.batch(decided.batch_id)
    assert deployment.state is DeploymentState.failed
    assert deployment.overtaken
    assert "Someone else published version 2 of 'system' meanwhile: version 4 holds that text again" in (
        deployment.reason or ""
    )
    assert (await office.current("system")).text == THEIRS
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.items[0].state is ItemState.stale
    await end_leases(office)
    await office.worker().work()
    assert len(await office.registry.history("system")) == 4


async def test_a_rollback_steps_aside(office: Office) -> None:
    (deployment,) = await office.deployed([make_item(1)])
    assert await office.take_back(deployment)
    await office.worker(registry=overtaken(office)).work()
    (deployment,) = await office.deployments.batch(deployment.batch_id)
    assert deployment.state is DeploymentState.live
    assert "version 5 holds that text again; look again." in str(deployment.rollback)
    assert (await office.current("system")).text == THEIRS


async def test_a_worker_that_dies_between_its_version_and_theirs_ends_with_theirs(office: Office) -> None:
    item = make_item(1)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None

    class Died(BaseException):
        pass

    class Dies(overtaken(office)):
        async def before(self, call: str, prompt: str) -> None:
            if call == "version":  # what stands below ours is looked at
                raise Died
            await super().before(call, prompt)

    with pytest.raises((Died, BaseExceptionGroup)):
        await office.worker(registry=Dies).work()
    assert len(await office.registry.history("system")) == 3
    await end_leases(office)
    await office.worker().work()
    (deployment,) = await office.deployments.batch(decided.batch_id)
    assert deployment.state is DeploymentState.failed
    assert (await office.current("system")).text == THEIRS
    assert len(await office.registry.history("system")) == 4
