"""Every reply that is offered is sent, each in a telling of the same story of its own.

One step deep; TEST_DEPTH=2 follows what is offered then, too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from psycopg.conninfo import conninfo_to_dict

from bot.cards.card import Line
from optimizer.db.postgres import PostgresDatabase
from tests.journey.hotel import CORE
from tests.journey.world import DANA, DAY, SAM, Chat, World
from tests.plugins.database import TEMPLATE, copy_of

_DEPTH = int(os.environ.get("TEST_DEPTH", "1"))
# How an answer begins that asks back, or does nothing for the one who did as they were told.
_DEAD_ENDS = (
    "I do not", "I cannot", "There is no ", "Which ", "What should", "That ", "Nothing of that", "Nothing is under way",
    "You have not seen", "You are not", "These ", "None of that", "The content is not", "A yes alone", "A no alone",
    "A newer list", "Nothing that I deployed is live, so", "Only people who",
)  # fmt: skip


async def _nothing(world: World) -> None:
    """The list as it stands."""


async def _prompt_changed(world: World) -> None:
    await world.edit_prompts({"core": CORE.replace("# Front desk", "# Front desk of the Heron")})


async def _too_late(world: World) -> None:
    world.clock.advance(4 * DAY)


async def _next_day(world: World) -> None:
    await world.day(seed=2)
    await world.run()


Meanwhile = Callable[[World], Awaitable[None]]
_STORIES: tuple[tuple[Meanwhile, tuple[str, ...]], ...] = (
    (_nothing, ()),
    (_nothing, ("show 3",)),
    (_nothing, ("tell me more about 2",)),
    (_nothing, ("deploy 1",)),
    (_nothing, ("deploy all",)),
    (_nothing, ("deploy all", "show 3")),
    (_nothing, ("deploy all", "undo")),
    (_nothing, ("deploy all", "rollback")),
    (_nothing, ("skip",)),
    (_nothing, ("remove 3", "show 3")),
    (_nothing, ("remove 3", "deploi all perhaps")),
    (_prompt_changed, ("deploy 3",)),
    (_too_late, ("deploy all",)),
    (_too_late, ("status",)),
    (_next_day, ("deploy all",)),
)


# Who only looks and takes back is offered less: the stories in which that shows.
_LOOKED_AT: tuple[tuple[Meanwhile, tuple[str, ...]], ...] = (
    (_nothing, ("show 3",)),
    (_nothing, ("undo",)),
    (_too_late, ("status",)),
    (_next_day, ("show all",)),
)


@pytest.fixture(scope="module")
def morning(server_dsn: str) -> Iterator[str]:
    """The name of a database with a day of traffic and its session, to which nobody is connected."""
    with copy_of(TEMPLATE, server_dsn) as dsn:
        asyncio.run(_begin(dsn))
        yield str(conninfo_to_dict(dsn)["dbname"])


async def _begin(dsn: str) -> None:
    async with _opened(dsn) as database:
        await (await World.begin(database)).morning()


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(dsn, connections_max=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("actor", "meanwhile", "said"),
    [(DANA, *story) for story in _STORIES] + [(SAM, *story) for story in _LOOKED_AT],
)
async def test_what_is_offered_leads_somewhere(
    actor: str, meanwhile: Meanwhile, said: tuple[str, ...], server_dsn: str, morning: str
) -> None:
    async def told(*more: str) -> Chat:
        with copy_of(morning, server_dsn) as dsn:
            async with _opened(dsn) as database:
                world = World(database)
                world.clock.advance(DAY)
                chat = world.chat(actor)
                await chat.open()
                await meanwhile(world)
                for words in (*said, *more):
                    await chat.say(words)
                return chat

    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop()
        chat = await told(*path)
        if path:
            _leads_somewhere(chat)
        if len(path) < _DEPTH:
            waiting += [(*path, choice) for choice in dict.fromkeys(chat.offered)]


def _leads_somewhere(chat: Chat) -> None:
    for card in chat.answer:
        opening = next((block.text for block in card.blocks if isinstance(block, Line)), "")
        assert not opening.startswith(_DEAD_ENDS), chat.told
