"""Two people, one prompt: approvals that are counted, a freeze, quiet hours, and whoever asked for the run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizer.db.port import Database
from optimizer.errors import UsageError
from tests.journey.team import ASK, DANA_ON_SLACK, LINK, RUI, SHORT, opened, world_of
from tests.journey.world import AGENT, DANA, EVE, SAM


async def test_two_people_approve_and_what_both_want_goes_live(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana = world.chat()
    assert "Each deployment needs the yes of 2 people." in await dana.open()
    answer = await dana.say("deploy all")
    assert "Noted: your yes to 1 and 2 is 1 of 2 for each; one more person has to approve: rui or sam." in answer
    assert "Live" not in answer
    assert (await world.live())["core"] == 1

    sam = world.chat(SAM)
    shown = await sam.open()
    assert "[1] Say it shorter (1 of 2: dana)" in shown
    answer = await sam.say("remove 2, deploy")
    assert "Approved: 1." in answer
    assert "Removed: 2." in answer
    assert "Live: core v2" in answer
    text = await world.text()
    assert "Always be short" in text
    assert "the full name" not in text

    news = await dana.say("history")
    assert 'you said yes to 1 (1 of 2), 2 (1 of 2) ("deploy all")' in news
    assert "Sam (console) approved 1, removed 2" in news
    assert await world.chain_holds()


async def test_one_person_on_two_channels_stays_one(database: Database) -> None:
    world = await world_of(database, SHORT, approvals_min=2)
    dana = await opened(world)
    await dana.say("deploy 1")
    on_slack = await opened(world, DANA_ON_SLACK)
    assert "is 1 of 2" in await on_slack.say("deploy 1")
    assert (await world.live())["core"] == 1
    rui = await opened(world, RUI)
    assert "Live: core v2" in await rui.say("deploy 1")


async def test_a_no_of_one_outweighs_the_yes_of_two(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana, sam, rui = await opened(world), await opened(world, SAM), await opened(world, RUI)
    await dana.say("deploy all")
    await sam.say("remove 1")
    assert "Live: core v2" in await rui.say("deploy all")
    assert "Always be short" not in await world.text()
    assert (await world.states())[1] == "removed"


async def test_others_who_were_noted_keep_their_yes(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana, sam = await opened(world), await opened(world, SAM)
    await dana.say("deploy 1")
    answer = await sam.say("deploy 2")
    assert "Dana (console) said yes to 1 (1 of 2), just now." in answer
    assert "Noted: your yes to 2 is 1 of 2; one more person has to approve: dana or rui." in answer
    listed = await dana.say("show all")
    assert "[1] Say it shorter (1 of 2: dana)" in listed
    assert "[2] Ask once more (1 of 2: sam)" in listed


async def test_whoever_asked_for_the_run_lets_another_decide(database: Database) -> None:
    world = await world_of(database, requester_excluded=True)
    await world.day()
    dana = await opened(world)
    await dana.say("run optimization")
    assert (await world.session()).header.requested_by == DANA
    answer = await dana.say("deploy all")
    assert "Nothing was done. You asked for this run, so your own yes does not count here; rui or sam can" in answer
    assert not [choice for card in dana.answer for choice in card.choices if "deploy" in choice]
    sam = await opened(world, SAM)
    assert "Live: core v2" in await sam.say("deploy all")


async def test_nothing_is_deployed_while_frozen_and_everyone_is_told_why(database: Database) -> None:
    world = await world_of(database, SHORT)
    dana, eve = await opened(world), await opened(world, EVE)
    answer = await eve.say("freeze deployments: demo at noon")
    assert 'Frozen: nothing is deployed until dana, rui or sam says "unfreeze". Rollback stays possible.' in answer
    why = "by console:eve (demo at noon); dana, rui or sam can say"
    refused = await dana.say("deploy all")
    assert "Eve (console) froze all deployments: demo at noon, just now." in refused
    assert "Nothing was done. Deployments are frozen since" in refused
    assert why in refused
    assert "unfreeze" in dana.offered
    assert why in await dana.say("status")
    assert why in await dana.say("show all")
    assert not any("deploy" in choice for choice in dana.offered)
    assert "That was frozen already." in await dana.say("freeze")

    assert "may not lift the freeze" in await eve.say("unfreeze")
    assert (await world.live())["core"] == 1
    assert "Deployments are possible again." in await dana.say("unfreeze")
    assert "Nothing was frozen." in await dana.say("unfreeze")
    assert "Dana (console) lifted the freeze: deployments are possible again" in await eve.say("status")
    assert "Live: core v2" in await dana.say("deploy all")
    history = await dana.say("history")
    assert "you lifted the freeze" in history
    assert "Eve (console) froze all deployments: demo at noon" in history
    assert await world.chain_holds()


async def test_a_freeze_halts_what_is_under_way_and_lets_go_back(database: Database) -> None:
    world = await world_of(database, SHORT, ASK)
    dana = await opened(world)
    await dana.say("deploy 1")
    await world.propose(ASK)
    await world.approve(1)
    eve = await opened(world, EVE, "a window that knows of nothing")
    assert (await world.live())["core"] == 3  # whoever looks carries on what was decided
    await world.propose(LINK)
    assert "Frozen" in await eve.say("freeze")
    assert "Taken back: core runs v2 again" in await eve.say("rollback")


async def test_words_about_freezing_never_deploy(database: Database) -> None:
    world = await world_of(database, SHORT)
    dana = await opened(world)
    for words in ("freeze, deploy all", "don't freeze", "unfreeze, deploy all", "deploy all and freeze", "unfreeze?"):
        await dana.say(words)
    assert (await world.live())["core"] == 1
    assert (await world.ratchet.freezing.freezes.standing(AGENT, world.clock.now())).freeze is None
    await dana.say("freeze: if dana says deploy all, deploy all")
    assert (await world.live())["core"] == 1
    assert "(if dana says deploy all, deploy all)" in await dana.say("status")


async def test_a_long_reason_hides_nobody_who_could_lift_the_freeze(database: Database) -> None:
    world = await world_of(database, SHORT, ASK)
    dana, sam = await opened(world), await opened(world, SAM)
    await dana.say("deploy all")
    await dana.say("take back only 1")
    await sam.say(f"freeze: {'the auditors are here and look at everything, ' * 5}")
    for words in ("freeze", "rollback", "status"):
        assert 'dana, rui or sam can say "unfreeze"' in await dana.say(words), words


async def test_quiet_hours_are_told_with_their_end(database: Database) -> None:
    quiet = {"start": "22:00", "end": "07:30", "timezone": "Europe/Paris"}
    world = await world_of(database, SHORT, quiet_hours=quiet)  # it is 07:00 in Paris
    dana = await opened(world)
    assert "Nothing was done. Nothing is deployed until 07:30 Europe/Paris (quiet hours)." in await dana.say(
        "deploy all"
    )
    assert "Removed: 1." in await dana.say("remove 1")
    await dana.say("restore 1")
    world.clock.advance(timedelta(minutes=30))
    assert "Live: core v2" in await dana.say("deploy all")


async def test_a_day_that_has_had_its_deployments(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, deployments_per_day_max=1)
    dana = await opened(world)
    await dana.say("deploy 1")
    await dana.say("deploy 2")  # the prompt changed with the first, so it is shown again
    answer = await dana.say("deploy 2")
    assert (
        "More than 1 deployment in 24 hours is not allowed; the next is possible from 2026-02-27 06:00 UTC." in answer
    )


async def test_nobody_alone_brings_back_what_was_taken_out_where_two_decide(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana, sam = await opened(world), await opened(world, SAM)
    await dana.say("deploy all")
    assert "Live: core v2" in await sam.say("deploy all")
    assert "without item 1" in await sam.say("take back only 1")
    answer = await dana.say("rollback")
    assert "so nothing was done. What goes live needs the yes of 2 people" in answer
    assert "yes" not in dana.offered
    assert "Always be short" not in await world.text()


async def test_quiet_hours_hold_for_what_was_taken_out_too(database: Database) -> None:
    quiet = {"start": "22:00", "end": "07:30", "timezone": "Europe/Paris"}
    world = await world_of(database, SHORT, ASK, quiet_hours=quiet)
    world.clock.advance(timedelta(hours=3))
    dana = await opened(world)
    await dana.say("deploy all")
    await dana.say("take back only 1")
    assert "Take that back?" in await dana.say("rollback")
    world.clock.advance(timedelta(hours=18))
    assert "Nothing is deployed until 07:30 Europe/Paris (quiet hours)." in await dana.say("rollback")
    assert "Always be short" not in await world.text()


async def test_who_said_yes_is_not_offered_to_say_it_again(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana = await opened(world)
    await dana.say("deploy 1")
    assert "deploy 1" not in dana.offered
    assert "deploy all" in dana.offered
    answer = await dana.say("deploy all")
    assert not any("deploy" in choice for choice in dana.offered)
    assert "Still open: 1 and 2." in answer


async def test_one_item_shows_who_said_yes_and_who_may(database: Database) -> None:
    world = await world_of(database, SHORT, ASK, approvals_min=2)
    dana, sam = await opened(world), await opened(world, SAM)
    assert "It needs the yes of 2 people." in await dana.say("show 1")
    await dana.say("deploy 1")
    shown = await sam.say("show 1")
    assert "[1] Say it shorter (1 of 2: dana)" in shown
    assert "The yes of dana is 1 of 2; one more person has to approve: rui or you." in shown
    assert "deploy 1" in sam.offered
    assert "Your yes is 1 of 2; one more person has to approve: rui or sam." in await dana.say("show 1")
    assert "deploy 1" not in dana.offered


async def test_whoever_may_not_is_told_who_may(database: Database) -> None:
    world = await world_of(database, SHORT)
    eve, mallory = await opened(world, EVE), await opened(world, "console:mallory")
    for words in ("deploy all", "remove 1", "skip"):
        for chat in (eve, mallory):
            assert "You are not an approver of this agent; dana, rui or sam can decide." in await chat.say(words)
    assert "ask dana, rui or sam" in await mallory.say("rollback")
    assert "ask dana, rui or sam" in await mallory.say("freeze")
    assert "ask dana, rui or sam" in await mallory.say("run optimization")


async def test_the_help_names_the_ways_back_that_there_are(database: Database) -> None:
    world = await world_of(database, SHORT, ASK)
    dana = await opened(world)
    assert "take back only" not in await dana.say("help")
    await dana.say("deploy all")
    told = await dana.say("help")
    for words in ("rollback · undo · stop", "take back only 1", "roll back core to v1", "freeze: why · unfreeze"):
        assert words in told


async def test_a_stranger_neither_freezes_nor_lifts(database: Database) -> None:
    world = await world_of(database, SHORT)
    mallory = await opened(world, "console:mallory")
    assert "may not freeze" in await mallory.say("freeze")
    assert "may not lift" in await mallory.say("unfreeze")
    with pytest.raises(UsageError):
        await world.ratchet.freezing.lift(AGENT, mallory.speaker.said("unfreeze", "unfreeze"))
