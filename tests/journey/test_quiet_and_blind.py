"""Nothing to say, nothing to see, and nothing known: three things that must not sound alike."""

from __future__ import annotations

import pytest

from optimizer.errors import NotFoundError
from optimizer.records.edits import Edit
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from tests.journey.hotel import CORE, HOUSE_RULES, PAYMENT, PROMPTS
from tests.journey.world import AGENT, DAY, EVE, Proposed, World

CLEAN = {"core": CORE.replace(HOUSE_RULES, "").replace(f"{PAYMENT}\n## What", "## What")}


async def test_all_quiet(world: World) -> None:
    await world.edit_prompts(CLEAN)
    dana = await world.morning(time_outs=0.0, wrong_phones=0.0)
    assert "Last 24h: 120 sessions" in dana.told
    assert "All quiet: nothing new to change." in dana.told
    assert "Nothing waits for a decision." in await dana.say("status")
    assert "All quiet" in await dana.say("run optimization")


async def test_no_traffic_is_an_alarm_and_never_all_quiet(world: World) -> None:
    await world.edit_prompts(CLEAN)
    await world.morning(time_outs=0.0, wrong_phones=0.0)
    world.clock.advance(2 * DAY)
    report = await world.run()
    assert report.status == "alarm"
    dana = world.chat()
    for message in (await dana.open(), await dana.say("run optimization"), await dana.say("show all")):
        assert "Alarm: No agent sessions in the last 24h; the newest trace began 20" in message
        assert "quiet" not in message.lower()


async def test_an_alarm_is_told_before_a_list_that_still_waits(world: World) -> None:
    await world.edit_prompts(CLEAN)
    await world.propose(Proposed("Change the code of book_room"))
    world.clock.advance(2 * DAY)
    assert (await world.run()).status == "alarm"
    dana = world.chat()
    for message in (await dana.open(), await dana.say("show all")):
        assert message.index("Alarm: No agent sessions") < message.index("[1] Change the code of book_room")
        assert "quiet" not in message.lower()


async def test_a_hundred_refused_replies_hide_neither_an_alarm_nor_who_decided(world: World) -> None:
    await world.edit_prompts(CLEAN)
    await world.propose(
        Proposed("Say one thing more", (Edit(prompt="core", find="Be short", replace="Always be short"),))
    )
    dana, eve = world.chat(), world.chat(EVE)
    await dana.open()
    await eve.open()
    await dana.say("skip")
    world.clock.advance(2 * DAY)
    assert (await world.run()).status == "alarm"
    for _ in range(101):
        await world.ratchet.audit.write(AGENT, audit_body("refused", actor=EVE), world.clock.now())
    assert "Alarm: No agent sessions" in await dana.say("status")
    assert 'You skipped the session ("skip")' in await dana.say("skip")


async def test_an_alarm_stands_above_the_items_of_its_own_run(world: World) -> None:
    await world.morning()
    world.clock.advance(2 * DAY)
    assert (await world.run()).items
    message = await world.chat().open()
    assert message.index("Alarm: No agent sessions") < message.index("[1]")


async def test_far_less_traffic_than_usual_is_an_alarm(world: World) -> None:
    await world.edit_prompts(CLEAN)
    for seed in range(10):
        await world.day(seed=seed, sessions=120, time_outs=0.0, wrong_phones=0.0)
    dana = await world.morning(seed=99, sessions=6, time_outs=0.0, wrong_phones=0.0)
    assert "Alarm: Only 6 agent sessions in the last 24h" in dana.told
    assert "quiet" not in dana.told.lower()


async def test_a_chat_before_the_first_run_says_that_nothing_waits(world: World) -> None:
    dana = world.chat()
    assert "Nothing waits for a decision." in await dana.open()
    for words in ("deploy all", "show 3", "skip", "history", "status", "help", "rollback", "undo", "more"):
        await dana.say(words)
    assert await world.published() == len(PROMPTS) - 1


async def test_an_unknown_agent_is_named_with_those_that_are_known(world: World) -> None:
    now = world.clock.now()
    with pytest.raises(NotFoundError, match=r"no agent 'back-office' \(known: 'front-desk'\)"):
        await world.ratchet.runs.optimize("back-office", Window(since=now - DAY, until=now))
