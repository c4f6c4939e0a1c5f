"""A story's world: one agent with its traffic, a clock that is moved by hand, and people who talk to the bot."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bot.cards.card import Card
from bot.cards.layout import as_text
from bot.conversation.commands import Question
from bot.conversation.grammar import parse
from bot.conversation.orders import pending_items
from bot.conversation.speaker import Speaker
from bot.conversation.talk import Conversation
from optimizer.approve.door import Said
from optimizer.approve.machine import Kind, Order
from optimizer.approve.people import People
from optimizer.clock import Clock, ManualClock, iso
from optimizer.db.port import Database
from optimizer.observe.ingest import import_file
from optimizer.observe.register import register_prompts
from optimizer.records.deployment import Deployment
from optimizer.records.edits import Edit
from optimizer.records.findings import Goal, ItemType, content_sha256
from optimizer.records.report import RunReport
from optimizer.records.session import Header, Item, Session
from optimizer.records.window import Window
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from optimizer.stores.audit import audit_body
from optimizer.wiring import Ratchet, wire
from tests.journey import hotel
from tests.journey.hotel import AGENT

START = datetime(2026, 2, 26, 6, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
DANA, SAM, EVE = "console:dana", "console:sam", "console:eve"
PEOPLE = People(approvers=frozenset({DANA}), listed=frozenset({DANA, SAM}))
_NAMES = {DANA: "Dana", SAM: "Sam", EVE: "Eve"}


@dataclass
class Chat:
    """What one person says and sees. Every reply that a card offers is checked when the card is shown."""

    world: World
    conversation: Conversation
    speaker: Speaker
    transcript: list[str] = field(default_factory=list[str])
    answer: tuple[Card, ...] = ()  # the last one

    async def open(self) -> str:
        return await self._shown(await self.conversation.open())

    async def say(self, text: str) -> str:
        """The answer as the person reads it, in one line: where rows break is not the stories' business."""
        self.transcript.append(f"> {text}")
        return await self._shown(await self.conversation.say(text))

    @property
    def offered(self) -> list[str]:
        return [choice for card in self.answer for choice in card.choices]

    async def _shown(self, cards: tuple[Card, ...]) -> str:
        self.answer = cards
        text = "\n\n".join(as_text(card) for card in cards)
        self.transcript.append(text)
        for card in cards:
            for choice in card.choices:
                await self._must_work(choice)
        return " ".join(text.split())

    async def _must_work(self, choice: str) -> None:
        """An offered reply is an order that is clear, or the answer to a question that is open."""
        answer = parse(choice, pending_items(self.conversation.session), await self.world.names())
        if isinstance(answer, Question) and answer.acknowledgement is not None:
            speaker = self.speaker
            now = self.world.clock.now()
            asked = await self.world.ratchet.questions.open(speaker.channel, speaker.chat, speaker.actor, now)
            assert asked is not None, f"{choice!r} was offered, and no question is open:\n{self.told}"
            return
        assert not isinstance(answer, Question), f"{choice!r} was offered and is not understood:\n{self.told}"

    @property
    def told(self) -> str:
        return "\n\n".join(self.transcript)


@dataclass
class Proposed:
    """An item of a session that is saved by hand."""

    title: str
    edits: tuple[Edit, ...] = ()
    goal: Goal = Goal.cost
    requires: tuple[int, ...] = ()  # numbers of others


