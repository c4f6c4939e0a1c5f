"""The session on WhatsApp by Green API: by webhook, out of the queue, and handed on by the agent's own webhook."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bot.commands.doctor import look_at_whatsapp
from bot.service import Service
from bot.web.app import make_app
from bot.web.green_api import RELAY_PATH
from bot.wiring import open_service
from optimizer.approve.people import people_of
from optimizer.db.port import Database
from optimizer.errors import SettingsError
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings, load_settings
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import World
from tests.simulators.green_api import INSTANCE, TOKEN, Fault, GreenApi, green_api
from tests.simulators.green_api_phone import Message, Phones

DANA, EVE, TEAM = "33600000001@c.us", "33600000099@c.us", "120363043968066561@g.us"
PUBLIC_URL, RELAY_KEY = "https://ratchet.example.com", "a-key-of-the-agent"


class Office:
    """Dana with a phone, and the bot."""

    def __init__(self, world: World, service: Service, space: GreenApi, phones: Phones) -> None:
        self.world, self.service, self.green_api, self.phones = world, service, space, phones

    async def work(self) -> None:
        """Until nothing waits, in the queue of the instance neither."""
        while await self.polled() + await self.service.once():
            pass

    async def polled(self) -> int:
        return sum([await loop._turn() for loop in self.service.beside])  # pyright: ignore[reportPrivateUsage]

    def said(self, chat: str = DANA) -> list[Message]:
        return [one for one in self.green_api.whatsapp.chat(chat) if one.mine]

    async def hears(self, text: str, *, person: str = DANA, **more: Any) -> str:
        """Dana writes it; what the bot says to that."""
        chat = more.get("group") or person
        before = len(self.said(chat))
        await self.phones.deliver(self.phones.write(person, text, **more))
        await self.work()
        return "\n".join(one.text for one in self.said(chat)[before:])

    async def handed_on(self, text: str, *, person: str = DANA, **more: Any) -> tuple[bool, str]:
        """The agent's own webhook got it and hands it on: whether it was for the bot, and what the bot says."""
        chat = more.get("group") or person
        before = len(self.said(chat))
        answer = await self.phones.post(RELAY_PATH, self.phones.write(person, text, **more), RELAY_KEY)
        await self.work()
        return answer.json()["mine"], "\n".join(one.text for one in self.said(chat)[before:])

    async def morning(self) -> Message:
        """A day of traffic and a run; the last message that Dana has then."""
        await self.world.day()
        await self.world.run()
        await self.work()
        return self.said()[-1]


Opens = Callable[..., AbstractAsyncContextManager[Office]]


@pytest.fixture
async def opens(database: Database) -> AsyncIterator[Opens]:
    """Opens the bot on an instance; `set_up` is what stands in its environment besides."""
    with green_api() as space:

        @asynccontextmanager
        async def open_office(**set_up: str) -> AsyncIterator[Office]:
            settings = Settings(
                environment=Environment(
                    green_api_instance_id=INSTANCE,
                    green_api_token=TOKEN,  # pyright: ignore[reportArgumentType]
                    green_api_url=space.url,
                    **set_up,  # pyright: ignore[reportArgumentType]
                ),
                file=FileSettings(
                    agents={AGENT: AgentSettings(approvers=("dana",))},
                    people={"dana": PersonSettings(whatsapp="whatsapp:+33600000001")},
                ),
            )
            world = World(database, settings)
            world.people = people_of(settings, AGENT)
            await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
            await world.edit_prompts(hotel.PROMPTS)
            async with open_service(world.ratchet) as opened:
                transport = httpx.ASGITransport(make_app(opened.service, opened.routers))
                async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
                    office = Office(world, opened.service, space, Phones(space.whatsapp, client, PUBLIC_URL))
                    await office.work()
                    yield office

        yield open_office


@pytest.fixture
async def office(opens: Opens) -> AsyncIterator[Office]:
    """By webhook."""
    async with opens(public_url=PUBLIC_URL) as opened:
        yield opened


@pytest.fixture
async def relayed(opens: Opens) -> AsyncIterator[Office]:
    async with opens(green_api_relay_key=RELAY_KEY) as opened:
        yield opened


