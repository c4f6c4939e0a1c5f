"""People in a Slack workspace, and the bot in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from bot.service import Service
from bot.web.app import make_app
from bot.wiring import open_service
from optimizer.approve.people import people_of
from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import World
from tests.simulators.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Slack, slack
from tests.simulators.slack_events import Sender
from tests.simulators.slack_socket import Socket, socket
from tests.simulators.slack_workspace import Message

DANA, SAM, EVE, CHANNEL = "U0DANA", "U0SAM", "U0EVE", "C0OPS"


@dataclass
class Team:
    """Dana and Sam decide, Eve is not listed; all of them read the channel."""

    world: World
    service: Service
    slack: Slack
    sender: Sender
    link: Socket | None = None  # in socket mode

    async def morning(self) -> Message:
        """A day of traffic, what was found in it, and what is told of it; the list in Dana's direct messages."""
        await self.world.day()
        await self.world.run()
        await self.work()
        return self.list_in(self.direct)

    async def work(self) -> None:
        while await self.service.once():
            pass

    @property
    def direct(self) -> str:
        return self.slack.workspace.direct(DANA)

    def list_in(self, channel: str) -> Message:
        """The session's own message."""
        messages = self.slack.workspace.channels[channel]
        return next(one for one in reversed(messages) if any(b["text"]["text"] == "Details" for b in one.buttons))

    def values(self, channel: str) -> list[str]:
        """The replies that the buttons of the session's message stand for."""
        return [button["value"] for button in self.list_in(channel).buttons]

    async def hears(self, text: str, *, channel: str | None = None, thread: str | None = None, user: str = DANA) -> str:
        """Says it; what the bot says to that in the same place, without breaks."""
        place = channel or self.slack.workspace.direct(user)
        before = len(self.slack.workspace.channels[place]) + 1
        await self.sender.says(user, text, channel=channel, thread=thread)
        return await self._after(place, before)

    async def clicks(self, message: Message, value: str, user: str = DANA, answered_in: str | None = None) -> str:
        place = answered_in or message.channel
        before = len(self.slack.workspace.channels[place])
        await self.sender.clicks(user, message, value)
        return await self._after(place, before)

    async def home_of(self, user: str) -> str:
        """What a person reads on the bot's home tab once it is drawn."""
        async with asyncio.timeout(20):
            while user not in self.slack.workspace.homes:  # noqa: ASYNC110 - drawn in a thread of the simulator
                await asyncio.sleep(0.02)
        return Message("1.0", "home", "UBOT", "", self.slack.workspace.homes[user]["blocks"]).as_seen()

    async def _after(self, place: str, before: int) -> str:
        await self.work()
        said = self.slack.workspace.channels[place][before:]
        return " ".join("\n".join(one.as_seen() for one in said).split())


@asynccontextmanager
async def open_team(database: Database, *, reactions: bool = False, by_socket: bool = False) -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        space = stack.enter_context(slack())
        for user, name in ((DANA, "dana"), (SAM, "sam"), (EVE, "eve")):
            space.workspace.add_user(user, name)
            space.workspace.direct(user)
        space.workspace.add_channel(CHANNEL)
        link = await stack.enter_async_context(socket(space)) if by_socket else None
        keys = {"slack_app_token": APP_TOKEN} if by_socket else {"slack_signing_secret": SIGNING_SECRET}
        settings = Settings(
            environment=Environment.model_validate({"slack_bot_token": BOT_TOKEN, "slack_base_url": space.url, **keys}),
            file=FileSettings(
                agents={AGENT: AgentSettings(approvers=("dana", "sam"), slack_channel=CHANNEL, reactions=reactions)},
                people={"dana": PersonSettings(slack=DANA), "sam": PersonSettings(slack=SAM)},
            ),
        )
        world = World(database, settings)
        world.people = people_of(settings, AGENT)
        await world.ratchet.agents.register(AGENT, at=world.clock.now(), environment="prod", tools=hotel.TOOLS)
        await world.edit_prompts(hotel.PROMPTS)
        opened = await stack.enter_async_context(open_service(world.ratchet))
        transport = httpx.ASGITransport(make_app(opened.service, opened.routers))
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://bot"))
        yield Team(world, opened.service, space, Sender(space, client), link)
