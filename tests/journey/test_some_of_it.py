"""Some items go live and others do not: checks, overlaps, needs, two prompts at once."""

from __future__ import annotations

from optimizer.records.edits import Edit
from optimizer.records.findings import Goal
from tests.journey.world import Proposed, World

WARM = Edit(prompt="core", find="Be short and warm", replace="Be short, warm and exact")
WARMER = Edit(prompt="core", find="short and warm, and never", replace="short and kind, and never")
LOSES_PLACEHOLDER = Edit(prompt="core", find="{{HOUSE_RULES}}\n", replace="")
NUMBER = Edit(prompt="core", find="the number of the room", replace="the floor and the number of the room")
DOGS_OUT = Edit(
    prompt="house_rules",
    find="- Dogs are welcome on the ground floor, one for each room, and never in the breakfast room.\n",
    replace="",
)
DOGS_IN = Edit(
    prompt="core",
    find="## Booking\n",
    replace="## Booking\n\n- Dogs are welcome on the ground floor, one for each room, and not at breakfast.",
)


async def test_an_item_that_fails_a_check_is_left_out_and_the_others_deploy(world: World) -> None:
    await world.propose(Proposed("Be exact", (WARM,)), Proposed("No house rules", (LOSES_PLACEHOLDER,)))
    dana = world.chat()
    await dana.open()
    answer = await dana.say("deploy all")
    assert "Approved: 1." in answer
    assert "2 is left out:" in answer
    assert "HOUSE_RULES" in answer
    assert "Live: core v2 (was v1), item 1." in answer
    assert await world.states() == {1: "deployed", 2: "failed"}
    text = await world.text()
    assert "warm and exact" in text
    assert "{{HOUSE_RULES}}" in text


async def test_when_every_item_fails_nothing_is_published(world: World) -> None:
    await world.propose(Proposed("No house rules", (LOSES_PLACEHOLDER,)))
    dana = world.chat()
    await dana.open()
    answer = await dana.say("deploy all")
    assert "1 is left out:" in answer
    assert "Live" not in answer
    assert await world.published() == 1


async def test_of_two_items_that_change_the_same_words_the_first_goes_live(world: World) -> None:
    await world.propose(Proposed("Be exact", (WARM,)), Proposed("Be kind", (WARMER,)))
    dana = world.chat()
    await dana.open()
    assert "It changes the same words as item 1" in await dana.say("show 2")
    answer = await dana.say("deploy all")
    assert "2 is left out: its change overlaps with that of item 1" in answer
    assert "warm and exact" in await world.text()


async def test_the_second_of_two_that_overlap_can_be_chosen_alone(world: World) -> None:
    await world.propose(Proposed("Be exact", (WARM,)), Proposed("Be kind", (WARMER,)))
    dana = world.chat()
    await dana.open()
    await dana.say("remove 1, deploy")
    assert "short and kind" in await world.text()


async def test_an_item_of_two_prompts_moves_both(world: World) -> None:
    await world.propose(Proposed("Dogs belong to booking", (DOGS_OUT, DOGS_IN), Goal.accuracy))
    dana = world.chat()
    await dana.open()
    answer = await dana.say("deploy 1")
    # The prompt that gains the text goes first: no guest hears that there is no rule.
    assert answer.index("Live: core v2 (was v1)") < answer.index("Live: house_rules v2 (was v1)")
    assert await world.live() == {"core": 2, "house_rules": 2}
    assert "live as v2" in await dana.say("show all")
    answer = await dana.say("rollback")
    assert "Taken back: core runs v1 again" in answer
    assert "Taken back: house_rules runs v1 again" in answer
    assert await world.live() == {"core": 1, "house_rules": 1}


async def test_an_item_of_two_prompts_moves_neither_when_one_was_changed(world: World) -> None:
    await world.propose(Proposed("Dogs belong to booking", (DOGS_OUT, DOGS_IN), Goal.accuracy))
    dana = world.chat()
    await dana.open()
    await world.approve(1)
    text = await world.text("house_rules")
    await world.edit_prompts({"house_rules": text + "- Bicycles stand in the yard.\n"})
    await world.ratchet.decisions.work()
    # The first had gone live and was moved back, because the second could not follow.
    assert (await world.live())["core"] == 1
    assert (await world.text("house_rules")).endswith("in the yard.\n")
    assert await world.states() == {1: "stale"}
    told = await dana.say("history")
    assert "house_rules did not go live" in told


async def test_an_item_that_needs_another_goes_live_with_it_only(world: World) -> None:
    await world.propose(Proposed("Be exact", (WARM,)), Proposed("Name the floor", (NUMBER,), requires=(1,)))
    dana = world.chat()
    await dana.open()
    assert "It needs item 1 as well." in await dana.say("show 2")
    assert "2 is left out: it needs another item that was not chosen" in await dana.say("deploy 2")
    assert await world.published() == 1
