"""The way back: rollback, undo and stop, by whom, and when."""

from __future__ import annotations

from datetime import timedelta

from optimizer.db.port import Database
from optimizer.records.edits import Edit
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.world import AGENT, DAY, EVE, SAM, Chat, Proposed, World


async def _all_live(world: World) -> Chat:
    dana = await world.morning()
    await dana.say("deploy all")
    return dana


async def test_rollback_takes_the_last_deployment_back(world: World) -> None:
    before = await world.held()
    dana = await _all_live(world)
    answer = await dana.say("rollback")
    assert "Taken back: core runs v1 again; v2 was live for" in answer
    assert (await world.text()) == before["core"].text
    assert "Nothing that I deployed is live" in await dana.say("rollback")
    assert "you asked to take back core v2" in await dana.say("history")
    assert await world.published() == 2
    assert await world.chain_holds()


async def test_taking_back_one_item_asks_about_those_that_went_live_with_it(world: World) -> None:
    dana = await _all_live(world)
    question = await dana.say("roll back 3")
    assert (
        'core v2 (v1 before) also holds items 1 and 4. Take all of it back (or reply "take back only 3")?' in question
    )
    assert 'Reply: "take back only 3" | "yes" | "no"' in question
    assert (await world.live())["core"] == 2
    assert "Taken back: core runs v1 again" in await dana.say("yes")
    # Once is once.
    assert "A yes alone deploys nothing." in await dana.say("yes")
    assert (await world.live())["core"] == 1


async def test_a_no_leaves_it_live_and_closes_the_question(world: World) -> None:
    dana = await _all_live(world)
    await dana.say("roll back 3")
    assert "Good: nothing was changed." in await dana.say("no")
    await dana.say("yes")
    assert (await world.live())["core"] == 2


async def test_only_the_person_who_was_asked_may_answer(world: World) -> None:
    dana = await _all_live(world)
    await dana.say("roll back 3")
    sam = world.chat(SAM)
    await sam.open()
    await sam.say("yes")
    elsewhere = world.chat(chat="another room")
    await elsewhere.open()
    await elsewhere.say("yes")
    assert (await world.live())["core"] == 2
    await dana.say("yes")
    assert (await world.live())["core"] == 1


async def test_a_question_is_forgotten_after_some_minutes(world: World) -> None:
    dana = await _all_live(world)
    await dana.say("roll back 3")
    world.clock.advance(timedelta(minutes=11))
    await dana.say("yes")
    assert (await world.live())["core"] == 2


async def test_an_item_that_went_live_alone_is_taken_back_at_once(world: World) -> None:
    dana = await world.morning()
    n = await world.number("Payment")
    await dana.say(f"deploy {n}")
    assert "1 is not live, so there is nothing to take back." in await dana.say("roll back 1")
    assert "Taken back: core runs v1 again" in await dana.say(f"roll back {n}")


async def test_of_two_deployments_the_newest_goes_back_first(world: World) -> None:
    dana = await world.morning()
    await dana.say(f"deploy {await world.number('Payment')}")
    n = await world.number("House_rules")
    assert "core v2 went live since you saw this, so nothing was done." in await dana.say(f"deploy {n}")
    assert "Live: core v3 (was v2)" in await dana.say(f"deploy {n}")
    status = await dana.say("status")
    assert "core v3: live" in status
    assert "core v2" not in status
    assert "Taken back: core runs v2 again" in await dana.say("rollback")
    assert (await world.live())["core"] == 2
    await dana.say("rollback")
    assert (await world.live())["core"] == 1


async def test_whoever_is_listed_takes_back_and_nobody_else(world: World) -> None:
    dana = await _all_live(world)
    eve, sam = world.chat(EVE), world.chat(SAM)
    await eve.open()
    for words in ("rollback", "roll back 3", "undo", "stop"):
        assert "You are not listed for this agent, so nothing was done" in await eve.say(words)
    assert (await world.live())["core"] == 2
    await sam.open()
    assert "Taken back: core runs v1 again" in await sam.say("rollback")
    assert "Sam (console) took the last deployment back" in await dana.say("status")


async def test_undo_of_what_is_live_asks_first(world: World) -> None:
    dana = await _all_live(world)
    assert "core v2 (v1 before) is live. Take it back?" in await dana.say("undo")
    assert (await world.live())["core"] == 2
    assert "Taken back: core runs v1 again" in await dana.say("yes")


async def test_undo_where_nothing_is_live_names_what_can_be_put_back(world: World) -> None:
    dana = await world.morning()
    assert "Nothing is under way or live." in await dana.say("undo")
    await dana.say("remove 4")
    assert '"restore 4" brings an item back' in await dana.say("undo")


async def test_the_last_item_that_was_removed_is_back_with_a_word(world: World) -> None:
    await world.propose(
        Proposed("Say one thing more", (Edit(prompt="core", find="Be short", replace="Always be short"),))
    )
    dana = world.chat()
    await dana.open()
    await dana.say("remove 1")
    assert '"restore 1" brings an item back' in await dana.say("undo")
    assert "Back on the list: 1." in await dana.say("restore 1")
    assert "Live: core v2" in await dana.say("deploy 1")


async def test_stop_halts_what_is_under_way(world: World) -> None:
    await world.morning()
    await world.approve(await world.number("Payment"))
    sam = world.chat(SAM)
    answer = await sam.say("stop")
    assert "Halted: nothing of that goes live." in answer
    await world.ratchet.decisions.work()
    assert await world.published() == 1
    (deployment,) = await world.deployments()
    assert deployment.state.value == "halted"
    assert (await world.item(await world.number("Payment"))).state.value == "failed"
    dana = world.chat()
    await dana.open()
    assert "Sam (console) halted what was not live yet" in await dana.say("history")


async def test_a_deployment_that_nobody_carried_out_is_resumed_when_someone_looks(world: World) -> None:
    await world.morning()
    await world.approve(await world.number("Payment"))
    dana = world.chat()
    assert "(live as v2)" in await dana.open()
    assert (await world.live())["core"] == 2


async def test_a_label_that_someone_moved_on_is_left_where_it_is(world: World) -> None:
    dana = await _all_live(world)
    await world.edit_prompts({"core": (await world.text()) + "- By hand.\n"})
    for words in ("rollback", "undo", "yes"):
        answer = await dana.say(words)
        assert "Taken back" not in answer
    assert "core runs v3 by now, not v2, so nothing was done" in answer
    assert (await world.text()).endswith("- By hand.\n")


async def test_what_is_no_longer_the_newest_is_not_taken_back_from_under_it(world: World) -> None:
    dana = await world.morning()
    first, second = await world.number("Payment"), await world.number("House_rules")
    await dana.say(f"deploy {first}")
    for _ in range(2):  # the first deployment changed the text: the second needs another look
        await dana.say(f"deploy {second}")
    answer = await dana.say(f"roll back {first}")
    assert "core runs v3 by now, not v2, so nothing was done; take back what came later first." in answer
    assert (await world.live())["core"] == 3


async def test_a_prompt_that_was_never_registered_is_in_nobodys_way(database: Database) -> None:
    section = AgentSettings(prompts={"core": PromptSettings(), "appendix": PromptSettings()})
    dana = await (await World.begin(database)).morning()
    await dana.say("deploy all")
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=Environment()))
    world.clock.advance(DAY)
    dana = world.chat()
    assert "Taken back: core runs v1 again" in await dana.say("rollback")
