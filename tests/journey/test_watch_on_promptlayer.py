"""After a deployment to PromptLayer, which tells where a label stands, and neither since when nor by whom."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.hotel import CORE, PROMPTS, TOOLS
from tests.journey.test_after_the_deploy import NEW, decided, deployed, notices, traffic, watch
from tests.journey.world import AGENT, START, World
from tests.simulators.promptlayer import Fault, PromptLayer


@pytest.fixture
async def world(database: Database, promptlayer_api: PromptLayer) -> World:
    prompts = {"core": PromptSettings(), "house_rules": PromptSettings()}
    section = AgentSettings(registry="promptlayer", prompts=prompts)
    environment = Environment(
        promptlayer_api_key=SecretStr(promptlayer_api.key), promptlayer_base_url=promptlayer_api.url
    )
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=TOOLS)
    await world.edit_prompts(PROMPTS)
    return world


async def test_it_is_seen_moved_and_told_once(world: World, promptlayer_api: PromptLayer) -> None:
    dana = await deployed(world)
    await traffic(world, NEW)
    promptlayer_api.workspace.put_label("core", "prod", 1)
    await watch(world)
    await watch(world)
    said = await dana.say("status")
    assert "Seen in traffic: core v2, 4 min after it went live" in said
    assert "Somebody put prod of core back on v1, where v2 was live, just now." in said
    assert [one.kind for one in await notices(world, "deployment_seen", "label_moved")] == [
        "deployment_seen",
        "label_moved",
    ]


async def test_a_watch_asks_for_little(world: World, promptlayer_api: PromptLayer) -> None:
    await deployed(world)
    await traffic(world, NEW)
    await watch(world)
    world.clock.advance(timedelta(days=3))
    before = len(promptlayer_api.requests)
    await watch(world)
    assert [one.route for one in promptlayer_api.requests[before:]] == ["labels", "get"]  # one label, one version


async def test_a_registry_that_does_not_answer_keeps_nobody_from_talking(
    world: World, promptlayer_api: PromptLayer, caplog: pytest.LogCaptureFixture
) -> None:
    dana = await deployed(world)
    promptlayer_api.fail("labels", *[Fault.unauthorized] * 20)
    with caplog.at_level(logging.WARNING):
        await watch(world)
    assert "Not all of the deployments of 'front-desk' could be watched: " in caplog.text
    assert promptlayer_api.key not in caplog.text
    assert "core v2: live for" in await dana.say("status")


async def test_a_version_that_a_deployment_left_is_listed_until_it_has_a_label(
    world: World, promptlayer_api: PromptLayer
) -> None:
    promptlayer_api.workspace.prompts["core"].protected.add("prod")
    dana, said = await decided(world)
    assert "Not live: core" in said
    left = "Left in the registry by a deployment, without a label: core v2."
    assert left in await dana.say("status")
    assert await world.text() == CORE
    promptlayer_api.workspace.put_label("core", "prod", 2)
    await watch(world)
    assert left not in await dana.say("status")
    assert await notices(world, "label_moved") == []  # no deployment stands
