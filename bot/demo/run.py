"""The demo's two days: traffic, run, conversation, deployment, and the measured difference the next day."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import date, timedelta
from pathlib import Path

from bot.cards.card import Card, Heading, Line, Note
from bot.channels.console import Console
from bot.commands.chat import console_speaker
from bot.conversation.talk import Conversation
from bot.demo import prompts, traffic
from bot.demo.tools import TOOLS
from bot.demo.traffic import AGENT, ENVIRONMENT, LivePrompt
from bot.identity import console_actor
from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import RatchetError
from optimizer.observe.ingest import import_file
from optimizer.observe.register import register_prompts
from optimizer.records.states import LIVE, SessionState
from optimizer.records.window import Window
from optimizer.settings import Environment, Settings
from optimizer.wiring import Ratchet, wire

FIRST_RUN = date(2026, 2, 26)
_DAY = timedelta(hours=24)
_TEXTS = {"playbooks": prompts.PLAYBOOKS, "master_system_core": prompts.MASTER_SYSTEM_CORE}


async def run_demo(home: Path, console: Console, seed: int) -> bool:
    """Plays the demo in `home`, from the beginning each time; True when it came to the second day.

    Raises `RatchetError` when another demo is playing there.
    """
    with _alone(home):
        async with _open(home) as ratchet:
            return await _Demo(ratchet, console, home, seed).play()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RatchetError(
                f"Another demo is playing in {str(home)!r}; finish that one, or set RATCHET_HOME to another folder."
            ) from error
        yield


@asynccontextmanager
async def _open(home: Path) -> AsyncGenerator[Ratchet]:
    """An embedded database that holds nothing of an earlier demo, and a clock that stands at the first run."""
    server = await asyncio.to_thread(open_embedded, home)
    try:
        await asyncio.to_thread(migrate.start_over, server.dsn)
        database = PostgresDatabase(server.dsn, revive=server.ensure)
        await database.open()
        try:
            actor = console_actor()
            people = People(frozenset({actor}), frozenset({actor}))
            settings = Settings(environment=Environment(ratchet_home=home))
            clock = ManualClock(traffic.run_time(FIRST_RUN))
            yield wire(settings, database, clock, lambda agent: people)
        finally:
            await database.close()
    finally:
        server.close()


class _Demo:
    def __init__(self, ratchet: Ratchet, console: Console, home: Path, seed: int) -> None:
        self._ratchet = ratchet
        self._console = console
        self._home = home
        self._seed = seed
        self._conversation = Conversation(ratchet, console_speaker(AGENT))

    async def play(self) -> bool:
        await self._first_day()
        if not await self._talk(until_live=True):
            await self._say(Note("Nothing was deployed, so there is no difference to measure. Come back any time."))
            return False
        await self._second_day()
        await self._talk(until_live=False)
        return True

    async def _first_day(self) -> None:
        await self._say(
            Heading("Day one"),
            Line(f"{AGENT} writes articles for a blog: 30 days of traffic, {traffic.SESSIONS_PER_DAY} sessions a day."),
        )
        ratchet = self._ratchet
        await ratchet.agents.register(AGENT, at=ratchet.clock.now(), environment=ENVIRONMENT, tools=TOOLS)
        await register_prompts(
            _TEXTS, AGENT, {}, ratchet.registry_of(AGENT), ratchet.agents, ratchet.audit, ratchet.clock
        )
        live = await self._live_prompts()
        await self._load("30 days of traffic", traffic.history(FIRST_RUN, live, seed=self._seed), traffic.HISTORY_DAYS)
        await self._run()

    async def _second_day(self) -> None:
        clock = self._ratchet.clock
        assert isinstance(clock, ManualClock)
        clock.advance(_DAY)
        await self._say(Heading("Day two"), Line("A day of traffic under the new prompt, and the next run."))
        lines = traffic.day_of_traffic(
            FIRST_RUN + _DAY, await self._live_prompts(), seed=self._seed, first_run=FIRST_RUN
        )
        await self._load("one day of traffic", lines, 1)
        await self._run()

    async def _load(self, what: str, lines: Iterable[dict[str, object]], days: int) -> None:
        """Writes the traffic as trace lines and imports the file, as an agent's owner would."""
        path = self._home / "traffic.jsonl"
        async with self._console.progress(f"Simulating {what}", days * traffic.SESSIONS_PER_DAY) as step:
            try:
                with path.open("w", encoding="utf-8") as file:
                    for number, line in enumerate(lines, 1):
                        file.write(json.dumps(line) + "\n")
                        if number % traffic.SESSIONS_PER_DAY == 0:
                            step.advance(traffic.SESSIONS_PER_DAY)
                            await asyncio.sleep(0)
            except OSError as error:
                raise RatchetError(
                    f"The demo cannot write {str(path)!r} ({error.strerror}); mend that, or set RATCHET_HOME to "
                    "another folder."
                ) from error
        async with self._console.progress(f"Importing {what}", path.stat().st_size) as step:
            read = 0
            async with aclosing(import_file(path, self._ratchet.traces, self._ratchet.clock, agent=AGENT)) as reports:
                async for report in reports:
                    step.advance(report.bytes_read - read)
                    read = report.bytes_read
        path.unlink()

    async def _run(self) -> None:
        now = self._ratchet.clock.now()
        async with self._console.progress("Reading the traces, looking for what costs accuracy, capability and money"):
            await self._ratchet.runs.optimize(AGENT, Window(since=now - _DAY, until=now))
        for card in await self._conversation.open():
            await self._console.say(card)

    async def _talk(self, *, until_live: bool) -> bool:
        """Talks until the list is answered or the person leaves; with `until_live`, whether something is live then."""
        while (reply := await self._console.read()) is not None:
            for card in await self._conversation.say(reply):
                await self._console.say(card)
            session = self._conversation.session
            answered = session is not None and session.state is not SessionState.pending
            if until_live and answered and await self._live():
                return True
        return until_live and await self._live()

    async def _live(self) -> bool:
        return any(one.state in LIVE for one in await self._ratchet.deployments.newest(AGENT))

    async def _live_prompts(self) -> dict[str, LivePrompt]:
        refs = self._ratchet.prompts.refs(await self._ratchet.agents.get(AGENT))
        held = await self._ratchet.prompts.current(AGENT, refs)
        return {name: LivePrompt(version.text, version.version) for name, version in held.items()}

    async def _say(self, *blocks: Heading | Line | Note) -> None:
        await self._console.say(Card("", blocks))
