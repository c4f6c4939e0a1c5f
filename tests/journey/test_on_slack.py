"""The session in Slack: presented, looked at, decided by click and by words, live, told on every copy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from bot.service import Service
from bot.web.app import make_app
from bot.wiring import open_service
from optimizer.approve.people import people_of
from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import World
from tests.simulators.slack import BOT_TOKEN, SIGNING_SECRET, Slack, slack
from tests.simulators.slack_events import Sender
from tests.simulators.slack_workspace import Message

DANA, SAM, CHANNEL = "U0DANA", "U0SAM", "C0OPS"


class Team:
    """People in a Slack workspace, and the bot in it."""

    def __init__(self, world: World, service: Service, space: Slack, sender: Sender) -> None:
        self.world, self.service, self.slack, self.sender = world, service, space, sender

    async def work(self) -> None:
        while await self.service.once():
            pass

    @property
    def direct(self) -> str:
        return self.slack.workspace.direct(DANA)

    def list_in(self, channel: str) -> Message:
        """The session's own message."""
        messages = self.slack.workspace.channels[channel]
        return next(one for one in reversed(messages) if any(b["value"].startswith("show") for b in one.buttons))

    async def hears(self, text: str, *, channel: str | None = None, thread: str | None = None, user: str = DANA) -> str:
        """Says it; what the bot says to that."""
        place = channel or self.direct
        before = len(self.slack.workspace.channels[place]) + 1
        await self.sender.says(user, text, channel=channel, thread=thread)
        await self.work()
        return "\n".join(one.as_seen() for one in self.slack.workspace.channels[place][before:])


@pytest.fixture
async def team(database: Database) -> AsyncIterator[Team]:
    with slack() as space:
        space.workspace.add_user(DANA, "dana")
        space.workspace.add_user(SAM, "sam")
        space.workspace.add_channel(CHANNEL)
        settings = Settings(
            environment=Environment(
                slack_bot_token=BOT_TOKEN, slack_signing_secret=SIGNING_SECRET, slack_base_url=space.url
            ),  # pyright: ignore[reportArgumentType]
            file=FileSettings(
                agents={AGENT: AgentSettings(approvers=("dana",), slack_channel=CHANNEL)},
                people={"dana": PersonSettings(slack=DANA), "sam": PersonSettings(slack=SAM)},
            ),
        )
        world = World(database, settings)
        world.people = people_of(settings, AGENT)
        await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
        await world.edit_prompts(hotel.PROMPTS)
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(open_service(world.ratchet))
            app = make_app(opened.service, opened.routers)
            transport = httpx.ASGITransport(app)
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://bot"))
            yield Team(world, opened.service, space, Sender(space, client))


async def test_from_the_morning_to_the_way_back(team: Team) -> None:
    await team.world.day()
    await team.world.run()
    await team.work()
    listed = team.list_in(team.direct)
    assert "Deploy all" in listed.as_seen()
    assert "Deploy all" in team.list_in(CHANNEL).as_seen()
    shown = await team.hears("show 1", thread=listed.ts)
    assert "[1]" in shown
    first = next(b["value"] for b in listed.buttons if b["value"].startswith("remove"))
    await team.sender.clicks(DANA, listed, first)
    await team.work()
    assert f"restore {first.split()[1]}" in [b["value"] for b in team.list_in(CHANNEL).buttons]
    assert "Live:" in await team.hears("deploy")
    assert "Deploy all" not in listed.as_seen()
    assert any(one.stands for one in await team.world.deployments())
    assert "Taken back" in await team.hears("rollback")
    print(team.slack.workspace.read(team.direct))


async def test_talk_between_people_gets_silence(team: Team) -> None:
    await team.world.day()
    await team.world.run()
    await team.work()
    listed = team.list_in(CHANNEL)
    assert not await team.hears("did you see the game yesterday?", channel=CHANNEL, thread=listed.ts)
    assert not await team.hears("deploy all", channel=CHANNEL)
    assert not await team.world.deployments()


async def test_the_same_event_again_is_the_same(team: Team) -> None:
    await team.world.day()
    await team.world.run()
    await team.work()
    await team.hears("<@UBOT> status", channel=CHANNEL)
    said = [one.as_seen() for one in team.slack.workspace.channels[CHANNEL] if ": status" in one.as_seen()]
    assert len(said) == 1
