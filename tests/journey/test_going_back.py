"""Back to any version, and out with one item: what is asked, what it does, and the way back from there."""

from __future__ import annotations

import pytest

from optimizer.db.port import Database
from optimizer.records.edits import Edit
from tests.journey.world import AGENT, DANA, EVE, SAM, Chat, Proposed, World

BE_SHORT = Edit(prompt="core", find="Be short and warm", replace="Be brief and warm")
LOOK_TWICE = Edit(prompt="core", find="look once more", replace="look twice more")
QUIET = Edit(prompt="house_rules", find="quiet after ten", replace="quiet after eleven")
READ_BACK = Edit(prompt="core", find="read the dates back before you do", replace="read them back first")


async def two_items_live(world: World) -> Chat:
    """v2 with items 1 and 2 of the newest list."""
    await world.propose(Proposed("Be brief", (BE_SHORT,)), Proposed("Look twice", (LOOK_TWICE,)))
    dana = world.chat()
    await dana.open()
    assert "Live: core v2" in await dana.say("deploy all")
    return dana


async def three_versions(world: World) -> Chat:
    """v2, v3 and v4, each with one item of a list of its own."""
    for title, edit in (("Be brief", BE_SHORT), ("Look twice", LOOK_TWICE), ("Read back", READ_BACK)):
        await world.propose(Proposed(title, (edit,)))
        dana = world.chat()
        await dana.open()
        await dana.say("deploy all")
    assert (await world.live())["core"] == 4
    return dana


async def test_one_of_two_items_is_taken_back_alone(world: World) -> None:
    before = await world.text()
    dana = await two_items_live(world)
    assert 'Take all of it back (or reply "take back only 1")?' in await dana.say("take back 1")
    answer = await dana.say("take back only 1")
    assert "Taken back: core v3 is live without item 1 (was v2)." in answer
    assert await world.text() == before.replace(LOOK_TWICE.find, LOOK_TWICE.replace)
    assert await world.states() == {1: "failed", 2: "deployed"}
    listed = await dana.say("show all")
    assert "Be brief (taken back)" in listed
    assert "Look twice (live as v2)" in listed
    assert "1 is not live" in await dana.say("take back only 1")
    assert "you asked to take back item 1 of core v2" in await dana.say("history")
    assert "core v3, without what was taken back: live" in await dana.say("status")
    assert await world.chain_holds()


async def test_what_runs_because_a_later_item_left_is_not_taken_back_from_under_it(world: World) -> None:
    """The text is the very one that the first deployment brought, and it is not that deployment that put it there."""
    before = await world.text()
    await world.propose(Proposed("Be brief", (BE_SHORT,)), Proposed("Look twice", (LOOK_TWICE,)))
    dana = world.chat()
    await dana.open()
    await dana.say("deploy 1")
    await dana.say("deploy 2")
    assert "Live: core v3" in await dana.say("deploy 2")
    assert "core v4 is live without item 2" in await dana.say("take back only 2")
    answer = await dana.say("take back 1")
    assert "core v2 is not what went live last, so nothing was done; take back what came later first." in answer
    assert "take back only 1" in dana.offered
    assert (await world.live())["core"] == 4
    assert "core v5 is live without item 1" in await dana.say("take back only 1")
    assert await world.text() == before
    await world.ratchet.watching.watch(AGENT)
    assert "Somebody" not in await dana.say("status")
    await dana.say("rollback")
    assert "Brought back: core runs v4 again" in await dana.say("yes")
    await dana.say("rollback")
    assert "Brought back: core runs v3 again" in await dana.say("yes")
    assert await world.states() == {1: "deployed", 2: "deployed"}


@pytest.mark.parametrize("words", ["roll back 1, 2 and 9", "take back only 1 and 9", "roll back 9"])
async def test_a_number_that_is_not_in_the_list_stops_all_of_it(world: World, words: str) -> None:
    dana = await two_items_live(world)
    assert "There is no item 9 here, so nothing is done." in await dana.say(words)
    assert (await world.live())["core"] == 2


async def test_what_took_an_item_back_is_taken_back_after_a_yes(world: World) -> None:
    dana = await two_items_live(world)
    deployed = await world.text()
    await dana.say("take back only 1")
    question = await dana.say("rollback")
    assert "core runs v3, without item 1; before that it ran v2. Take that back?" in question
    assert (await world.live())["core"] == 3
    assert "Brought back: core runs v2 again; v3 was live" in await dana.say("yes")
    assert await world.text() == deployed
    assert await world.states() == {1: "deployed", 2: "deployed"}
    assert "Taken back: core runs v1 again" in await dana.say("rollback")