async def a_day(office: Office) -> None:
    listed = await office.morning()
    assert "Reply:" in listed.text
    assert "[1]" in await office.hears("show 1")
    assert "Live:" in await office.hears("remove 1, deploy", quoted=listed)
    assert any(one.stands for one in await office.world.deployments())
    await office.morning()
    assert "Taken back" in await office.hears("rollback")


async def test_by_webhook_from_the_morning_to_the_way_back(office: Office) -> None:
    await a_day(office)
    assert {one.status_code for one in office.phones.answers} == {200}
    assert not office.green_api.asked("receiveNotification")


async def test_out_of_the_queue_from_the_morning_to_the_way_back(opens: Opens) -> None:
    async with opens() as office:
        await a_day(office)
        assert not office.green_api.whatsapp.queue
        assert not office.green_api.asked("setSettings")


async def test_nothing_can_be_approved_that_was_not_shown(office: Office) -> None:
    await office.world.day()
    await office.world.run()
    assert "You have not seen" in await office.hears("deploy all")
    assert not await office.world.deployments()
    assert "Live:" in await office.hears("deploy all")


async def test_our_webhook_is_set_once_where_there_is_none(office: Office) -> None:
    (values,) = office.green_api.asked("setSettings")
    assert values["webhookUrl"].startswith(f"{PUBLIC_URL}/green-api/hooks/")
    assert TOKEN not in f"{values}"
    await office.polled()
    assert len(office.green_api.asked("setSettings")) == 1


