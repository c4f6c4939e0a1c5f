"""What arrives is answered once, and what must be said is said once, in order: over the database, on a terminal."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from bot.channels.console import CHAT, Console
from bot.channels.port import Part, SendError
from bot.inbox import Inbox
from bot.outbox import Outbox
from bot.surfaces import Surfaces
from bot.terminal.plain import PlainScreen
from optimizer.db.port import Database
from optimizer.records.messages import Inbound
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from optimizer.stores.messages import DeliveryStore, InboundStore
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import DANA, World

SETTINGS = Settings(
    environment=Environment(),
    file=FileSettings(
        agents={AGENT: AgentSettings(approvers=("dana",))},
        people={"dana": PersonSettings(console="dana"), "sam": PersonSettings(console="sam")},
    ),
)


class Terminal(Console):
    """A console whose text can be read; the next sends fail as a test wants it."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        super().__init__(PlainScreen(self.text), keyboard=None)  # pyright: ignore[reportArgumentType]
        self.faults: list[SendError] = []

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        if self.faults:
            raise self.faults.pop(0)
        return await super().send(chat, part, thread=thread, token=token)


class Office:
    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.terminal = Terminal()
        self.inbound, self.deliveries = InboundStore(database), DeliveryStore(database)
        self.surfaces = Surfaces(world.ratchet, {"console": self.terminal}, self.deliveries, self.inbound)
        self.inbox = Inbox(world.ratchet, self.inbound, self.deliveries, self.surfaces, "ear")
        self.outbox = Outbox(
            {"console": self.terminal},
            self.deliveries,
            self.surfaces.render,
            self.surfaces.elsewhere,
            world.clock,
            "mouth",
        )

    async def arrives(self, text: str, vendor_id: str, **changes: object) -> bool:
        message = Inbound(
            channel="console", vendor_id=vendor_id, chat=CHAT, actor=DANA, text=text, at=self.world.clock.now()
        )
        return await self.inbound.put(message.model_copy(update=changes), self.world.clock.now())

    async def work(self) -> str:
        """All that waits is done; what the terminal showed since."""
        before = self.terminal.text.tell()
        await self.surfaces.fan_out(AGENT)
        await self.inbox.work()
        await self.outbox.work()
        await self.surfaces.fan_out(AGENT)
        await self.outbox.work()
        return self.terminal.text.getvalue()[before:]


@pytest.fixture
async def office(database: Database) -> Office:
    world = World(database, SETTINGS)
    await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    await world.day()
    await world.run()
    return Office(world, database)


async def test_a_pending_session_is_told_once(office: Office) -> None:
    assert "Reply:" in await office.work()
    assert await office.work() == ""


async def test_a_reply_is_decided_carried_out_and_answered(office: Office) -> None:
    await office.work()
    assert await office.arrives("deploy all", "1")
    told = await office.work()
    assert "Live:" in told
    assert any(one.stands for one in await office.world.deployments())


async def test_what_arrives_twice_is_one(office: Office) -> None:
    await office.work()
    assert await office.arrives("status", "1")
    assert not await office.arrives("status", "1")
    assert (await office.work()).count(": status") == 1
    assert not await office.arrives("status", "1")
    assert await office.work() == ""


async def test_nothing_is_approved_that_this_chat_was_not_shown(office: Office) -> None:
    await office.arrives("deploy all", "0")
    assert "You have not seen" in await office.work()
    assert not await office.world.deployments()


async def test_a_forwarded_message_and_talk_beside_the_bot_are_no_commands(office: Office) -> None:
    await office.work()
    await office.arrives("deploy all", "1", forwarded=True)
    await office.arrives("deploy all", "2", addressed=False)
    told = await office.work()
    assert "forwarded" in told
    assert not await office.world.deployments()


async def test_what_cannot_be_sent_now_is_sent_later_and_in_order(office: Office) -> None:
    office.terminal.faults = [SendError("Busy.", "later", 30.0)]
    await office.arrives("status", "1")
    await office.arrives("history", "2")
    assert ": status" not in await office.work()
    office.world.clock.advance(timedelta(seconds=31))
    told = await office.work()
    assert told.index(": status") < told.index("history")


async def test_what_can_never_be_sent_is_given_up_and_shows(office: Office) -> None:
    office.terminal.faults = [SendError("This terminal is gone.", "never")]
    await office.work()
    (troubled,) = await office.deliveries.troubled(AGENT)
    assert troubled.error == "This terminal is gone."
    assert troubled.state == "failed"