class World:
    """Begins with the prompts in the registry, and no traffic."""

    def __init__(self, database: Database, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.clock = ManualClock(START)
        self.people = PEOPLE
        self.ratchet: Ratchet = wire(
            settings or Settings(environment=Environment()), database, clock or self.clock, lambda agent: self.people
        )

    @classmethod
    async def begin(cls, database: Database, follow: str = "label") -> World:
        world = cls(database, None if follow == "label" else _following(follow))
        await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=hotel.TOOLS)
        await world.edit_prompts(hotel.PROMPTS)
        return world

    # ---- what happens outside

    async def edit_prompts(self, texts: Mapping[str, str]) -> None:
        """The developer imports prompts, past any approval."""
        ratchet = self.ratchet
        await register_prompts(
            texts, AGENT, {}, ratchet.registry_of(AGENT), ratchet.agents, ratchet.audit, ratchet.clock
        )

    async def day(self, **traffic: Any) -> None:
        """24 hours of traffic under what the registry holds."""
        held, since = await self.held(), self.clock.now()
        lines = hotel.day_of_traffic(
            {name: one.text for name, one in held.items()},
            {name: one.version for name, one in held.items()},
            since,
            **traffic,
        )
        self.clock.advance(DAY)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
            file.flush()
            async for report in import_file(Path(file.name), self.ratchet.traces, self.clock, agent=AGENT):
                assert not report.refused, report.refused

    async def run(self, slot: str | None = None) -> RunReport:
        now = self.clock.now()
        return await self.ratchet.runs.optimize(AGENT, Window(since=now - DAY, until=now), slot=slot)

    def chat(self, actor: str = DANA, chat: str = "") -> Chat:
        speaker = Speaker(AGENT, "console", chat or actor, actor)
        return Chat(self, Conversation(self.ratchet, speaker, _NAMES), speaker)

    async def morning(self, actor: str = DANA, **traffic: Any) -> Chat:
        """A day of traffic, a run, and the message on the person's phone."""
        await self.day(**traffic)
        await self.run()
        chat = self.chat(actor)
        await chat.open()
        return chat

    # ---- what a session holds that no rule would propose

    async def propose(self, *proposed: Proposed, waits: timedelta = 3 * DAY) -> Session | None:
        """Saves a session with these items, as a run would; None when another run is in the way."""
        now, held = self.ratchet.clock.now(), await self.held()
        run_id, session_id, worker = uuid4(), uuid4(), f"by-hand {uuid4()}"
        window = Window(since=now - DAY, until=now)
        sessions = self.ratchet.sessions
        if not (await sessions.start_run(run_id, AGENT, None, window, worker, 2, now))["started"]:
            return None
        ids = [uuid4() for _ in proposed]
        rows = [
            _row(n, one, ids, {name: one.sha256 for name, one in held.items()}) for n, one in enumerate(proposed, 1)
        ]
        session = {
            "id": str(session_id),
            "environment": "prod",
            "expires_at": iso(now + waits),
            "facts": [],
            "header": {"span": "24h", "sessions": 0, "cost_usd_mean": None},
            "watching": [],
            "dropped": [],
        }
        named = [{"n": row["n"], "id": row["id"]} for row in rows]
        audit = audit_body("run", at=iso(now), run_id=str(run_id), status="pending", items=named)
        notice = {"kind": "session_pending", "session_id": str(session_id), "actor": None, "body": {}}
        report = RunReport(
            agent=AGENT,
            window=window,
            status="pending",
            header=Header.model_validate(session["header"]),
            facts=(),
            items=tuple(rows),
            watching=(),
            dropped=(),
        )
        if not await sessions.save(run_id, worker, session, rows, report.model_dump(mode="json"), [notice], audit, now):
            return None
        return await self.session()

    @staticmethod
    def edit(line: str, n: int) -> Edit:
        """A change of one word of a line of the core, another one for each `n` below 35."""
        words = line.removesuffix(".").split(" ")
        at = 1 + n // 10
        return Edit(prompt="core", find=f"{line}\n", replace=f"{' '.join([*words[:at], 'indeed', *words[at:]])}.\n")

    async def approve(self, *numbers: int) -> None:
        """Dana's yes, before any process carries it out."""
        session = await self.session()
        wanted = [item for item in session.items if item.n in numbers]
        decided = await self.ratchet.decisions.decide(
            session,
            [Order(Kind.approve, frozenset(item.id for item in wanted))],
            Said(DANA, "console", DANA, "deploy", "deploy"),
            shown={item.id: item.content_sha256 for item in wanted},
        )
        assert decided.refusal is None

    # ---- what is true now

    async def deployments(self) -> tuple[Deployment, ...]:
        return await self.ratchet.deployments.newest(AGENT)

    async def held(self) -> dict[str, Any]:
        """The prompts as the agent gets them."""
        prompts = self.ratchet.prompts
        return dict(await prompts.current(AGENT, prompts.refs(await prompts.declared(AGENT))))

    async def names(self) -> tuple[str, ...]:
        """What the prompts of the agent are called."""
        prompts = self.ratchet.prompts
        return tuple(prompts.refs(await prompts.declared(AGENT)))

    async def live(self) -> dict[str, int]:
        return {name: one.version for name, one in (await self.held()).items()}

    async def text(self, prompt: str = "core") -> str:
        return (await self.held())[prompt].text

    async def session(self) -> Session:
        session = await self.ratchet.sessions.newest(AGENT)
        assert session is not None
        return session

    async def item(self, n: int) -> Item:
        item = (await self.session()).numbered(n)
        assert item is not None
        return item

    async def number(self, words: str) -> int:
        """The number under which something is proposed now."""
        return next(item.n for item in (await self.session()).items if words in item.title)

    async def states(self) -> dict[int, str]:
        return {item.n: item.state.value for item in (await self.session()).items}

    async def published(self, prompt: str = "core") -> int:
        return len(await self.ratchet.registry_of(AGENT).history(prompt))

    async def chain_holds(self) -> bool:
        return (await self.ratchet.audit.verify(AGENT)).problem is None


def _row(n: int, one: Proposed, ids: Sequence[UUID], bases: Mapping[str, str]) -> dict[str, Any]:
    type_ = ItemType.prompt_change if one.edits else ItemType.code_change
    return {
        "id": str(ids[n - 1]),
        "n": n,
        "key": f"by_hand:{one.title}",
        "rule": "by_hand",
        "goal": one.goal.value,
        "type": type_.value,
        "title": one.title,
        "detail": one.title,
        "facts": [],
        "edits": [edit.model_dump() for edit in one.edits],
        "base_sha256": {edit.prompt: bases[edit.prompt] for edit in one.edits},
        "requires": [str(ids[other - 1]) for other in one.requires],
        "content_sha256": content_sha256(type_, one.edits),
        "severity": 1.0,
    }


def _following(follow: str) -> Settings:
    """What `ratchet.toml` says where the agent does not follow the label."""
    core = PromptSettings.model_validate({"follow": follow, "includes": {"HOUSE_RULES": "house_rules"}})
    rules = PromptSettings.model_validate({"follow": follow})
    section = AgentSettings(prompts={"core": core, "house_rules": rules})
    return Settings(file=FileSettings(agents={AGENT: section}), environment=Environment())


__all__ = ["AGENT", "DANA", "DAY", "EVE", "SAM", "Chat", "Proposed", "World"]