async def test_text_that_was_taken_out_is_brought_back_by_approvers_alone(world: World) -> None:
    dana = await two_items_live(world)
    sam = world.chat(SAM)
    await sam.open()
    assert "Taken back: core v3 is live without item 2" in await sam.say("take back only 2")
    told = await sam.say("rollback")
    assert "so nothing was done. You are not an approver of this agent; console:dana can decide." in told
    assert (await world.live())["core"] == 3
    assert "Sam (console) took back item 2 of core v2" in await dana.say("status")


async def test_whoever_is_not_listed_goes_nowhere(world: World) -> None:
    await two_items_live(world)
    eve = world.chat(EVE)
    await eve.open()
    for words in ("take back only 1", "roll back core to v1", "roll back to v1"):
        assert "You are not listed for this agent, so nothing was done" in await eve.say(words)
    assert (await world.live())["core"] == 2


async def test_back_to_the_version_before_the_last_is_told_first(world: World) -> None:
    before = await world.text()
    dana = await three_versions(world)
    question = await dana.say("roll back core to v1")
    assert (
        "core goes from v4 back to v1, and v2, v3 and v4 are over. Item 1 and 2 more of older lists leave." in question
    )
    assert "[-brief-] {+short+}" in question
    assert (await world.live())["core"] == 4
    assert "Taken back: core runs v1 again (was v4), item 1 and 2 more of older lists taken out." in await dana.say(
        "yes"
    )
    assert await world.text() == before
    assert await world.published() == 4  # nothing new is published
    assert [one.state.value for one in await world.deployments()] == [
        "live",
        "rolled_back",
        "rolled_back",
        "rolled_back",
    ]
    assert await world.states() == {1: "failed"}
    assert "core v1, gone back to: live" in await dana.say("status")
    assert await world.chain_holds()


async def test_going_back_is_taken_back_as_it_was_before(world: World) -> None:
    dana = await three_versions(world)
    await dana.say("roll back core to v2")
    await dana.say("yes")
    assert "core went back to v2; before that it ran v4. Take that back?" in await dana.say("rollback")
    assert "Brought back: core runs v4 again; v2 was live" in await dana.say("yes")
    assert await world.states() == {1: "deployed"}
    assert "Taken back: core runs v3 again" in await dana.say("rollback")
    assert "Taken back: core runs v2 again" in await dana.say("rollback")


async def test_back_to_where_the_last_deployment_came_from_needs_no_question(world: World) -> None:
    dana = await three_versions(world)
    assert "Taken back: core runs v3 again (was v4)" in await dana.say("roll back core to v3")
    answer = await dana.say("roll back core to v4")
    assert "v4 of 'core' is newer than v3, which runs; a rollback only goes back." in answer


async def test_a_version_without_a_prompt_asks_which(world: World) -> None:
    dana = await two_items_live(world)
    answer = await dana.say("roll back to v1")
    assert "Which prompt?" in answer
    assert "roll back core to v1" in dana.offered
    assert "Item 1, or version 1?" in await dana.say("roll back to 1")
    assert "'core' has no version 9; it runs v2." in await dana.say("roll back core to v9")
    assert "Taken back: core runs v1 again" in await dana.say("roll back core to v1")


async def test_a_yes_is_to_what_was_told_and_to_nothing_else(world: World) -> None:
    dana = await three_versions(world)
    await dana.say("roll back core to v1")
    sam = world.chat(SAM)
    await sam.open()
    assert "Taken back: core runs v3 again" in await sam.say("rollback")
    assert "Someone else changed this deployment just now, so nothing was done" in await dana.say("yes")
    assert (await world.live())["core"] == 3
    await dana.say("yes")
    assert (await world.live())["core"] == 3


async def test_a_no_leaves_everything_where_it_is(world: World) -> None:
    dana = await three_versions(world)
    await dana.say("roll back core to v1")
    assert "Good: nothing was changed." in await dana.say("no")
    await dana.say("yes")
    assert (await world.live())["core"] == 4


async def test_what_somebody_wrote_on_top_is_kept_by_taking_the_items_alone(world: World) -> None:
    dana = await two_items_live(world)
    await world.edit_prompts({"core": (await world.text()) + "- By hand.\n"})
    for words in ("rollback", "roll back core to v1"):
        answer = await dana.say(words)
        assert "v3" in answer
        assert "[-- By hand.-]" in answer  # what would be lost
        assert '"take back only 1 and 2" leaves the rest of the text as it is now.' in answer
    assert "take back only 1 and 2" in dana.offered
    assert "Taken back: core v4 is live without items 1 and 2 (was v3)." in await dana.say("take back only 1 and 2")
    assert (
        await world.text() == (await world.ratchet.registry_of("front-desk").version("core", 1)).text + "- By hand.\n"
    )


