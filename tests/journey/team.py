"""A team of people who decide, and what they are asked about."""

from __future__ import annotations

from typing import Any

from optimizer.approve.people import People
from optimizer.db.port import Database
from optimizer.records.edits import Edit
from optimizer.settings import AgentSettings, Environment, FileSettings, Settings
from optimizer.settings.policies import PolicySettings
from tests.journey import hotel
from tests.journey.world import AGENT, DANA, EVE, SAM, START, Chat, Proposed, World

RUI, DANA_ON_SLACK = "console:rui", "slack:U1"
NAMES = {DANA: "dana", DANA_ON_SLACK: "dana", SAM: "sam", RUI: "rui"}
TEAM = People(frozenset(NAMES), frozenset({*NAMES, EVE}), NAMES)
SHORT = Proposed("Say it shorter", (Edit(prompt="core", find="Be short", replace="Always be short"),))
ASK = Proposed("Ask once more", (Edit(prompt="core", find="ask for the name", replace="ask for the full name"),))
LINK = Proposed(
    "Name the page",
    (Edit(prompt="core", find="read the dates back", replace="read the dates back, see https://hotel.example/rules,"),),
)


async def world_of(database: Database, *proposed: Proposed, **policy: Any) -> World:
    section = AgentSettings(policy=PolicySettings.model_validate(policy))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=Environment()))
    world.people = TEAM
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    await world.propose(*proposed)
    return world


async def opened(world: World, actor: str = DANA, chat: str = "") -> Chat:
    chatting = world.chat(actor, chat)
    await chatting.open()
    return chatting
