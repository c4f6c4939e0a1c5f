"""Rollback, undo and stop: what they mean now, and the question where it is not one thing alone."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from bot.cards.words import are, items
from bot.conversation.chat import Chat
from optimizer.approve.door import Said
from optimizer.records.deployment import Deployment
from optimizer.records.states import UNDER_WAY, ItemState
from optimizer.wiring import Ratchet

_QUESTION_MINUTES = 10
# A batch of which is told what becomes of it, a sentence, or a sentence with the replies that would work.
Answer = UUID | str | tuple[str, tuple[str, ...]]

NOT_LISTED = "You are not listed for this agent, so nothing was done; ask one of its approvers."
NOTHING_LIVE = "Nothing that I deployed is live, so there is nothing to take back."
CHANGED = "Someone else changed this deployment just now, so nothing was done; look at the status, then repeat."


class TakeBack:
    """The way back for one person in one chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ratchet = chat.ratchet

    async def asked(self, named: Sequence[int], text: str) -> Answer:
        """ "rollback", "roll back 3": the newest live deployment, or the one that holds these items."""
        if not await self._listed(text, "rollback"):
            return NOT_LISTED
        live = await self._live()
        if not live:
            return NOTHING_LIVE
        if not named:
            return await self._decide(batch_of(live, live[0]), text)
        shown = self._chat.shown.session
        wanted = {item.id for item in shown.items if item.n in named} if shown else set[UUID]()
        holding = next((one for one in live if wanted & set(one.items)), None)
        if holding is None:
            return f"{are(named)} not live, so there is nothing to take back."
        batch = batch_of(live, holding)
        held = {item for one in batch for item in one.items}
        if held == wanted:
            return await self._decide(batch, text)
        numbered = {item.id: item.n for item in shown.items} if shown else {}
        also = sorted(numbered[item] for item in held - wanted if item in numbered)
        absent = sorted(numbered[item] for item in wanted - held)
        refused = f"{are(absent)} not in it. " if absent else ""
        holds = f"also holds {items(also)}" if also else "holds just these" if wanted <= held else "holds the others"
        return await self._ask(batch, f"{refused}{_places(batch)} {holds}. Take all of it back?")

    async def undo(self, text: str) -> Answer:
        """ "undo", "stop", "wait": halts what is under way, or offers to take back what is live."""
        if not await self._listed(text, "halt"):
            return NOT_LISTED
        agent = self._chat.agent
        newest = await self._ratchet.deployments.newest(agent)
        under_way = {one.id for one in newest if one.state in UNDER_WAY}
        if under_way:
            stopped = await self._ratchet.decisions.halt(agent, self._chat.speaker.said(text, "halt"))
            newest = await self._ratchet.deployments.newest(agent)
            unsure = next((one for one in newest if one.id in under_way and one.rollback is not None), None)
            if unsure is not None:
                return unsure.batch_id  # it may be live already: told when that is known
            if stopped.halted:
                return "Halted: nothing of that goes live."
        live = await self._live()
        if not live:
            return self._nothing_to_undo()
        batch = batch_of(live, live[0])
        return await self._ask(batch, f"{_places(batch)} is live. Take it back?")

    async def answered(self, yes: bool, text: str) -> Answer | None:
        """A bare yes or no to the open question; None when none is open for this person here."""
        speaker = self._chat.speaker
        at = self._ratchet.clock.now()
        question = await self._ratchet.questions.open(speaker.channel, speaker.chat, speaker.actor, at)
        if question is None:
            return None
        if not yes:
            await self._ratchet.questions.close(question.id, at)
            return "Good: nothing was changed."
        wanted = {UUID(id_) for id_ in question.plan["deployments"]}
        batch = [one for one in await self._live() if one.id in wanted]
        if len(batch) != len(wanted):
            await self._ratchet.questions.close(question.id, at)
            return CHANGED
        if not await self._listed(text, "rollback"):
            return NOT_LISTED
        return await self._decide(batch, text, question.id)

    async def _listed(self, text: str, understood: str) -> bool:
        return await self._ratchet.decisions.allows_taking_back(
            self._chat.agent, self._chat.speaker.said(text, understood)
        )

    async def _live(self) -> list[Deployment]:
        return await standing(self._ratchet, self._chat.agent)

    def _nothing_to_undo(self) -> str:
        session = self._chat.shown.session
        removed = [item.n for item in session.items if item.state is ItemState.removed] if session else []
        back = f'; "restore {removed[0]}" brings an item back' if removed and self._chat.offers().waiting else ""
        return f"Nothing is under way or live{back}."

    async def _ask(self, batch: Sequence[Deployment], text: str) -> Answer:
        speaker = self._chat.speaker
        at = self._ratchet.clock.now()
        await self._ratchet.questions.ask(
            uuid4(),
            speaker.agent,
            batch[0].session_id,
            speaker.channel,
            speaker.chat,
            speaker.actor,
            text,
            {"deployments": [str(one.id) for one in batch]},
            secrets.token_hex(2),
            expires_at=at + timedelta(minutes=_QUESTION_MINUTES),
            at=at,
        )
        return text, ("yes", "no")

    async def _decide(self, batch: Sequence[Deployment], text: str, question: UUID | None = None) -> Answer:
        said = self._chat.speaker.said(text, "rollback")
        refused = await take_back(self._ratchet, self._chat.agent, batch, said, question=question)
        return refused or batch[0].batch_id


async def standing(ratchet: Ratchet, agent: str) -> list[Deployment]:
    """What is live and not being taken back, newest first."""
    return newest_first(one for one in await ratchet.deployments.newest(agent) if one.stands)


async def take_back(
    ratchet: Ratchet, agent: str, batch: Sequence[Deployment], said: Said, *, question: UUID | None = None
) -> str | None:
    """Decides that all of `batch` goes back; the worker does it. Returns why not, where it is not to be."""
    moved = await _moved_on(ratchet, agent, batch)
    if moved is not None:
        if question is not None:
            await ratchet.questions.close(question, ratchet.clock.now())
        return moved
    return None if await ratchet.decisions.take_back(agent, batch, said, question=question) else CHANGED


async def _moved_on(ratchet: Ratchet, agent: str, batch: Sequence[Deployment]) -> str | None:
    """Why going back is not ours to do: something else runs in the place of one of them. All or none."""
    registry = ratchet.registry_of(agent)
    for one in batch:
        now = await registry.current(one.prompt, one.label if one.follow == "label" else None)
        if now.sha256 != one.sha256:
            return (
                f"{one.prompt} runs v{now.version} by now, not v{one.new_version}, so nothing was done; "
                "take back what came later first."
            )
    return None


def newest_first(deployments: Iterable[Deployment]) -> list[Deployment]:
    """By the time at which they went live; of one moment, the last version first."""

    def since(one: Deployment) -> tuple[datetime, int]:
        return one.live_at or one.planned_at, one.new_version or 0

    return sorted(deployments, key=since, reverse=True)


def batch_of(live: Sequence[Deployment], one: Deployment) -> list[Deployment]:
    """What went live with it, and is still."""
    return [other for other in live if other.batch_id == one.batch_id]


def _places(batch: Sequence[Deployment]) -> str:
    """`core v2 (v1 before)`."""
    return " and ".join(f"{one.prompt} v{one.new_version} (v{one.base_version} before)" for one in batch)
