"""What becomes of a proposal that is not deployed: skipped, removed, muted, done, expired, put off, replaced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from optimizer.approve.people import People
from optimizer.db.port import Database
from optimizer.errors import DatabaseUnavailable
from optimizer.settings import Environment, FileSettings, PersonSettings, Settings
from tests.journey.world import AGENT, DANA, DAY, EVE, SAM, Proposed, World

RUI = "console:rui"
WEEK = 7 * DAY


async def _titles(world: World) -> str:
    """What is proposed now."""
    report = await world.run()
    return "; ".join(item["title"] for item in report.items)


async def test_skipped_nothing_is_deployed_and_it_comes_back_after_seven_days(world: World) -> None:
    dana = await world.morning()
    answer = await dana.say("skip")
    assert "Skipped: nothing more is deployed." in answer
    assert await world.published() == 1
    assert set((await world.states()).values()) == {"removed"}

    await world.day(seed=2)
    assert await _titles(world) == ""
    world.clock.advance(5 * DAY)
    await world.day(seed=3)
    back = await _titles(world)
    assert "House_rules" in back
    assert "find_guest" in back
    dana = world.chat()
    await dana.open()
    assert "It was removed before and is still there." in await dana.say(
        f"tell me more about {await world.number('House_rules')}"
    )


async def test_skipped_it_comes_back_sooner_when_it_is_one_and_a_half_times_worse(world: World) -> None:
    await (await world.morning(wrong_phones=0.3)).say("skip")
    await world.day(seed=2, wrong_phones=0.3)
    assert "find_guest" not in await _titles(world)
    await world.day(seed=3, wrong_phones=0.7)
    dana = world.chat()
    assert "find_guest" in await _titles(world)
    await dana.open()
    told = await dana.say(f"tell me more about {await world.number('find_guest')}")
    assert "It was removed before and is 2." in told or "It was removed before and is 1." in told
    assert "times worse now." in told


async def test_removed_items_are_not_deployed_and_not_proposed_again(world: World) -> None:
    dana = await world.morning()
    n = await world.number("Payment")
    answer = await dana.say(f"remove {n}, deploy")
    assert f"Removed: {n}." in answer
    text = await world.text()
    assert text.count("## Payment") == 2
    assert "Before you call `find_guest`" in text
    assert (await world.item(n)).state.value == "removed"
    await world.day()
    assert "Payment" not in await _titles(world)


async def test_a_removed_item_can_be_put_back_while_the_list_waits(world: World) -> None:
    dana = await world.morning()
    n = await world.number("Payment")
    assert f"Removed: {n}." in await dana.say(f"remove {n}")
    assert f"{n} was removed, so nothing is done." in await dana.say(f"deploy {n}")
    assert f"Back on the list: {n}." in await dana.say(f"restore {n}")
    assert f"item {n}" in await dana.say(f"deploy {n}")
    assert (await world.text()).count("## Payment") == 1


async def test_muted_it_stays_away_after_seven_days_too(world: World) -> None:
    dana = await world.morning()
    n = await world.number("Payment")
    assert f"Muted: {n}. Not proposed again unless it gets 1.5 times worse." in await dana.say(f"never {n}")
    world.clock.advance(WEEK)
    await world.day(seed=2)
    titles = await _titles(world)
    assert "Payment" not in titles
    assert "House_rules" in titles


async def test_what_a_person_did_is_checked_by_the_next_runs(world: World) -> None:
    dana = await world.morning()
    n = await world.number("book_room")
    assert f"{n} is for you to do; it cannot be deployed." in await dana.say(f"deploy {n}")
    assert f"Done: {n}. The next runs check whether it helped." in await dana.say(f"done {n}")
    await world.day(seed=2, time_outs=0.0)
    assert "book_room" not in await _titles(world)
    # It did not help after all: far worse than before, so it is said again.
    await world.day(seed=3, time_outs=0.4)
    assert "book_room" in await _titles(world)


async def test_expired_nothing_is_deployed_and_the_next_run_brings_what_is_true(world: World) -> None:
    dana = await world.morning()
    old = await world.session()
    n = await world.number("House_rules")
    world.clock.advance(3 * DAY)
    answer = await dana.say("deploy all")
    assert "These items expired just now, so nothing was done" in answer
    assert "deploy" not in answer.partition("Reply:")[2]
    assert await world.published() == 1
    assert (await world.session()).state.value == "expired"
    assert "the items expired without a decision" in await dana.say("history")

    await world.day(seed=2)
    message = await dana.say("run optimization")
    assert "House_rules" in message
    again = next(item for item in (await world.session()).items if "House_rules" in item.title)
    was = old.numbered(n)
    assert was is not None
    assert again.id == was.id
    assert "(waiting 4 days)" in message
    assert "Live: core v2" in await dana.say("deploy all")


async def test_a_list_whose_time_is_over_is_not_offered_to_whoever_opens_the_chat(world: World) -> None:
    await world.morning()
    world.clock.advance(3 * DAY)
    dana = world.chat()
    message = await dana.open()
    assert "The items of this list expired without a decision" in message
    assert "eploy" not in message
    assert (await world.session()).state.value == "expired"
    assert "Nothing waits for a decision." in await dana.say("status")


async def test_undecided_items_keep_their_id_and_say_how_long_they_wait(world: World) -> None:
    await world.morning()
    first = {item.key: item for item in (await world.session()).items}
    await world.day(seed=2)
    dana = await world.morning(seed=3)
    second = await world.session()
    for item in second.items:
        if item.edits and item.key.startswith("prompt_"):
            assert item.id == first[item.key].id
            assert item.content_sha256 == first[item.key].content_sha256
    assert "(waiting 2 days)" in dana.told


async def test_a_reply_to_a_list_that_was_replaced_deploys_nothing_and_shows_the_new_one(world: World) -> None:
    dana = await world.morning()
    old = await world.session()
    await world.day(seed=2)
    await world.run()
    answer = await dana.say("deploy all")
    assert answer.count("A newer list replaced this one, so nothing was done") == 1
    assert "self-analysis, 2026-02-28" in answer
    assert await world.published() == 1
    replaced = await world.ratchet.sessions.read(old.id)
    assert replaced is not None
    assert replaced.state.value == "superseded"
    # Now the new list is what she sees, and what her words mean.
    assert "Live: core v2" in await dana.say("deploy all")


async def test_a_person_who_only_looks_is_told_that_a_new_list_waits(world: World) -> None:
    dana = await world.morning()
    await world.day(seed=2)
    await world.run()
    assert "A new list waits for a decision, just now." in await dana.say("show 3")
    assert "A new list" not in await dana.say("show 3")


async def test_the_second_person_is_told_who_decided(world: World) -> None:
    world.people = People(frozenset({DANA, RUI}), frozenset({DANA, RUI}))
    dana, rui = await world.morning(DANA), world.chat(RUI)
    await rui.open()
    await dana.say("deploy all")
    answer = await rui.say("deploy all")
    assert "Dana (console) approved" in answer
    assert 'Dana (console) approved 1, 3 and 4 ("deploy all") just now, so nothing more was done.' in answer
    assert await world.published() == 2
    world.clock.advance(timedelta(minutes=2))
    assert "Dana (console) approved 1, 3 and 4" in await rui.say("history")
    # What came after does not hide who closed the list; and who may not decide hears that instead.
    await dana.say("done 2")
    assert 'Dana (console) approved 1, 3 and 4 ("deploy all") 2 min ago' in await rui.say("deploy all")
    sam = world.chat(SAM)
    await sam.open()
    assert "Dana" not in await sam.say("deploy all")


async def test_the_second_person_hears_of_a_skip(world: World) -> None:
    world.people = People(frozenset({DANA, RUI}), frozenset({DANA, RUI}))
    dana, rui = await world.morning(DANA), world.chat(RUI)
    await rui.open()
    await dana.say("skip")
    answer = await rui.say("deploy all")
    assert "Dana (console) skipped the session" in answer
    assert await world.published() == 1


async def test_put_off_until_later_nothing_is_decided(world: World) -> None:
    dana = await world.morning()
    assert "Snoozed until 08:00 UTC; nothing was decided." in await dana.say("snooze 2h")
    assert "Snoozed until 08:00 UTC." in await dana.say("status")
    assert set((await world.states()).values()) == {"open"}
    assert "Live: core v2" in await dana.say("deploy all")


async def test_a_yes_to_no_question_deploys_nothing(world: World) -> None:
    dana = await world.morning()
    for words in ("yes", "ok", "\U0001f44d", "yes please", "no"):
        await dana.say(words)
    assert await world.published() == 1
    assert set((await world.states()).values()) == {"open"}


async def test_only_an_approver_decides(world: World) -> None:
    for actor in (SAM, EVE):
        chat = await world.morning(actor)
        assert "deploy" not in " ".join(chat.told.split()).partition("Reply:")[2]
        for words in ("deploy all", "remove 1", "skip", "snooze 2h", "done 1", "never 1"):
            answer = await chat.say(words)
            assert "Nothing was done. You are not an approver of this agent" in answer, words
    assert "Only people who are listed" in await world.chat(EVE).say("run optimization")
    assert set((await world.states()).values()) == {"open"}
    assert await world.published() == 1
    rows = await world.ratchet.audit.newest(AGENT, 100)
    assert sum('"reason":"not_allowed"' in row["body"].replace(" ", "") for row in rows) == 12


async def test_words_about_the_proposals_are_kept_and_change_nothing(world: World) -> None:
    dana = await world.morning()
    assert "Noted on item 1; that alone changes nothing." in await dana.say("\U0001f44e 1")
    assert "your words are kept" in await dana.say("edit 1: be friendlier")
    rows = await world.ratchet.audit.newest(AGENT, 2)
    assert all('"feedback"' in row["body"] for row in rows)
    assert set((await world.states()).values()) == {"open"}


async def test_what_help_status_and_history_say(world: World) -> None:
    dana = await world.morning()
    n = await world.number("Payment")
    assert "deploy all" in await dana.say("help")
    status = await dana.say("status")
    assert "Waiting for a decision since 2026-02-27: 1, 3 and 4; 3 days left." in status
    assert "For you to do: 2." in status
    assert "came with an import" in await dana.say("history")
    await dana.say(f"remove {n}")
    await dana.say("deploy all")
    history = await dana.say("history")
    assert "you approved" in history
    assert f'you removed {n} ("remove {n}")' in history
    # Once nothing is left to deploy, no help offers it.
    told = await dana.say("help")
    assert "deploy" not in told
    assert "deploy" not in (await dana.say("blorp")).partition("Reply:")[2]


async def test_what_was_not_seen_cannot_be_deployed(world: World) -> None:
    await world.day(sessions=5)
    lines = [line for line in (await world.text()).splitlines() if line.startswith("- ")]
    many = [
        Proposed(f"Say it shorter, number {n}, so that it costs less in every turn", (world.edit(lines[n % 10], n),))
        for n in range(35)
    ]
    await world.propose(*many)
    dana = world.chat()
    first = await dana.open()
    assert "Page 1 of 2." in first
    assert 'Reply: "more"' in first
    asked = await dana.say("deploy all")
    assert "You have not seen items" in asked
    assert 'reply "more" first' in asked
    assert await world.published() == 1
    assert "Page 2 of 2." in await dana.say("more")
    assert "Live: core v2" in await dana.say("deploy all")


async def test_times_are_told_in_the_timezone_of_whoever_reads(database: Database) -> None:
    people = {"dana": PersonSettings(console="dana", timezone="Europe/Paris")}
    await (await World.begin(database)).morning()
    world = World(database, Settings(file=FileSettings(people=people), environment=Environment()))
    world.clock.advance(DAY)
    dana = world.chat()
    await dana.open()
    assert "CET; nothing was decided." in await dana.say("snooze 2h")
    sam = world.chat(SAM)
    world.people = People(frozenset({DANA, SAM}), frozenset({DANA, SAM}))
    await sam.open()
    assert "UTC; nothing was decided." in await sam.say("snooze 2h")


class Blinking:
    """A database that goes away for one call of a function, when a story says so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away: str | None = None

    async def call(self, function: str, **arguments: Any) -> Any:
        if function == self.away:
            self.away = None
            raise DatabaseUnavailable("The database went away; try again.")
        return await self._database.call(function, **arguments)

    async def close(self) -> None:
        await self._database.close()


async def test_a_database_that_blinks_is_told_and_the_talk_goes_on(database: Database) -> None:
    blinking = Blinking(database)
    world = await World.begin(blinking)
    dana = await world.morning()
    for away in ("sessions_read", "decisions_newest", "notices_after"):
        blinking.away = away
        assert "The database went away; try again." in await dana.say("history")
        assert blinking.away is None
        assert "core v1 came with an import" in await dana.say("history")
    # What was done before it is told as well.
    n = await world.number("Payment")
    blinking.away = "decisions_newest"
    answer = await dana.say(f"remove {n}, history")
    assert f"Removed: {n}." in answer
    assert "went away" in answer
