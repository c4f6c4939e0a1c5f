"""Back to a version, and out with one item, where the prompts live in PromptLayer."""

from __future__ import annotations

from tests.journey.test_going_back import two_items_live
from tests.journey.test_on_promptlayer import TEMPLATE, stored
from tests.journey.test_on_promptlayer import world as on_promptlayer
from tests.journey.world import World
from tests.simulators.promptlayer import PromptLayer

world = on_promptlayer


async def test_one_item_leaves_and_tools_and_model_stay(world: World, promptlayer_api: PromptLayer) -> None:
    dana = await two_items_live(world)
    assert "core v3 is live without item 1 (was v2)." in await dana.say("take back only 1")
    held = stored(promptlayer_api)
    assert held.labels["prod"].version == 3
    version = held.version(3)
    assert version is not None
    assert {**version.template, "messages": TEMPLATE["messages"]} == TEMPLATE
    assert version.commit_message == "Ratchet: without Be brief (dana)"
    await dana.say("rollback")
    assert "Brought back: core runs v2 again" in await dana.say("yes")
    assert held.labels["prod"].version == 2
    assert len(held.versions) == 3


async def test_the_label_moves_to_the_version_and_nothing_is_published(
    world: World, promptlayer_api: PromptLayer
) -> None:
    dana = await two_items_live(world)
    await dana.say("take back only 1")
    await dana.say("roll back core to v1")
    assert "core runs v1 again (was v3), item 2 taken out." in await dana.say("yes")
    assert stored(promptlayer_api).labels["prod"].version == 1
    assert len(stored(promptlayer_api).versions) == 3


async def test_a_protected_label_is_not_taken_back_and_says_so(world: World, promptlayer_api: PromptLayer) -> None:
    dana = await two_items_live(world)
    stored(promptlayer_api).protected.add("prod")
    answer = await dana.say("roll back core to v1")
    assert "Not taken back: core v2 stays." in answer
    assert stored(promptlayer_api).labels["prod"].version == 2
    assert await world.states() == {1: "deployed", 2: "deployed"}
    assert "core was not taken back, v2 stays" in await dana.say("history")
