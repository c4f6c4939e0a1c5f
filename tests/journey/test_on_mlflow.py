"""The prompts live in MLflow: from trace to live, and back with one word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.records.states import DeploymentState
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.hotel import CORE, HOUSE_RULES, PROMPTS, TOOLS
from tests.journey.world import AGENT, START, World
from tests.plugins.mlflow import mlflow_client

pytestmark = pytest.mark.mlflow

MODEL = {"model_name": "claude", "temperature": 0.2}


@pytest.fixture
def owner(mlflow_server: str) -> Any:
    """A server on which somebody keeps the core, with a model, under the alias that the agent loads."""
    client = mlflow_client(mlflow_server)
    client.create_prompt("core")
    client.create_prompt_version("core", [{"role": "system", "content": CORE}], model_config=MODEL)
    client.set_prompt_alias("core", "prod", 1)
    return client


@pytest.fixture
async def world(database: Database, mlflow_server: str, owner: Any) -> World:
    core = PromptSettings.model_validate({"includes": {"HOUSE_RULES": "house_rules"}})
    section = AgentSettings(registry="mlflow", prompts={"core": core, "house_rules": PromptSettings()})
    environment = Environment(mlflow_tracking_uri=SecretStr(mlflow_server))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=TOOLS)
    await world.edit_prompts(PROMPTS)
    return world


async def test_one_proposal_from_trace_to_verdict_and_back(world: World, owner: Any) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    assert f'Live: core v2 (was v1), item {n}. Take it back with "rollback".' in await dana.say(f"deploy {n}")

    held = owner.get_prompt_version("core", "prod")
    assert held.version == 2
    # The text is the approved one; messages and model are as they were.
    assert held.template == [{"role": "system", "content": await world.text()}]
    assert HOUSE_RULES not in await world.text()
    assert held.model_config == MODEL
    (deployment,) = await world.deployments()
    said = json.loads(held.tags["ratchet"])
    assert (said["deployment_id"], said["sha256"]) == (str(deployment.id), deployment.sha256)
    assert held.commit_message.startswith("Ratchet: ")

    # The next day ran under version 2, and says so.
    dana = await world.morning()
    assert "core v2 (deployed), better: cost per session -" in dana.told
    (deployment,) = await world.deployments()
    assert deployment.state is DeploymentState.seen

    await dana.say("rollback")
    await dana.say("yes")
    assert owner.get_prompt_version("core", "prod").version == 1
    assert await world.text() == CORE
    assert await world.chain_holds()


async def test_what_somebody_publishes_before_the_yes_is_not_overwritten(world: World, owner: Any) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    theirs = CORE.replace("small hotel", "small house")
    owner.create_prompt_version("core", [{"role": "system", "content": theirs}], model_config=MODEL)
    owner.set_prompt_alias("core", "prod", 2)
    said = await dana.say(f"deploy {n}")
    assert "Live:" not in said
    assert owner.get_prompt_version("core", "prod").version == 2
    assert len(owner.search_prompt_versions("core")) == 2
