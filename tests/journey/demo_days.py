"""The demo's agent, its traffic and its prompts, played day by day on a database of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.cards.layout import as_text
from bot.conversation.speaker import Speaker
from bot.conversation.talk import Conversation
from bot.demo import prompts, traffic
from bot.demo.run import FIRST_RUN
from bot.demo.tools import TOOLS
from bot.demo.traffic import AGENT, ENVIRONMENT, LivePrompt
from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.observe.ingest import import_file
from optimizer.observe.register import register_prompts
from optimizer.records.window import Window
from optimizer.settings import Environment, Settings
from optimizer.wiring import Ratchet, wire

DAY = timedelta(hours=24)
HISTORY_DAYS = 8  # enough for the findings of the demo's first day
SEED = 7


class DemoDays:
    """`morning` is a day of traffic, a run and the message; `say` is what the person answers."""

    def __init__(self, database: Database, folder: Path, actor: str) -> None:
        self.actor = actor
        self.clock = ManualClock(traffic.run_time(FIRST_RUN))
        people = People(frozenset({actor}), frozenset({actor}))
        self.ratchet: Ratchet = wire(Settings(environment=Environment()), database, self.clock, lambda agent: people)
        self._file = folder / "traffic.jsonl"
        self._days = 0

    async def begin(self) -> str:
        ratchet = self.ratchet
        await ratchet.agents.register(AGENT, at=self.clock.now(), environment=ENVIRONMENT, tools=TOOLS)
        await self.edit_prompts({"playbooks": prompts.PLAYBOOKS, "master_system_core": prompts.MASTER_SYSTEM_CORE})
        await self._load(traffic.history(FIRST_RUN, await self._live(), seed=SEED, days=HISTORY_DAYS))
        return await self._run()

    async def morning(self) -> str:
        self._days += 1
        self.clock.advance(DAY)
        day = FIRST_RUN + self._days * DAY
        await self._load(traffic.day_of_traffic(day, await self._live(), seed=SEED, first_run=FIRST_RUN))
        return await self._run()

    async def say(self, text: str) -> str:
        return "\n".join([as_text(card) for card in await self._conversation.say(text)])

    async def edit_prompts(self, texts: dict[str, str]) -> None:
        """By hand, past any approval."""
        ratchet = self.ratchet
        await register_prompts(
            texts, AGENT, {}, ratchet.registry_of(AGENT), ratchet.agents, ratchet.audit, ratchet.clock
        )

    async def _run(self) -> str:
        now = self.clock.now()
        await self.ratchet.runs.optimize(AGENT, Window(since=now - DAY, until=now))
        self._conversation = Conversation(self.ratchet, Speaker(AGENT, "console", "terminal", self.actor))
        return "\n".join([as_text(card) for card in await self._conversation.open()])

    async def _live(self) -> dict[str, LivePrompt]:
        refs = self.ratchet.prompts.refs(await self.ratchet.agents.get(AGENT))
        held = await self.ratchet.prompts.current(AGENT, refs)
        return {name: LivePrompt(version.text, version.version) for name, version in held.items()}

    async def _load(self, lines: Iterable[dict[str, Any]]) -> None:
        self._file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        async for report in import_file(self._file, self.ratchet.traces, self.clock, agent=AGENT):
            assert not report.refused
