"""The prompts live in PromptLayer: from trace to live and back, past a label that is protected."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.records.states import DeploymentState
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.hotel import CORE, HOUSE_RULES, PROMPTS, TOOLS
from tests.journey.world import AGENT, SAM, START, World
from tests.simulators.promptlayer import PromptLayer
from tests.simulators.promptlayer_workspace import Prompt

TEMPLATE: dict[str, Any] = {
    "type": "chat",
    "messages": [
        {
            "role": "system",
            "content": [{"type": "text", "text": CORE}],
            "input_variables": ["HOUSE_RULES"],
            "template_format": "jinja2",
            "name": None,
        }
    ],
    "tools": [{"type": "function", "function": {"name": "book_room", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "input_variables": ["HOUSE_RULES"],
}
MODEL = {"model": {"provider": "anthropic", "name": "claude", "parameters": {"temperature": 0.2}}}


@pytest.fixture
async def world(database: Database, promptlayer_api: PromptLayer) -> World:
    """The front desk, whose core somebody wrote in PromptLayer's web page, with tools and a model."""
    core = PromptSettings.model_validate({"includes": {"HOUSE_RULES": "house_rules"}})
    section = AgentSettings(registry="promptlayer", prompts={"core": core, "house_rules": PromptSettings()})
    environment = Environment(
        promptlayer_api_key=SecretStr(promptlayer_api.key),
        promptlayer_base_url=promptlayer_api.url,
        promptlayer_prompt_prefix="hotel/",
    )
    promptlayer_api.workspace.publish("hotel/core", TEMPLATE, metadata=MODEL, tags=["desk"], labels=("prod",))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=TOOLS)
    await world.edit_prompts(PROMPTS)
    return world


def stored(promptlayer: PromptLayer) -> Prompt:
    return promptlayer.workspace.prompts["hotel/core"]


async def test_one_proposal_from_trace_to_verdict_and_back(world: World, promptlayer_api: PromptLayer) -> None:
    # What the file holds stands in PromptLayer already: nothing is published for it.
    assert len(stored(promptlayer_api).versions) == 1
    dana = await world.morning()
    n = await world.number("House_rules")
    deployed = await dana.say(f"deploy {n}")
    assert f'Live: core v2 (was v1), item {n}. Take it back with "rollback".' in deployed

    held = stored(promptlayer_api)
    assert held.labels["prod"].version == 2
    version = held.version(2)
    assert version is not None
    assert version.metadata is not None
    # The text is the approved one; tools, model and tags are as they were.
    (message,) = version.template["messages"]
    assert message["content"][0]["text"] == await world.text()
    assert HOUSE_RULES not in await world.text()
    assert {**version.template, "messages": TEMPLATE["messages"]} == TEMPLATE
    assert version.metadata["model"] == MODEL["model"]
    assert held.tags == ["desk"]
    # Who looks at the version there finds where it came from.
    (deployment,) = await world.deployments()
    assert version.metadata["ratchet"]["deployment_id"] == str(deployment.id)
    assert version.metadata["ratchet"]["sha256"] == deployment.sha256
    (told,) = version.metadata["ratchet"]["items"]
    assert (told["id"], told["n"]) == (str(deployment.items[0]), n)
    assert told["title"].startswith("House_rules text stands twice in core")
    assert {fact["name"] for fact in told["facts"]} >= {"prompt.duplicated_tokens"}
    (approval,) = version.metadata["ratchet"]["approvals"]
    assert (approval["person"], approval["channel"]) == ("dana", "console")
    assert len(version.metadata["ratchet"]["audit_head"]) == 64
    assert version.commit_message is not None
    assert version.commit_message.startswith("Ratchet: House_rules text stands twice in core (~")
    assert version.commit_message.endswith("(dana)")

    # The next day ran under version 2, and says so.
    dana = await world.morning()
    assert "core v2 (deployed), better: cost per session -" in dana.told
    (deployment,) = await world.deployments()
    assert deployment.state is DeploymentState.seen

    # One word takes it back.
    await dana.say("rollback")
    await dana.say("yes")
    assert stored(promptlayer_api).labels["prod"].version == 1
    assert len(stored(promptlayer_api).versions) == 2
    assert (await world.text()) == CORE
    assert await world.chain_holds()


