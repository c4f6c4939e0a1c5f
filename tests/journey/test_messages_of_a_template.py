"""A prompt of several messages lives in PromptLayer: the change says in which of them it stands."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.hotel import CORE, HOUSE_RULES, PAYMENT, PROMPTS, TOOLS
from tests.journey.world import AGENT, START, World
from tests.simulators.promptlayer import PromptLayer

EXAMPLE = f"What does it cost to move my stay?\n\n{PAYMENT}"


def message(role: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks), "input_variables": [], "template_format": "jinja2", **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


TEMPLATE: dict[str, Any] = {
    "type": "chat",
    "messages": [
        message("system", text(CORE), {"type": "image_url", "image_url": {"url": "https://example.com/plan.png"}}),
        {"role": "placeholder", "name": "history", "content": [], "input_variables": []},
        message("user", text(EXAMPLE), text("@@@greeting@@@ {{question}}"), input_variables=["question"]),
    ],
    "tools": [{"type": "function", "function": {"name": "book_room", "parameters": {"type": "object"}}}],
    "input_variables": ["HOUSE_RULES", "question"],
}


@pytest.fixture
async def world(database: Database, promptlayer_api: PromptLayer) -> World:
    core = PromptSettings.model_validate({"includes": {"HOUSE_RULES": "house_rules"}})
    section = AgentSettings(registry="promptlayer", prompts={"core": core, "house_rules": PromptSettings()})
    environment = Environment(
        promptlayer_api_key=SecretStr(promptlayer_api.key), promptlayer_base_url=promptlayer_api.url
    )
    promptlayer_api.workspace.publish("core", TEMPLATE, labels=("prod",))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=TOOLS)
    await world.edit_prompts({"house_rules": PROMPTS["house_rules"]})
    return world


async def test_each_change_names_its_message_and_leaves_the_others(world: World, promptlayer_api: PromptLayer) -> None:
    dana = await world.morning()
    rules, payment = await world.number("House_rules"), await world.number("Payment")
    shown = await dana.say(f"show {rules}")
    assert "core: message 1 (system):" in shown
    assert "[-- Breakfast is served" in shown
    assert "message 3" not in shown
    # One of its copies stands in what a guest says, as an example.
    shown = await dana.say(f"show {payment}")
    assert "message 1 (system):" in shown
    assert "message 3 (user), block 1:" in shown
    assert "===" not in dana.told

    phones = await world.number("find_guest")
    assert "message 1 (system):" in await dana.say(f"show {phones}")
    said = await dana.say(f"deploy {rules}, {payment} and {phones}")
    assert "Live: core v2 (was v1)" in said
    version = promptlayer_api.workspace.prompts["core"].version(2)
    assert version is not None
    system, history, user = version.template["messages"]
    assert HOUSE_RULES not in system["content"][0]["text"]
    assert system["content"][0]["text"].count(PAYMENT.strip()) == 1
    assert "Before you call `find_guest`" in system["content"][0]["text"]
    assert user["content"][0]["text"] == "What does it cost to move my stay?\n"
    # All else is as it was.
    wanted = copy.deepcopy(TEMPLATE)
    wanted["messages"][0]["content"][0]["text"] = system["content"][0]["text"]
    wanted["messages"][2]["content"][0]["text"] = user["content"][0]["text"]
    assert version.template == wanted
    assert history == TEMPLATE["messages"][1]
