"""Rollback, undo and stop: what they mean now, and the question where it is not one thing alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from bot.cards.deployments import numbers_of
from bot.cards.words import are, items, numbers, safe
from bot.conversation.asking import no_such_item
from bot.conversation.chat import Chat
from bot.conversation.commands import Command
from bot.conversation.goingback import CHANGED, Answer, GoingBack
from optimizer.deploy.ways_back import live_items
from optimizer.records.deployment import Deployment
from optimizer.records.states import UNDER_WAY, ItemState
from optimizer.wiring import Ratchet

_Asked = tuple[str, tuple[str, ...]]  # the question, and what may be replied beside yes and no

NOTHING_LIVE = "Nothing that I deployed is live, so there is nothing to take back."


class TakeBack:
    """The way back for one person in one chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ratchet = chat.ratchet
        self._going = GoingBack(chat)

    async def asked(self, command: Command, text: str) -> Answer:
        """ "rollback", "roll back 3", "take back only 3", "roll back core to v3"."""
        if not await self._listed(text, "rollback"):
            return self._not_listed()
        if command.version is not None:
            return await self._going.to_version(command.prompt, command.version, text)
        live = await self._live()
        if not live:
            return NOTHING_LIVE
        if command.items:
            return await self._items(command, live, text)
        newest = next((one for one in live if command.prompt in (None, one.prompt)), None)
        if newest is None:
            return f"Nothing that I deployed to {safe(str(command.prompt))} is live, so there is nothing to take back."
        batch = batch_of(live, newest)
        if all(one.kind == "change" for one in batch):
            return await self._decide(batch, text)
        return await self._ask(batch)

    async def _items(self, command: Command, live: Sequence[Deployment], text: str) -> Answer:
        """The newest deployment that holds these items; or these items alone, out of the text of today."""
        shown = self._chat.shown.session
        unknown = [n for n in command.items if shown is None or shown.numbered(n) is None]
        if unknown:
            return no_such_item(unknown)
        wanted = {item.id for item in shown.items if item.n in command.items} if shown else set[UUID]()
        there = live_items(live)
        holding = next((one for one in live if wanted & there & set(one.items)), None)
        if holding is None:
            return f"{are(command.items)} not live, so there is nothing to take back."
        numbered = numbers_of(shown)
        if command.only:
            absent = sorted(numbered[item] for item in wanted - there)
            if absent:
                return f"{are(absent)} not live, so nothing was done."
            return await self._going.without(frozenset(wanted), text)
        batch = batch_of(live, holding)
        held = {item for one in batch for item in one.items} & there
        if held == wanted:
            return await self._decide(batch, text)
        in_the_way = await self._going.in_the_way(batch)
        if in_the_way is not None:
            return in_the_way
        return await self._ask(batch, _also(batch, wanted, held, numbered))

    async def ways(self) -> tuple[str, ...]:
        """Replies that take back one item of what is live, or go back by the number of a version; the best first."""
        live = await self._live()
        if not live or live[0].kind != "change" or not self._chat.offers().may_take_back:
            return ()
        there, shown = live_items(live[:1]), numbers_of(self._chat.shown.session)
        alone = [f"take back only {shown[item]}" for item in live[0].items if item in there and item in shown]
        named = live[0].prompt in self._chat.prompts
        return (*alone[:1], *([f"roll back {live[0].prompt} to v{live[0].base_version}"] if named else []))

    async def undo(self, text: str) -> Answer:
        """ "undo", "stop", "wait": halts what is under way, or offers to take back what is live."""
        if not await self._listed(text, "halt"):
            return self._not_listed()
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
        return await self._ask(batch_of(live, live[0]))

    async def answered(self, yes: bool, text: str) -> Answer | None:
        """A bare yes or no to the open question; None when none is open for this person here."""
        at = self._ratchet.clock.now()
        question = await self._chat.question()
        if question is None:
            return None
        if not yes:
            await self._ratchet.questions.close(question.id, at)
            return "Good: nothing was changed."
        if "to_version" in question.plan:
            if not await self._listed(text, "rollback"):
                return self._not_listed()
            return await self._going.confirmed(question.plan["to_version"], text, question.id)
        if "deployments" not in question.plan:
            return None
        wanted = {UUID(id_) for id_ in question.plan["deployments"]}
        batch = [one for one in await self._live() if one.id in wanted]
        if len(batch) != len(wanted):
            await self._ratchet.questions.close(question.id, at)
            return CHANGED
        if not await self._listed(text, "rollback"):
            return self._not_listed()
        return await self._decide(batch, text, question.id)

    async def _listed(self, text: str, understood: str) -> bool:
        return await self._ratchet.decisions.allows_taking_back(
            self._chat.agent, self._chat.speaker.said(text, understood)
        )

    def _not_listed(self) -> str:
        who = self._ratchet.people_of(self._chat.agent).to_ask
        return f"You are not listed for this agent, so nothing was done; ask {who}."

    async def _live(self) -> list[Deployment]:
        return await standing(self._ratchet, self._chat.agent)

    def _nothing_to_undo(self) -> str:
        session = self._chat.shown.session
        removed = [item.n for item in session.items if item.state is ItemState.removed] if session else []
        back = f'; "restore {removed[0]}" brings an item back' if removed and self._chat.offers().waiting else ""
        return f"Nothing is under way or live{back}."

    async def _ask(self, batch: Sequence[Deployment], asked: _Asked | None = None) -> Answer:
        """Whether all of it is to be taken back, where that may be."""
        refused = await self._ratchet.decisions.refuses_return(self._chat.agent, batch, self._chat.speaker.actor)
        if refused is not None:
            return refused
        text, choices = asked or (f"{_places(batch)} is live. Take it back?", ())
        if any(one.kind != "change" for one in batch):
            text = f"{_returned(batch, numbers_of(self._chat.shown.session))} Take that back?"
        await self._going.ask(text, {"deployments": [str(one.id) for one in batch]}, batch[0].session_id)
        return text, (*choices, "yes", "no")

    async def _decide(self, batch: Sequence[Deployment], text: str, question: UUID | None = None) -> Answer:
        in_the_way = await self._going.in_the_way(batch)
        if in_the_way is not None:
            if question is not None:
                await self._ratchet.questions.close(question, self._ratchet.clock.now())
            return in_the_way
        said = self._chat.speaker.said(text, "rollback")
        done = await self._ratchet.decisions.take_back(self._chat.agent, batch, said, question=question)
        return batch[0].batch_id if done else CHANGED