async def test_a_label_that_is_protected_is_never_called_live(world: World, promptlayer_api: PromptLayer) -> None:
    """PromptLayer answers the move with 200, and the label stays where it was."""
    stored(promptlayer_api).protected.add("prod")
    dana = await world.morning()
    sam = world.chat(SAM)
    await sam.open()
    n = await world.number("House_rules")
    why = (
        "The label 'prod' of 'core' did not move (it may be protected): it stands at version 1 still; move it to "
        "version 2 in PromptLayer, or lift its protection and approve the change again."
    )
    said = await dana.say(f"deploy {n}")
    assert f"Not live: core, item {n}; v1 stays. {why}" in said
    assert "Live:" not in said
    assert dana.offered == ["status", "history"]  # there is nothing to take back
    assert len(promptlayer_api.asked("move_label")) == 1
    # Nobody hears anything else, at once or later.
    assert f"core did not go live, v1 stays: {why.removesuffix('.')}" in await sam.say("status")
    assert "Nothing that I deployed is live." in await dana.say("status")
    assert "Nothing that I deployed is live, so there is nothing to take back." in await dana.say("rollback")
    (deployment,) = await world.deployments()
    assert deployment.state is DeploymentState.failed
    assert stored(promptlayer_api).labels["prod"].version == 1
    assert await world.chain_holds()


async def test_tools_that_somebody_changes_before_the_deployment_go_live_with_it(
    world: World, promptlayer_api: PromptLayer
) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    changed = {**TEMPLATE, "tools": [*TEMPLATE["tools"], {"type": "function", "function": {"name": "find_guest"}}]}
    promptlayer_api.workspace.publish("hotel/core", changed, metadata=MODEL, labels=("prod",))
    assert "Live: core v3 (was v2)" in await dana.say(f"deploy {n}")
    version = stored(promptlayer_api).version(3)
    assert version is not None
    assert version.template["tools"] == changed["tools"]
    # And they stay when it is taken back: the label returns to the version that it left.
    await dana.say("rollback")
    await dana.say("yes")
    assert stored(promptlayer_api).labels["prod"].version == 2


async def test_tools_that_somebody_changes_while_it_is_deployed_are_not_lost(
    world: World, promptlayer_api: PromptLayer
) -> None:
    dana = await world.morning()
    n = await world.number("House_rules")
    changed = {**TEMPLATE, "tools": None}
    workspace = promptlayer_api.workspace
    published = len(promptlayer_api.asked("publish"))

    def somebody_is_at_work() -> None:
        if len(promptlayer_api.asked("publish")) > published:
            workspace.publish("hotel/core", changed, metadata=MODEL, labels=("prod",))
        else:
            promptlayer_api.before("labels", somebody_is_at_work)

    promptlayer_api.before("labels", somebody_is_at_work)
    said = await dana.say(f"deploy {n}")
    assert "Live:" not in said
    assert "was changed in the registry beside its text" in said
    assert stored(promptlayer_api).labels["prod"].version == 3


async def test_a_file_takes_over_what_runs_and_not_what_somebody_drafts(
    world: World, promptlayer_api: PromptLayer
) -> None:
    promptlayer_api.workspace.publish("hotel/core", {**TEMPLATE, "tools": None})
    await world.edit_prompts({"core": CORE.replace("small hotel", "small house")})
    version = stored(promptlayer_api).version(3)
    assert version is not None
    assert version.template["tools"] == TEMPLATE["tools"]
    assert stored(promptlayer_api).labels["prod"].version == 3
