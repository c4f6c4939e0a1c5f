"""One of several processes that run, decide and deploy at once: `python -m tests.journey.busy_process DSN SEED UNTIL`.

It does at random what a service does for its people, until the wall clock says UNTIL, and may be killed at any
moment. Errors that the product raises on purpose are part of a busy day; anything else ends the process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from optimizer.approve.people import People
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import RatchetError
from optimizer.records.edits import Edit
from optimizer.records.window import Window
from tests.journey.world import AGENT, DANA, DAY, SAM, START, Proposed, World

RUI = "console:rui"
LEASE_SECONDS = 2
_HOUR = timedelta(hours=1)
_WORDS = (
    "deploy all", "deploy all", "deploy all", "deploy 1", "deploy 2", "deploy 2 and 3", "remove 1, deploy",
    "remove 2", "remove 3, deploy", "restore 2", "never 2", "skip", "show all", "show 1", "status", "stop", "undo",
    "yes", "yes", "no", "rollback", "roll back 1", "snooze 2h",
)  # fmt: skip


class SharedClock:
    """Business time that all processes share: an hour passes in a second."""

    def now(self) -> datetime:
        return START + 2 * DAY + timedelta(seconds=round(time.time() % 100_000 * 3600, 3))


class Busy:
    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.ratchet = world.ratchet
        self.clock = world.ratchet.clock
        self.chats = [world.chat(actor, f"{actor} {random.random()}") for actor in (DANA, RUI, SAM)]

    async def step(self) -> None:
        doing = (self.say, self.propose, self.run, self.work, self.develop)
        (chosen,) = self.random.choices(doing, weights=(24, 4, 2, 2, 1))
        await chosen()

    async def say(self) -> None:
        chat = self.random.choice(self.chats)
        if self.random.random() < 0.5:
            await chat.conversation.open()
        await chat.conversation.say(self.random.choice(_WORDS))

    async def run(self) -> None:
        """The scheduled run of this hour: any process may be the one that does it."""
        now = self.clock.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        await self.ratchet.runs.optimize(AGENT, Window(since=START, until=START + DAY), slot=hour.isoformat())

    async def work(self) -> None:
        await self.ratchet.decisions.work()

    async def develop(self) -> None:
        """Someone changes a prompt past Ratchet, now and then."""
        if self.random.random() < 0.3:
            text = await self.world.text()
            line = next(line for line in text.splitlines() if line.startswith("You are the front desk"))
            await self.world.edit_prompts(
                {"core": text.replace(line, f"You are the front desk {self._mark()} of a hotel.")}
            )

    async def propose(self) -> None:
        core, rules = await self.world.text(), await self.world.text("house_rules")
        lines = [line for line in core.splitlines() if line.startswith("- ") and core.count(line) == 1]
        chosen = self.random.sample(lines, min(3, len(lines)))
        items = [Proposed(f"Say it {self._mark()}", (self._reworded("core", line),)) for line in chosen]
        if self.random.random() < 0.3:
            items.append(Proposed("No rules", (Edit(prompt="core", find="{{HOUSE_RULES}}\n", replace="\n"),)))
        dogs = next((line for line in rules.splitlines() if line.startswith("- Dogs")), None)
        if dogs and self.random.random() < 0.5:
            both = (self._reworded("house_rules", dogs), self._reworded("core", "## What you never do"))
            items.append(Proposed(f"In both {self._mark()}", both))
        self.random.shuffle(items)
        waits = self.random.choice((_HOUR / 2, 3 * _HOUR, 3 * DAY))
        await self.world.propose(*items, waits=waits)

    def _reworded(self, prompt: str, line: str) -> Edit:
        return Edit(prompt=prompt, find=line, replace=f"{line[:100].rstrip('.')} {self._mark()}")

    def _mark(self) -> str:
        return f"({self.random.getrandbits(32):08x})"


async def main(dsn: str, seed: int, until: float) -> None:
    database = PostgresDatabase(dsn, connections_max=3)
    await database.open()
    try:
        clock = SharedClock()
        world = World(database, clock=clock)
        world.people = People(frozenset({DANA, RUI}), frozenset({DANA, RUI, SAM}))
        ratchet = world.ratchet
        short = {"lease_seconds": LEASE_SECONDS}
        world.ratchet = replace(
            ratchet, runs=replace(ratchet.runs, **short), decisions=replace(ratchet.decisions, **short)
        )
        busy = Busy(world, Random(seed))
        while time.time() < until:
            try:
                await busy.step()
            except RatchetError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