async def test_an_item_that_somebody_rewrote_since_is_left_to_them(world: World) -> None:
    dana = await two_items_live(world)
    await world.edit_prompts({"core": (await world.text()).replace("Be brief", "Be very brief")})
    answer = await dana.say("take back only 1")
    assert "The text of today is not what this was deployed to" in answer
    assert (await world.live())["core"] == 3


async def test_an_item_that_others_need_is_taken_back_with_them(world: World) -> None:
    await world.propose(
        Proposed("Be brief", (BE_SHORT,)),
        Proposed("Look twice", (LOOK_TWICE,), requires=(1,)),
        Proposed("Read", (READ_BACK,)),
    )
    dana = world.chat()
    await dana.open()
    await dana.say("deploy all")
    answer = await dana.say("take back only 1")
    assert 'Item 2 needs what would leave, and would stay. "take back only 1 and 2" leaves the rest' in answer
    assert "Taken back: core v3 is live without items 1 and 2" in await dana.say("take back only 1 and 2")
    assert await world.states() == {1: "failed", 2: "failed", 3: "deployed"}


async def test_an_item_of_two_prompts_is_taken_out_of_both(world: World) -> None:
    before = {name: one.text for name, one in (await world.held()).items()}
    await world.propose(Proposed("Both", (BE_SHORT, QUIET)), Proposed("Look twice", (LOOK_TWICE,)))
    dana = world.chat()
    await dana.open()
    await dana.say("deploy all")
    answer = await dana.say("take back only 1")
    assert "core v3 is live without item 1 (was v2)." in answer
    assert "house_rules v3 is live without item 1 (was v2)." in answer
    assert await world.text("house_rules") == before["house_rules"]
    assert await world.text() == before["core"].replace(LOOK_TWICE.find, LOOK_TWICE.replace)
    assert await world.states() == {1: "failed", 2: "deployed"}
    await dana.say("rollback")
    await dana.say("yes")
    assert await world.live() == {"core": 2, "house_rules": 2}
    assert await world.states() == {1: "deployed", 2: "deployed"}


async def test_a_version_without_an_item_of_two_prompts_takes_it_out_of_the_other_one_too(world: World) -> None:
    before = {name: one.text for name, one in (await world.held()).items()}
    await world.propose(Proposed("Both", (BE_SHORT, QUIET)))
    dana = world.chat()
    await dana.open()
    await dana.say("deploy all")
    question = await dana.say("roll back core to v1")
    assert "house_rules v2 is published anew without what is taken back" in question
    await dana.say("yes")
    assert {name: one.text for name, one in (await world.held()).items()} == before
    assert await world.states() == {1: "failed"}


async def test_a_freeze_stops_what_brings_text_back_and_no_rollback(world: World) -> None:
    dana = await two_items_live(world)
    await dana.say("freeze")
    assert "core v3 is live without item 1" in await dana.say("take back only 1")
    assert "went live again" not in (answer := await dana.say("rollback"))
    assert "brings text live again that was taken out, so nothing was done. Deployments are frozen since" in answer
    assert 'can say "unfreeze"' in answer
    assert (await world.live())["core"] == 3
    await dana.say("roll back core to v1")
    assert "core runs v1 again (was v3), item 2 taken out." in await dana.say("yes")


@pytest.mark.parametrize("words", ["take back only 1", "roll back core to v1"])
async def test_where_the_newest_version_runs_the_old_text_is_published_again(database: Database, words: str) -> None:
    world = await World.begin(database, follow="latest")
    before = await world.text()
    dana = await two_items_live(world)
    answer = await dana.say(words)
    expected = before if "v1" in words else before.replace(LOOK_TWICE.find, LOOK_TWICE.replace)
    assert await world.text() == expected
    assert (await world.live())["core"] == 3
    assert ("runs the text of v1 (as v3) again" in answer) == ("v1" in words)
    # And the way back from there publishes once more.
    await dana.say("rollback")
    assert "Brought back: core runs v2 again" in await dana.say("yes")
    assert (await world.live())["core"] == 4
    assert await world.states() == {1: "deployed", 2: "deployed"}
    assert DANA in {one.actor for one in await world.deployments()}