async def standing(ratchet: Ratchet, agent: str) -> list[Deployment]:
    """What is live and not being taken back, newest first."""
    return newest_first(one for one in await ratchet.deployments.newest(agent) if one.stands)


def newest_first(deployments: Iterable[Deployment]) -> list[Deployment]:
    """By the time at which they went live; of one moment, the last version first."""

    def since(one: Deployment) -> tuple[datetime, tuple[int, int]]:
        return one.live_at or one.planned_at, one.order

    return sorted(deployments, key=since, reverse=True)


def batch_of(live: Sequence[Deployment], one: Deployment) -> list[Deployment]:
    """What went live with it, and is still."""
    return [other for other in live if other.batch_id == one.batch_id]


def _also(batch: Sequence[Deployment], wanted: set[UUID], held: set[UUID], numbered: Mapping[UUID, int]) -> _Asked:
    """What else goes with the items, and the reply that takes them alone."""
    also = sorted(numbered[item] for item in held - wanted if item in numbered)
    absent = sorted(numbered[item] for item in wanted - held)
    present = sorted(numbered[item] for item in wanted & held)
    refused = f"{are(absent)} not in it. " if absent else ""
    holds = f"also holds {items(also)}" if also else "holds just these" if wanted <= held else "holds the others"
    alone = f"take back only {numbers(present)}"
    offered = f' (or reply "{alone}")' if held - wanted else ""
    return f"{refused}{_places(batch)} {holds}. Take all of it back{offered}?", (alone,) if held - wanted else ()


def _places(batch: Sequence[Deployment]) -> str:
    """`core v2 (v1 before)`."""
    return " and ".join(f"{safe(one.prompt)} v{one.new_version} (v{one.base_version} before)" for one in batch)


def _returned(batch: Sequence[Deployment], numbered: Mapping[UUID, int]) -> str:
    """`core went back to v1; before that it ran v3.`"""
    places: list[str] = []
    for one in batch:
        out = sorted(numbered[item] for item in one.undone if item in numbered)
        without = f"runs v{one.new_version}, without {items(out) if out else 'what was taken back'}"
        went = f"went back to v{one.target_version}" if one.kind == "to_version" else without
        places.append(f"{safe(one.prompt)} {went}; before that it ran v{one.base_version}.")
    return " ".join(places)
