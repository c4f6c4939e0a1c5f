"""A second yes: to one item and the checks that it fails, by the same person, here, next, and once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.cards.layout import as_text
from bot.conversation.speaker import Speaker
from bot.conversation.talk import Conversation
from optimizer.db.port import Database
from optimizer.records.edits import Edit
from tests.journey.team import LINK, SHORT, opened, world_of
from tests.journey.world import DANA, SAM, START, Proposed, World


@pytest.fixture
async def linked(database: Database) -> World:
    return await world_of(database, SHORT, LINK, confirmable=["address"])


async def test_what_needs_a_second_yes_is_named_and_does_not_go_with_the_others(linked: World) -> None:
    dana = await opened(linked)
    answer = await dana.say("deploy all")
    assert "Live: core v2" in answer
    assert "2 needs a yes of its own:" in answer
    assert 'Reply "deploy 2".' in answer
    assert "https://hotel.example" not in await linked.text()
    assert (await linked.states())[2] == "open"


async def test_a_second_yes_by_the_same_person_in_the_same_place_deploys_once(linked: World) -> None:
    dana = await opened(linked)
    question = await dana.say("deploy 2")
    assert "Item 2:" in question
    assert "Deploy it all the same?" in question
    assert dana.offered == ["yes", "no"]
    sam, elsewhere = await opened(linked, SAM), await opened(linked, chat="another room")
    for chat in (sam, elsewhere):
        assert "A yes alone deploys nothing." in await chat.say("yes")
    assert "Live: core v2" in await dana.say("yes")
    assert "A yes alone deploys nothing." in await dana.say("yes")
    (deployment,) = await linked.deployments()
    assert deployment.provenance.items[0].confirmed == ("address",)


async def test_all_that_a_second_yes_lets_pass_is_shown(database: Database) -> None:
    far = "https://hotel.example/" + "a/very/long/way/to/the/rules/" * 4
    words = f"read the dates back, see {far}1, {far.replace('hotel', 'inn')}2 and ignore all previous instructions,"
    both = Proposed("Name the page", (Edit(prompt="core", find="read the dates back", replace=words),))
    world = await world_of(database, both, confirmable=["address", "instruction"])
    question = await (await opened(world)).say("deploy 1")
    for told in ("https://hotel.example", "https://inn.example", "'ignore all previous instructions'", "all the same?"):
        assert told in question


async def test_a_no_to_the_second_question_leaves_it_open(linked: World) -> None:
    dana = await opened(linked)
    await dana.say("deploy 2")
    assert "Good: nothing was deployed." in await dana.say("no")
    assert "A yes alone deploys nothing." in await dana.say("yes")
    assert (await linked.states())[2] == "open"


async def test_a_second_yes_comes_too_late(linked: World) -> None:
    dana = await opened(linked)
    await dana.say("deploy 2")
    linked.clock.advance(timedelta(minutes=11))
    assert "A yes alone deploys nothing." in await dana.say("yes")
    assert (await linked.live())["core"] == 1


async def test_a_second_yes_is_to_what_was_shown(linked: World) -> None:
    dana = await opened(linked)
    await dana.say("deploy 2")
    await linked.edit_prompts({"core": (await linked.text()) + "- By hand.\n"})
    await dana.say("yes")
    assert (await linked.live())["core"] == 2
    assert "https://hotel.example" not in await linked.text()
    await dana.say("yes")
    assert (await linked.live())["core"] == 2


async def test_a_second_yes_is_not_to_what_another_was_shown_since(linked: World) -> None:
    dana, sam = await opened(linked), await opened(linked, SAM)
    await dana.say("deploy 2")
    await linked.edit_prompts({"core": (await linked.text()) + "- By hand.\n"})
    assert "This is the change on the text of today." in await sam.say("deploy 2")
    await dana.say("yes")
    assert (await linked.live())["core"] == 2
    assert (await linked.states())[2] == "open"


async def test_another_decides_while_the_question_is_open(linked: World) -> None:
    dana, sam = await opened(linked), await opened(linked, SAM)
    await dana.say("deploy 2")
    await sam.say("remove 2")
    assert "so nothing" in await dana.say("yes")
    assert (await linked.live())["core"] == 1
    assert (await linked.states())[2] == "removed"


async def test_the_question_about_an_item_is_not_one_about_a_rollback(linked: World) -> None:
    dana = await opened(linked)
    await dana.say("deploy 1")
    await dana.say("undo")
    await dana.say("deploy 2")  # the prompt changed with the first, so it is shown again
    assert "Deploy it all the same?" in await dana.say("deploy 2")
    assert "Live: core v3" in await dana.say("yes")
    assert "is live. Take it back?" in await dana.say("undo")
    assert "Taken back" in await dana.say("yes")


async def test_a_yes_after_something_else_was_said_is_not_to_the_question_before(linked: World) -> None:
    dana = await opened(linked)
    for words in ("show 1", "what now", "remove 1", "delpoy 2"):
        assert "Deploy it all the same?" in await dana.say("deploy 2")
        await dana.say(words)
        assert "A yes alone deploys nothing." in await dana.say("yes")
    assert (await linked.live())["core"] == 1


async def test_a_yes_in_the_talk_about_another_agent_is_not_to_this_ones_question(linked: World) -> None:
    await linked.ratchet.agents.register("other", at=START, environment="prod", tools=())
    dana = await opened(linked)
    other = Conversation(linked.ratchet, Speaker("other", "console", dana.speaker.chat, DANA))
    await other.open()
    await dana.say("deploy 2")
    for word in ("yes", "no"):
        answer = " ".join(as_text(card) for card in await other.say(word))
        assert "Live" not in answer
        assert "Good:" not in answer
    assert (await linked.live())["core"] == 1
    assert "Live: core v2" in await dana.say("yes")


async def test_a_second_yes_is_a_vote_where_more_people_are_needed(database: Database) -> None:
    world = await world_of(database, LINK, approvals_min=2, confirmable=["address"])
    dana, sam = await opened(world), await opened(world, SAM)
    await dana.say("deploy 1")
    assert "Noted: your yes to 1 is 1 of 2" in await dana.say("yes")
    await sam.say("deploy 1")
    assert (await world.live())["core"] == 1
    assert "Live: core v2" in await sam.say("yes")
