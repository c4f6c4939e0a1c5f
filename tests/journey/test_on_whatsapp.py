"""The session on WhatsApp by Twilio: a template in the morning, the list after the tap, decided, live, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest

from bot.channels.twilio.setup import open_contents
from bot.service import Service
from bot.web.app import make_app
from bot.wiring import open_service
from optimizer.approve.people import people_of
from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import World
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, Fault, Twilio, twilio
from tests.simulators.twilio_account import SENDER, Message
from tests.simulators.twilio_phone import Phones

DANA, EVE = "whatsapp:+33600000001", "whatsapp:+33600000099"
PUBLIC_URL = "https://ratchet.example.com"


class Team:
    """Dana with a phone, and the bot."""

    def __init__(self, world: World, service: Service, space: Twilio, phones: Phones) -> None:
        self.world, self.service, self.twilio, self.phones = world, service, space, phones

    async def work(self) -> None:
        while await self.service.once():
            pass
        await self.phones.settle()
        while await self.service.once():
            pass

    def chat(self, person: str = DANA) -> list[Message]:
        return [one for one in self.twilio.account.chat(person) if one.mine and one.seen]

    async def hears(self, text: str, *, person: str = DANA, quoted: Message | None = None, **more: str) -> str:
        """Says it; what the bot says to that."""
        before = len(self.chat(person))
        await self.phones.says(person, text, quoted=quoted, **more)
        await self.work()
        return "\n".join(one.text for one in self.chat(person)[before:])

    async def morning(self) -> Message:
        """A day of traffic and a run; the last message that Dana has then."""
        await self.world.day()
        await self.world.run()
        await self.work()
        return self.chat()[-1]


@pytest.fixture
async def team(database: Database) -> AsyncIterator[Team]:
    with twilio() as space:
        async with open_contents(ACCOUNT_SID, AUTH_TOKEN, space.url) as contents:
            sids = {one.template.variable.lower(): one.sid for one in await contents.put_all()}
        space.account.approve()
        settings = Settings(
            environment=Environment(
                twilio_account_sid=ACCOUNT_SID,
                twilio_auth_token=AUTH_TOKEN,  # pyright: ignore[reportArgumentType]
                twilio_whatsapp_from=SENDER,
                twilio_base_url=space.url,
                public_url=PUBLIC_URL,
                **sids,  # pyright: ignore[reportArgumentType]
            ),
            file=FileSettings(
                agents={AGENT: AgentSettings(approvers=("dana",))},
                people={"dana": PersonSettings(whatsapp=DANA)},
            ),
        )
        world = World(database, settings)
        space.account.now = world.clock.now
        world.people = people_of(settings, AGENT)
        await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
        await world.edit_prompts(hotel.PROMPTS)
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(open_service(world.ratchet))
            transport = httpx.ASGITransport(make_app(opened.service, opened.routers))
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://bot"))
            yield Team(world, opened.service, space, Phones(space, client, PUBLIC_URL))


async def test_from_the_template_to_the_way_back(team: Team) -> None:
    template = await team.morning()
    assert [button["title"] for button in template.buttons] == ["List"]
    assert f"waiting for {AGENT} (prod). Reply LIST" in template.text
    await team.phones.taps(DANA, template, "List")
    await team.work()
    buttons = team.chat()[-1]
    assert [button["title"] for button in buttons.buttons] == ["Deploy all", "Skip", "Status"]
    assert "*[1]*" in team.twilio.account.read(DANA)
    assert "[1]" in await team.hears("show 1")
    offered = next(one.text for one in reversed(team.chat()) if "deploy all" in one.text)
    assert "Live:" in await team.hears("remove 1, deploy", quoted=buttons), offered
    standing = [one for one in await team.world.deployments() if one.stands]
    assert standing
    next_day = await team.morning()
    assert [button["title"] for button in next_day.buttons] in (["Status"], ["List"])
    assert "News of" in team.twilio.account.read(DANA)  # the verdict
    assert "Taken back" in await team.hears("rollback")


async def test_nothing_can_be_approved_that_the_template_did_not_show(team: Team) -> None:
    await team.morning()
    assert "You have not seen" in await team.hears("deploy all")
    assert not await team.world.deployments()


async def test_a_button_decides_on_its_own_list(team: Team) -> None:
    template = await team.morning()
    await team.phones.taps(DANA, template, "List")
    await team.work()
    old = team.chat()[-1]
    await team.hears("skip")
    await team.world.day()
    await team.world.run()
    await team.work()
    await team.hears("list")
    await team.phones.taps(DANA, old, "Deploy all")
    await team.work()
    assert not await team.world.deployments()


async def test_a_tap_deploys_once_however_often_it_is_delivered(team: Team) -> None:
    template = await team.morning()
    await team.phones.taps(DANA, template, "List")
    await team.work()
    buttons = team.chat()[-1]
    tapped = await team.phones.taps(DANA, buttons, "Deploy all")
    more = {"ButtonPayload": "deploy all", "ButtonText": "Deploy all"}
    for _ in range(3):
        await team.phones.deliver(tapped, quoted=buttons, **more)
    await team.work()
    assert len({one.batch_id for one in await team.world.deployments()}) == 1
    assert not await team.service.inbox.work()
    assert {one.status_code for one in team.phones.answers if one.request.url.path.endswith("whatsapp")} == {200}


async def test_what_whatsapp_did_not_take_is_said_by_template(team: Team) -> None:
    await team.world.day()
    await team.hears("status")  # opens the window, as far as the bot knows
    team.twilio.account.messages.clear()  # and WhatsApp knows better
    await team.world.run()
    await team.work()
    assert "Reply LIST" in team.chat()[-1].text
    told = await team.service.deliveries.troubled(AGENT)
    assert [one.error for one in told] == [f"not delivered to {DANA}: outside the 24 h window"]
    assert "You have not seen" in await team.hears("deploy all")


async def test_without_a_template_it_is_given_up_in_words(team: Team) -> None:
    team.twilio.account.approvals.clear()
    await team.world.day()
    await team.world.run()
    await team.work()
    assert not team.chat()
    (first, *_) = await team.service.deliveries.troubled(AGENT)
    assert first.error == f"not delivered to {DANA}: outside the 24 h window"


async def test_strangers_pictures_and_forwards_are_no_commands(team: Team) -> None:
    await team.morning()
    assert "do not know you" in await team.hears("deploy all", person=EVE)
    assert "text alone" in await team.hears("", NumMedia="1", MediaUrl0="https://x", MessageType="image")
    assert "forwarded" in await team.hears("deploy all", Forwarded="true")
    assert not await team.hears("", MessageType="reaction")
    assert not await team.world.deployments()


@pytest.mark.parametrize("fault", [Fault.failed_after, Fault.dropped_after])
async def test_a_lost_answer_is_looked_for_and_nothing_said_twice(team: Team, fault: Fault) -> None:
    team.twilio.fails(fault)
    await team.hears("status")
    team.world.clock.advance(timedelta(seconds=5))
    await team.work()
    assert team.twilio.account.read(DANA).count("ratchet:") == 1


async def test_a_busy_vendor_is_waited_for_as_long_as_it_says(team: Team) -> None:
    team.twilio.fails(Fault.limited)
    assert not await team.hears("status")
    team.world.clock.advance(timedelta(seconds=6))
    await team.work()
    assert not team.chat()
    team.world.clock.advance(timedelta(seconds=2))
    await team.work()
    assert len(team.chat()) == 1
