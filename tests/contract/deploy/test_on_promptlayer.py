"""Whatever PromptLayer does in the middle of a deployment: live once, or not live and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.prompts.templates import new_template, text_of
from optimizer.records.deployment import Deployment, Follow
from optimizer.records.states import DeploymentState
from tests.builders import SYSTEM, TEXTS, Office, approve, make_item
from tests.contract.deploy.interfered import end_leases
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import Fault, PromptLayer
from tests.simulators.promptlayer_workspace import Prompt

TOOLS = [{"type": "function", "function": {"name": "book"}}]
NEW = SYSTEM.replace("Rule 1:", "Rule 1: (always)")


@pytest.fixture
def office_of(database: PostgresDatabase, promptlayer_api: PromptLayer) -> Callable[..., Any]:
    """An office whose prompts live in PromptLayer."""

    async def made(follow: Follow = "label", **limits: Any) -> Office:
        office = Office(database, follow=follow)
        office.registry = registry_on(promptlayer_api, names=TEXTS, **limits)
        return await office.open()

    return made


def stored(api: PromptLayer) -> Prompt:
    return api.workspace.prompts["system"]


def texts(api: PromptLayer) -> list[str]:
    return [text_of(one.template) for one in stored(api).versions]


async def approved(office: Office) -> UUID:
    item = make_item(1)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    return decided.batch_id


async def worked(office: Office, batch_id: UUID, turns: int = 3) -> Deployment:
    """A worker's turns, a lease apart."""
    for _ in range(turns):
        await office.worker().work()
        await end_leases(office)
    (deployment,) = await office.deployments.batch(batch_id)
    return deployment


@pytest.mark.parametrize("follow", ["label", "latest"])
@pytest.mark.parametrize("fault", [Fault.failed, Fault.limited], ids=lambda one: one.name)
@pytest.mark.parametrize("route", ["publish", "move_label", "get"])
async def test_a_deployment_goes_live_once(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer, follow: Follow, route: str, fault: Fault
) -> None:
    """What was not done is done when it is asked for again; the crash matrix has all that was done unheard."""
    office = await office_of(follow)
    batch_id = await approved(office)
    promptlayer_api.fail(route, fault)
    deployment = await worked(office, batch_id)
    assert deployment.state is DeploymentState.live, deployment.reason
    assert texts(promptlayer_api) == [SYSTEM, NEW]
    assert stored(promptlayer_api).labels["prod"].version == (2 if follow == "label" else 1)


@pytest.mark.parametrize("follow", ["label", "latest"])
async def test_a_publish_of_which_nothing_was_heard_is_found_again(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer, follow: Follow
) -> None:
    """Not even what is there afterwards could be read: as after a crash."""
    office = await office_of(follow)
    batch_id = await approved(office)
    promptlayer_api.before("publish", lambda: promptlayer_api.fail("get", *[Fault.failed] * 3))
    promptlayer_api.fail("publish", Fault.dropped_after)
    await office.worker().work()
    (deployment,) = await office.deployments.batch(batch_id)
    assert (deployment.state, deployment.new_version) == (DeploymentState.publishing, None)
    # Meanwhile somebody who sees the version there may put the label on it.
    promptlayer_api.workspace.put_label("system", "prod", 2)
    await end_leases(office)
    deployment = await worked(office, batch_id)
    assert (deployment.state, deployment.over_version) == (DeploymentState.live, 1), deployment.reason
    assert texts(promptlayer_api) == [SYSTEM, NEW]


@pytest.mark.parametrize(("route", "fault"), [("publish", Fault.invalid), ("publish", Fault.unauthorized)])
async def test_what_is_refused_is_not_live_and_told(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer, route: str, fault: Fault
) -> None:
    office = await office_of()
    batch_id = await approved(office)
    promptlayer_api.fail(route, *[fault] * 10)
    deployment = await worked(office, batch_id, turns=6)
    assert deployment.state is DeploymentState.failed
    assert texts(promptlayer_api) == [SYSTEM]
    assert (await office.notices.after(office.agent, 0))[-1].kind == "deployment_failed"


