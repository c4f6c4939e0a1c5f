"""The channels that the contract is held against: each with a way to read the chat, and to make its vendor fail."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

from bot.channels.console import CHAT, Console
from bot.channels.green_api.api import open_api as open_green_api
from bot.channels.green_api.channel import GreenApiChannel
from bot.channels.green_api.instance import Instance, webhook_of
from bot.channels.port import Channel
from bot.channels.slack.channel import open_slack
from bot.terminal.plain import PlainScreen
from tests.simulators import green_api
from tests.simulators.slack import BOT_TOKEN, Fault, slack

ANSWER_SECONDS = 0.5  # of a channel over a simulator that does not answer


class Trouble(Enum):
    """What may happen to the next message, in the words of no vendor."""

    busy = auto()  # too many messages; one may come after 7 seconds
    failed = auto()  # an error of the server's, nothing done
    failed_after = auto()  # sent, and an error of the server's
    lost = auto()  # the connection broke, nothing done
    lost_after = auto()  # sent, and the connection broke
    silent_after = auto()  # sent, and no answer comes
    refused = auto()  # the form of the message is at fault
    locked_out = auto()  # our key is not taken any more
    gone = auto()  # the chat is no more


@dataclass(frozen=True)
class Kit:
    """One channel with one chat. `read` is what a person sees there; `messages` how many messages of ours are there."""

    channel: Channel
    identity: str
    chat: str
    read: Callable[[], str]
    messages: Callable[[], int]
    fails: Mapping[Trouble, Callable[[], None]]
    can_look: bool = False  # `sent` finds what a lost answer left unrecorded
    secrets: tuple[str, ...] = ()
    pings: Callable[[], list[str]] = list  # what in our messages would call people, or be a link under other words


@asynccontextmanager
async def on_a_terminal() -> AsyncIterator[Kit]:
    shown = io.StringIO()
    screen = PlainScreen(shown)
    console = Console(screen, keyboard=None)  # pyright: ignore[reportArgumentType]
    said = 0

    async def send(*args: object, **values: object) -> str:
        nonlocal said
        said += 1
        return await sends(*args, **values)  # pyright: ignore[reportArgumentType]

    sends, console.send = console.send, send  # pyright: ignore[reportAttributeAccessIssue]
    yield Kit(console, "console:dana", CHAT, shown.getvalue, lambda: said, {})


@asynccontextmanager
async def in_slack() -> AsyncIterator[Kit]:
    with slack() as space:
        user = space.workspace.add_user("U0DANA", "dana")
        chat = space.workspace.direct(user)

        def next_one(fault: Fault) -> Callable[[], None]:
            return lambda: space.fails("chat.postMessage", fault)

        def leaves() -> None:
            space.workspace.channels.pop(chat)

        fails = {
            Trouble.busy: next_one(Fault.limited),
            Trouble.failed: next_one(Fault.failed),
            Trouble.failed_after: next_one(Fault.failed_after),
            Trouble.lost: next_one(Fault.dropped),
            Trouble.lost_after: next_one(Fault.dropped_after),
            Trouble.silent_after: next_one(Fault.slow),
            Trouble.refused: next_one(Fault.invalid_blocks),
            Trouble.locked_out: next_one(Fault.revoked),
            Trouble.gone: leaves,
        }
        space.retry_after = "7"
        async with open_slack(BOT_TOKEN, space.url, answer_seconds=ANSWER_SECONDS) as channel:
            yield Kit(
                channel,
                f"slack:{user}",
                chat,
                lambda: space.workspace.read(chat, user),
                lambda: len(space.workspace.channels.get(chat, [])),
                fails,
                can_look=True,
                secrets=(BOT_TOKEN,),
                pings=lambda: space.workspace.pings(chat),
            )


@asynccontextmanager
async def on_whatsapp_by_green_api() -> AsyncIterator[Kit]:
    chat, token = "33600000001@c.us", green_api.TOKEN
    with green_api.green_api() as space:
        space.retry_after = "7"

        def next_one(fault: green_api.Fault) -> Callable[[], None]:
            return lambda: space.fails(fault)

        fails = {
            Trouble.busy: next_one(green_api.Fault.limited),
            Trouble.failed: next_one(green_api.Fault.failed),
            Trouble.failed_after: next_one(green_api.Fault.failed_after),
            Trouble.lost: next_one(green_api.Fault.dropped),
            Trouble.lost_after: next_one(green_api.Fault.dropped_after),
            Trouble.silent_after: next_one(green_api.Fault.slow),
            Trouble.refused: next_one(green_api.Fault.invalid),
            Trouble.locked_out: next_one(green_api.Fault.revoked),
        }
        async with open_green_api(green_api.INSTANCE, token, space.url, answer_seconds=ANSWER_SECONDS) as api:
            yield Kit(
                GreenApiChannel(api, Instance(api, webhook_of(token, None))),
                "whatsapp:+33600000001",
                chat,
                lambda: space.whatsapp.read(chat),
                lambda: len(space.whatsapp.chat(chat)),
                fails,
                secrets=(token,),
            )


KITS: dict[str, Callable[[], AbstractAsyncContextManager[Kit]]] = {
    "console": on_a_terminal,
    "slack": in_slack,
    "green_api": on_whatsapp_by_green_api,
}