@pytest.mark.parametrize("set_up", [{}, {"public_url": PUBLIC_URL}])
async def test_a_webhook_of_somebody_else_stays_as_it_is(
    opens: Opens, set_up: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with opens() as first:
        first.green_api.whatsapp.settings["webhookUrl"] = "https://agent.example.com/hook"
    caplog.clear()
    async with opens(**set_up) as office:
        for _ in range(3):
            await office.polled()
        assert office.green_api.whatsapp.settings["webhookUrl"] == "https://agent.example.com/hook"
        assert not office.green_api.asked("setSettings")
    assert caplog.text.count("GREEN_API_RELAY_KEY") == 1
    assert TOKEN not in caplog.text


async def test_with_a_relay_the_instance_is_left_to_the_agent(relayed: Office) -> None:
    await relayed.polled()
    assert not relayed.green_api.asked("setSettings")
    assert not relayed.green_api.asked("receiveNotification")


async def test_a_day_in_the_agents_own_chat(relayed: Office) -> None:
    listed = await relayed.morning()
    for said in ("book me a room with a view", "thanks!", "yes", "what is new?", "later", "3 nights please"):
        assert await relayed.handed_on(said) == (False, "")
    mine, shown = await relayed.handed_on("show 1")
    assert mine
    assert "[1]" in shown
    mine, asked = await relayed.handed_on("the first is nice", quoted=listed)  # they speak to us: we ask back
    assert mine
    assert asked
    mine, told = await relayed.handed_on("deploy all", quoted=listed)
    assert mine
    assert "Live:" in told
    mine, question = await relayed.handed_on("undo")
    assert mine
    assert "Take it back?" in question
    assert await relayed.handed_on("is breakfast included?") == (False, "")  # an open question is no reason to answer
    mine, told = await relayed.handed_on("yes")
    assert mine
    assert "Taken back" in told


async def test_what_is_handed_on_twice_gets_the_same_answer_and_is_done_once(relayed: Office) -> None:
    await relayed.morning()
    event = relayed.phones.write(DANA, "deploy all")
    answers = [await relayed.phones.post(RELAY_PATH, event, RELAY_KEY)]
    await relayed.work()
    answers += [await relayed.phones.post(RELAY_PATH, event, RELAY_KEY) for _ in range(2)]
    await relayed.work()
    assert [one.json() for one in answers] == [{"mine": True}] * 3
    assert relayed.green_api.whatsapp.read(DANA).count("Approved:") == 1


async def test_an_answer_that_is_handed_on_again_stays_ours_when_the_question_is_closed(relayed: Office) -> None:
    await relayed.morning()
    await relayed.handed_on("deploy all")
    await relayed.handed_on("undo")
    event = relayed.phones.write(DANA, "yes")
    for _ in range(2):
        assert (await relayed.phones.post(RELAY_PATH, event, RELAY_KEY)).json() == {"mine": True}
        await relayed.work()


async def test_what_is_said_to_the_agent_by_anyone_else_is_none_of_ours(relayed: Office) -> None:
    await relayed.morning()
    theirs = Message("3EB0AGENT", DANA, "33600000000@c.us", "Your room is booked.", True)
    for mine in (
        await relayed.handed_on("deploy all", person=EVE),
        await relayed.handed_on("deploy all", forwarded=True),
        await relayed.handed_on("deploy all", quoted=theirs),
        await relayed.handed_on("deploy all", group=TEAM),
    ):
        assert mine == (False, "")
    assert not await relayed.world.deployments()


async def test_the_one_group_that_is_allowed(opens: Opens) -> None:
    async with opens(public_url=PUBLIC_URL, whatsapp_allowed_chat_id=TEAM) as office:
        await office.morning()
        assert ": status" in await office.hears("status", group=TEAM)
        assert not await office.hears("shall we have lunch?", group=TEAM)
        assert not await office.hears("status", group=TEAM, person=EVE)
        assert not await office.hears("status", group="120363000000000000@g.us")


@pytest.mark.parametrize("key", [None, "", "wrong", RELAY_KEY[:-1], "\u00e9"])
async def test_who_does_not_have_the_key_hands_nothing_on(relayed: Office, key: str | None) -> None:
    await relayed.morning()
    headers = [(b"Authorization", f"Bearer {key}".encode())] if key is not None else []
    body = relayed.phones.write(DANA, "deploy all")
    answer = await relayed.phones.client.post(RELAY_PATH, json=body, headers=headers)
    await relayed.work()
    assert answer.status_code == 401
    assert not await relayed.world.deployments()


async def test_forged_truncated_and_oversized_deliveries_are_refused_and_nothing_is_written(office: Office) -> None:
    await office.morning()
    held = office.green_api.whatsapp.settings
    path, token = held["webhookUrl"].removeprefix(PUBLIC_URL), held["webhookUrlToken"]
    body = office.phones.write(DANA, "deploy all")
    post = office.phones.post
    assert (await post(path, body, None)).status_code == 401
    assert (await post(path, body, "forged")).status_code == 401
    assert (await post(f"{path[:-1]}_", body, token)).status_code == 404
    assert (await post("/green-api/relay", body, token)).status_code == 404
    assert (await post(path, b'{"typeWebhook": "incomingMessageRec', token)).status_code == 400
    assert (await post(path, b"\xff\xfe", token)).status_code == 400
    assert (await post(path, b"[" * 100_000, token)).status_code == 400
    assert (await post(path, b"[]", token)).status_code == 400
    assert (await post(path, b" " * 1_100_000, token)).status_code == 413
    await office.work()
    assert not await office.world.deployments()


async def test_what_is_delivered_again_is_done_once(office: Office) -> None:
    await office.morning()
    event = office.phones.write(DANA, "deploy all")
    for _ in range(3):
        await office.phones.deliver(event)
    await office.work()
    assert office.green_api.whatsapp.read(DANA).count("Approved:") == 1


async def test_what_lies_in_the_queue_survives_a_bot_that_breaks(opens: Opens) -> None:
    async with opens() as office:
        await office.morning()
        await office.phones.deliver(office.phones.write(DANA, "status"))
        await office.polled()  # kept and deleted; not answered yet
    async with opens() as office:
        assert ": status" in office.said()[-1].text


async def test_forwards_pictures_and_reactions_are_no_commands(office: Office) -> None:
    listed = await office.morning()
    assert "forwarded" in await office.hears("deploy all", forwarded=True)
    before = len(office.said())
    whatsapp, phones = office.green_api.whatsapp, office.phones
    for data in (
        {"typeMessage": "reactionMessage", "extendedTextMessageData": {"text": "\U0001f44d"},
         "quotedMessage": {"stanzaId": listed.id}},
        {"typeMessage": "pollUpdateMessage", "pollMessageData": {"stanzaId": listed.id, "votes": []}},
        {"typeMessage": "editedMessage", "editedMessageData": {"textMessage": "deploy all"}},
    ):  # fmt: skip
        await phones.deliver(phones.body(Message(whatsapp.id(), DANA, DANA, "", False), data))
    for kind in ("outgoingMessageReceived", "outgoingAPIMessageReceived"):
        message = Message(whatsapp.id(), DANA, DANA, "", False)
        await phones.deliver(
            phones.body(message, {"typeMessage": "textMessage", "textMessageData": {"textMessage": "deploy all"}}, kind)
        )
    await office.work()
    assert len(office.said()) == before
    picture = {"typeMessage": "imageMessage", "fileMessageData": {"downloadUrl": "https://x", "caption": ""}}
    await phones.deliver(phones.body(Message(whatsapp.id(), DANA, DANA, "", False), picture))
    await office.work()
    assert "text alone" in office.said()[-1].text
    assert not await office.world.deployments()


async def test_what_is_not_delivered_is_kept_in_words(office: Office) -> None:
    listed = await office.morning()
    await office.phones.deliver(office.phones.status(listed, "delivered"))
    await office.phones.deliver(office.phones.status(listed, "noAccount"))
    await office.phones.deliver(office.phones.status(Message("3EB0OTHER", DANA, DANA, "", True), "failed"))
    (told,) = await office.service.deliveries.troubled(AGENT)
    assert told.error == f"not delivered to {DANA}: that number is not on WhatsApp"


async def test_a_number_that_is_not_connected_is_told_once_and_nothing_is_lost(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    await office.work()
    office.green_api.whatsapp.state = "notAuthorized"
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await office.polled()
        await office.world.day()
        await office.world.run()
        await office.work()
        assert not office.green_api.asked("sendMessage")  # it would lie in the bridge's queue, as if it were sent
        office.green_api.whatsapp.state = "authorized"
        office.world.clock.advance(timedelta(seconds=3))
        await office.work()
    assert "Reply:" in office.said()[-1].text
    told = [one for one in caplog.messages if one.startswith("The WhatsApp number")]
    assert [one.split(" (")[0] for one in told] == [
        "The WhatsApp number is not connected",
        "The WhatsApp number is connected again.",
    ]


async def test_the_state_that_the_bridge_tells_counts_at_once(office: Office) -> None:
    office.green_api.whatsapp.state = "blocked"
    event = {"typeWebhook": "stateInstanceChanged", "stateInstance": "blocked", "timestamp": 1772000000}
    await office.phones.deliver(event)
    await office.world.day()
    await office.world.run()
    while await office.service.once():
        pass
    (told,) = await office.service.deliveries.troubled(AGENT)
    assert told.state == "failed"
    assert "blocked" in str(told.error)


async def test_a_busy_bridge_is_waited_for(office: Office) -> None:
    office.green_api.retry_after = "7"
    office.green_api.fails(Fault.limited)
    assert not await office.hears("status")
    office.world.clock.advance(timedelta(seconds=8))
    await office.work()
    assert len(office.said()) == 1


async def test_the_doctor_says_how_the_number_is_heard_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with green_api() as space:
        values = {"INSTANCE_ID": INSTANCE, "TOKEN": TOKEN, "URL": space.url}
        for name, value in values.items():
            monkeypatch.setenv(f"GREEN_API_{name}", value)
        for state, url, words in (
            ("authorized", "", "number authorized; heard out of its queue."),
            ("authorized", "https://agent.example.com", "let its handler hand on"),
            ("notAuthorized", "", "The WhatsApp number is not connected ('notAuthorized'); pair it again"),
        ):
            space.whatsapp.state, space.whatsapp.settings["webhookUrl"] = state, url
            assert await look_at_whatsapp(load_settings()) == 0
            assert words in capsys.readouterr().out
        assert not space.asked("setSettings")
        monkeypatch.setenv("GREEN_API_TOKEN", "0123456789abcdefwrong")
        assert await look_at_whatsapp(load_settings()) != 0
        told = capsys.readouterr().err
        assert "check GREEN_API_INSTANCE_ID" in told
        assert "0123456789abcdefwrong" not in told


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"green_api_token": None}, "GREEN_API_TOKEN"), ({"green_api_url": "1101.api"}, "GREEN_API_URL")],
)
async def test_what_is_missing_is_named_at_the_start(
    database: Database, changes: dict[str, str | None], named: str
) -> None:
    given = {"green_api_instance_id": INSTANCE, "green_api_token": TOKEN, **changes}
    world = World(database, Settings(environment=Environment(**given), file=FileSettings()))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match=named):
        async with open_service(world.ratchet):
            pass
