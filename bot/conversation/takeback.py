"""Rollback, undo and stop: what they mean now, and the question where it is not one thing alone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from bot.cards.words import numbers
from bot.conversation.speaker import Speaker
from optimizer.errors import UsageError
from optimizer.records.deployment import Deployment
from optimizer.records.session import Session
from optimizer.records.states import LIVE, UNDER_WAY
from optimizer.wiring import Ratchet

_QUESTION_MINUTES = 10
# A batch to be carried out, a sentence, or a sentence with the replies that would work.
Answer = UUID | str | tuple[str, tuple[str, ...]]

NOTHING_LIVE = "Nothing that I deployed is live, so there is nothing to take back."
CHANGED = "Someone else changed this deployment just now, so nothing was done; look at the status, then repeat."


class TakeBack:
    """The way back for one person in one chat."""

    def __init__(self, ratchet: Ratchet, speaker: Speaker) -> None:
        self._ratchet = ratchet
        self._speaker = speaker

    async def asked(self, items: Sequence[int], session: Session | None, text: str) -> Answer:
        """ "rollback", "roll back 3": the newest live deployment, or the one that holds these items."""
        newest = await self._ratchet.deployments.newest(self._speaker.agent)
        live = [one for one in newest if one.state in LIVE and one.rollback is None]
        if not live:
            return NOTHING_LIVE
        if not items:
            return await self._decide(_batch(live, live[0]), text)
        wanted = {item.id for item in session.items if item.n in items} if session else set[UUID]()
        holding = next((one for one in live if wanted & set(one.items)), None)
        if holding is None:
            return f"{numbers(list(items))}: not live, so there is nothing to take back."
        batch = _batch(live, holding)
        others = {item for one in batch for item in one.items} - wanted
        if not others:
            return await self._decide(batch, text)
        names = {item.id: item.n for item in session.items} if session else {}
        also = sorted(names[item] for item in others if item in names)
        return await self._ask(
            batch, f"That deployment also holds {numbers(also) if also else 'other items'}; take all of it back?"
        )

    async def undo(self, text: str) -> Answer:
        """ "undo", "stop", "wait": halts what is under way, or offers to take back what is live."""
        agent = self._speaker.agent
        newest = await self._ratchet.deployments.newest(agent)
        if any(one.state in UNDER_WAY for one in newest):
            try:
                halted = await self._ratchet.decisions.halt(agent, self._speaker.said(text, "halt"))
            except UsageError as error:
                return str(error)
            if halted:
                return "Halted: nothing of that goes live."
        live = [one for one in newest if one.state in LIVE and one.rollback is None]
        if not live:
            return 'Nothing is under way or live. "skip" lets this session go, "restore 3" brings an item back.'
        batch = _batch(live, live[0])
        named = " and ".join(f"{one.prompt} v{one.new_version} (back to v{one.base_version})" for one in batch)
        return await self._ask(batch, f"Take back {named}?")

    async def answered(self, yes: bool, text: str) -> Answer | None:
        """A bare yes or no to the open question; None when none is open for this person here."""
        speaker = self._speaker
        at = self._ratchet.clock.now()
        question = await self._ratchet.questions.open(speaker.channel, speaker.chat, speaker.actor, at)
        if question is None:
            return None
        if not yes:
            await self._ratchet.questions.close(question.id, at)
            return "Good: nothing was changed."
        wanted = {UUID(id_) for id_ in question.plan["deployments"]}
        newest = await self._ratchet.deployments.newest(speaker.agent)
        batch = [one for one in newest if one.id in wanted and one.state in LIVE and one.rollback is None]
        if len(batch) != len(wanted):
            await self._ratchet.questions.close(question.id, at)
            return CHANGED
        return await self._decide(batch, text, question.id)

    async def _ask(self, batch: Sequence[Deployment], text: str) -> Answer:
        speaker = self._speaker
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
        try:
            done = await self._ratchet.decisions.take_back(
                self._speaker.agent, batch, self._speaker.said(text, "rollback"), question=question
            )
        except UsageError as error:
            return str(error)
        return batch[0].batch_id if done else CHANGED


def _batch(live: Sequence[Deployment], one: Deployment) -> list[Deployment]:
    """What went live with it, and is still."""
    return [other for other in live if other.batch_id == one.batch_id]
