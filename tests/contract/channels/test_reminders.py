"""Who is reminded, what is told once a week, and what is told nobody: over the database, on a terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.channels.port import SendError
from bot.news import Newsroom
from bot.reminders import Reminders
from optimizer.db.port import Database
from optimizer.records.edits import Edit
from optimizer.stores.audit import Notice
from optimizer.stores.reminders import ReminderStore
from tests.contract.channels.test_messages import SETTINGS, Office
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import Proposed, World

HOUR = timedelta(hours=1)
EDIT = Edit(prompt="core", find=hotel.PROMPTS["core"].splitlines()[0], replace="Another beginning.")


class Reminded(Office):
    def __init__(self, world: World, database: Database) -> None:
        super().__init__(world, database)
        self.outbox = replace(self.outbox, given_up=self.surfaces.given_up)
        self.reminders = Reminders(self.surfaces, ReminderStore(database))

    async def after(self, step: timedelta) -> str:
        """What the terminal shows when this much time has passed."""
        self.world.clock.advance(step)
        await self.reminders.work()
        return await self.work()

    async def lists(self, title: str) -> None:
        assert await self.world.propose(Proposed(title, (EDIT,)))


@pytest.fixture
async def office(database: Database) -> Reminded:
    world = World(database, SETTINGS)
    await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    world.clock.advance(4 * HOUR)  # a Thursday, ten in the morning
    return Reminded(world, database)


async def test_the_one_person_is_reminded_once(office: Reminded) -> None:
    await office.lists("Shorter")
    await office.work()
    assert await office.after(3 * HOUR) == ""
    assert "A reminder" in await office.after(HOUR)
    assert await office.after(5 * HOUR) == ""
    assert await office.after(12 * HOUR) == ""


async def test_nobody_is_reminded_of_what_was_decided(office: Reminded) -> None:
    await office.lists("Shorter")
    await office.work()
    await office.arrives("skip", "1")
    await office.work()
    assert await office.after(5 * HOUR) == ""


async def test_a_reminder_that_came_too_late_is_not_told(office: Reminded) -> None:
    await office.lists("Shorter")
    await office.work()
    office.world.clock.advance(5 * HOUR)
    assert await office.reminders.work() == 1
    await office.arrives("skip", "1")
    await office.inbox.work()
    assert "A reminder" not in await office.work()


async def test_the_end_is_told_once(office: Reminded) -> None:
    await office.lists("Shorter")
    await office.work()
    told = await office.after(73 * HOUR)
    assert told.count("expired without a decision") == 1
    assert await office.after(HOUR) == ""


async def test_after_three_lists_without_an_answer_one_a_week_is_told(office: Reminded) -> None:
    for n in range(3):
        await office.lists(f"Shorter {n}")
        assert "were not answered" not in await office.work()
        office.world.clock.advance(24 * HOUR)
    await office.lists("Shorter 3")
    assert await office.work() == ""
    office.world.clock.advance(7 * 24 * HOUR)
    await office.lists("Shorter 4")
    assert "The last 4 lists were not answered" in await office.work()


async def test_who_decided_is_answered_and_not_told_again(office: Reminded) -> None:
    await office.lists("Shorter")
    await office.work()
    await office.arrives("remove 1", "1")
    told = await office.work()
    assert "just now" not in told


async def test_what_was_not_delivered_stands_in_the_status_and_in_the_audit(office: Reminded) -> None:
    office.terminal.faults = [SendError("This terminal is gone.", "never")]
    await office.lists("Shorter")
    await office.work()
    (row, *_) = await office.world.ratchet.audit.newest(AGENT, 5)
    assert '"kind":"delivery_failed"' in row["body"]
    assert "This terminal is gone." in row["body"]
    await office.arrives("status", "1")
    assert "was not delivered, just now: This terminal is gone." in " ".join((await office.work()).split())


async def test_quiet_runs_are_told_once_a_week(office: Reminded) -> None:
    now = office.world.clock.now()
    newsroom_told = [
        await _told(office, Notice(n, "session_quiet", None, None, {}, now + timedelta(days=days)))
        for n, days in enumerate((0, 1, 4, 8), 1)
    ]
    assert newsroom_told[0] == newsroom_told[1]
    assert len(set(newsroom_told)) == 2  # the fourth is of the same calendar week as the third


async def _told(office: Reminded, notice: Notice) -> str:
    news = await Newsroom(office.world.ratchet.settings, office.reminders.store).news_of(notice, AGENT)
    assert news is not None
    assert news.notice.kind == "week_quiet"
    return news.key