@pytest.mark.parametrize("follow", ["label", "latest"])
async def test_a_text_that_is_altered_there_is_published_once_and_told(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer, follow: Follow
) -> None:
    office = await office_of(follow)
    batch_id = await approved(office)
    promptlayer_api.workspace.stores = lambda template: new_template(text_of(template).upper())
    deployment = await worked(office, batch_id, turns=6)
    assert deployment.state is DeploymentState.failed
    assert "another text than was sent" in (deployment.reason or "")
    assert deployment.overtaken  # nobody says that the version before runs: that is not so where the newest does
    assert texts(promptlayer_api) == [SYSTEM, NEW.upper()]
    assert stored(promptlayer_api).labels["prod"].version == 1


async def test_a_protected_label_is_not_live_and_told(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer
) -> None:
    office = await office_of()
    batch_id = await approved(office)
    stored(promptlayer_api).protected.add("prod")
    deployment = await worked(office, batch_id)
    assert deployment.state is DeploymentState.failed
    assert "did not move (it may be protected)" in (deployment.reason or "")
    assert len(promptlayer_api.asked("move_label")) == 1


async def test_what_is_taken_over_is_that_of_the_version_that_runs(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer
) -> None:
    """Somebody adds a tool between the approval and the deployment; it goes back with the label, and comes again."""
    office = await office_of()
    batch_id = await approved(office)
    promptlayer_api.workspace.publish("system", {**new_template(SYSTEM), "tools": TOOLS}, labels=("prod",))
    deployment = await worked(office, batch_id)
    assert (deployment.state, deployment.base_version, deployment.over_version) == (DeploymentState.live, 1, 2)
    assert stored(promptlayer_api).versions[-1].template["tools"] == TOOLS
    assert await office.take_back(deployment)
    assert (await worked(office, batch_id)).state is DeploymentState.rolled_back
    assert stored(promptlayer_api).labels["prod"].version == 2


async def test_a_tool_that_was_added_since_is_not_taken_back(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer
) -> None:
    office = await office_of()
    batch_id = await approved(office)
    deployment = await worked(office, batch_id)
    promptlayer_api.workspace.publish("system", {**new_template(NEW), "tools": TOOLS}, labels=("prod",))
    assert await office.take_back(deployment)
    deployment = await worked(office, batch_id)
    assert deployment.state is DeploymentState.live
    assert "was to go back to version 1 and stands at version 3" in (deployment.rollback or {})["failed"]
    assert stored(promptlayer_api).labels["prod"].version == 3


async def test_where_the_newest_version_runs_the_old_text_comes_back_and_a_tool_stays(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer
) -> None:
    office = await office_of("latest")
    batch_id = await approved(office)
    deployment = await worked(office, batch_id)
    promptlayer_api.workspace.publish("system", {**new_template(NEW), "tools": TOOLS})
    assert await office.take_back(deployment)
    promptlayer_api.fail("publish", Fault.dropped_after)
    assert (await worked(office, batch_id)).state is DeploymentState.rolled_back
    assert texts(promptlayer_api) == [SYSTEM, NEW, NEW, SYSTEM]
    assert stored(promptlayer_api).versions[-1].template["tools"] == TOOLS


async def test_someone_else_who_publishes_in_between_is_named(
    office_of: Callable[..., Any], promptlayer_api: PromptLayer
) -> None:
    office = await office_of()
    batch_id = await approved(office)
    promptlayer_api.before("publish", lambda: promptlayer_api.workspace.publish("system", new_template("theirs")))
    deployment = await worked(office, batch_id)
    assert deployment.state is DeploymentState.failed
    assert "Someone else published version 2 of 'system'" in (deployment.reason or "")
    assert texts(promptlayer_api) == [SYSTEM, "theirs", NEW]
    assert stored(promptlayer_api).labels["prod"].version == 1
