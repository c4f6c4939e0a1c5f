"""Orders that decide: through the one door, then carried out and told; or refused, and shown again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bot.cards.answers import decided_card
from bot.cards.card import Card
from bot.cards.deployments import deployed_card
from bot.cards.history import decided_by
from bot.cards.refusals import refused_card
from bot.cards.session import nothing_pending_card
from bot.cards.words import items as item_words
from bot.cards.words import numbers, safe, sentence
from bot.conversation.chat import Chat, without_replies
from bot.conversation.commands import Action, Command, Understood
from bot.conversation.confirming import ask, confirmation_of, may_ask
from bot.conversation.orders import orders_of
from bot.conversation.telling import Telling
from optimizer.approve.door import Decided
from optimizer.approve.machine import Kind, Order, Refusal, Ruling
from optimizer.records.deployment import Deployment
from optimizer.records.session import Item, Session
from optimizer.records.states import LIVE, UNDER_WAY, SessionState

_ANSWERED_BEFORE = frozenset({SessionState.decided, SessionState.skipped})
_SNOOZE = timedelta(hours=24)
_WAIT_SECONDS_MAX = 10.0  # for a deployment that another process carries out
_WAIT_STEP_SECONDS = 0.2
_UNDER_WAY: set[asyncio.Task[None]] = set()  # asyncio itself forgets a task that nobody holds

_log = logging.getLogger(__name__)


class Deciding:
    """One person's decisions in one chat."""

    def __init__(self, chat: Chat, telling: Telling) -> None:
        self._chat = chat
        self._ratchet = chat.ratchet
        self._telling = telling

    async def decide(self, commands: Sequence[Command], answer: Understood, text: str) -> list[Card]:
        chat = self._chat
        session = chat.shown.session
        if session is None:
            return [nothing_pending_card(chat.agent, chat.environment)]
        orders = orders_of(commands, answer.deploys, session)
        notices = [*answer.notices, *orders.notices]
        notes = [chat.line(" ".join(notices))] if notices else []
        if not orders.orders:
            if session.state in _ANSWERED_BEFORE and chat.offers().may_decide:
                return [await self._told_who(Decided(Ruling(refusal=Refusal.decided), session, None, None))]
            return notes or [chat.line("Nothing of that can be deployed.")]
        approved = _approved(orders.orders)
        unseen = chat.shown.unseen(approved)
        if unseen:
            return [chat.line(f'You have not seen {item_words(unseen)} yet; reply "more" first.', ("more",))]
        snooze = next((command for command in commands if command.action is Action.SNOOZE), None)
        until = self._ratchet.clock.now() + (snooze.duration or _SNOOZE) if snooze else None
        result = await self._ratchet.decisions.decide(
            chat.shown.as_seen(session),
            orders.orders,
            chat.speaker.said(text, " then ".join(command.words for command in commands)),
            shown=dict(chat.shown.hashes),
            snoozed_until=until,
        )
        if may_ask(result, orders.orders, commands):
            return [*without_replies(notes), await ask(chat, result)]
        if result.refusal is not None:
            return [*without_replies(notes), *await self._refused(result, approved)]
        return await self._told(result, notes, until)

    async def confirmed(self, yes: bool, text: str) -> list[Card] | None:
        """A bare yes or no to the open question about one item; None when none is open for this person here."""
        chat, questions = self._chat, self._ratchet.questions
        speaker, at = chat.speaker, self._ratchet.clock.now()
        question = await chat.question()
        asked = confirmation_of(question) if question else None
        if question is None or question.session_id is None or asked is None:
            return None
        session = await self._ratchet.sessions.read(question.session_id)
        if session is None or not yes:
            await questions.close(question.id, at)
            return [chat.line("Good: nothing was deployed.")]
        result = await self._ratchet.decisions.decide(
            asked.as_seen(session),
            [asked.order],
            speaker.said(text, asked.understood),
            shown={asked.item: asked.content_sha256},
            question=question.id,
            confirmed={asked.item: asked.codes},
        )
        if result.refusal is None:
            return await self._told(result, [], None)
        await questions.close(question.id, at)
        if result.refusal is Refusal.confirm:
            return [await ask(chat, result, asked.codes)]
        return await self._refused(result, frozenset({asked.item}))

    async def _told(self, result: Decided, notes: Sequence[Card], until: datetime | None) -> list[Card]:
        """What was decided, and what came of it."""
        chat = self._chat
        cards = [*notes, decided_card(result, chat.reader(), snoozed_until=until)]
        if result.batch_id is not None:
            cards.append(await self.carried_out(result.batch_id))
        await chat.refresh()
        return [*without_replies(cards[:-1]), cards[-1]]

    async def carried_out(self, batch_id: UUID) -> Card:
        """Works on what was decided, or waits for the process that does; then tells what became of it.

        A chat that is not patient is told how far it is; the work goes on, and notices tell its end.
        """
        chat = self._chat
        work = asyncio.create_task(self._carry_out(batch_id))
        _UNDER_WAY.add(work)
        try:
            await asyncio.wait({work}, timeout=chat.patience_seconds)
            if work.done():
                work.result()
        finally:
            if work.done():
                _UNDER_WAY.discard(work)
            else:
                work.add_done_callback(_ended)
        batch = await self._ratchet.deployments.batch(batch_id)
        return deployed_card(chat.agent, chat.environment, batch, chat.reader(), chat.shown.session)

    async def _carry_out(self, batch_id: UUID) -> None:
        chat = self._chat
        waited = 0.0
        while True:
            await self._ratchet.decisions.work(chat.agent)
            batch = await self._ratchet.deployments.batch(batch_id)
            if waited >= _WAIT_SECONDS_MAX or not any(_worked_on(one) for one in batch):
                await self._ratchet.watching.watch(chat.agent)
                return
            await asyncio.sleep(_WAIT_STEP_SECONDS)
            waited += _WAIT_STEP_SECONDS

    async def _refused(self, result: Decided, wanted: frozenset[UUID]) -> list[Card]:
        chat = self._chat
        if result.refusal is Refusal.stale:
            return await self._show_again(result.session, [item for item in result.session.items if item.id in wanted])
        refused = await self._told_who(result)
        if result.refusal is Refusal.superseded:
            return [*without_replies([refused]), *await self._telling.present()]
        await chat.refresh()
        return [refused]

    async def _told_who(self, result: Decided) -> Card:
        """A refusal, with the decision that came first."""
        session = result.session
        closing = await self._ratchet.audit.closing(session.agent, session.id)
        by = decided_by([closing], str(session.id)) if closing else None
        return refused_card(result, self._chat.reader(), by)

    async def _show_again(self, session: Session, wanted: Sequence[Item]) -> list[Card]:
        """The prompt changed: the edits are tried on the new text and shown again; that needs a new yes."""
        chat = self._chat
        rebased = await self._ratchet.decisions.rebase(session, wanted)
        await chat.refresh()
        cards: list[Card] = []
        changed = f"{await self._what_changed(session)} since you saw this, so nothing was done."
        if rebased.lost:
            lost = " ".join(f"Item {n} is not possible any more: {sentence(why)}" for n, why in rebased.lost.items())
            cards.append(chat.line(f"{changed} {lost}"))
        if rebased.fits:
            cards += await self._telling.items(Command(Action.SHOW, items=rebased.fits))
            again = f"deploy {numbers(rebased.fits)}"
            opening = "" if rebased.lost else f"{changed} "
            text = f'{opening}This is the change on the text of today. Reply "{again}" if you still want it.'
            cards.append(chat.line(text, (again, f"remove {numbers(rebased.fits)}", "skip")))
        return [*without_replies(cards[:-1]), *cards[-1:]]

    async def _what_changed(self, session: Session) -> str:
        deployments = await self._ratchet.deployments.newest(self._chat.agent)
        own = [one for one in deployments if one.session_id == session.id and one.state in LIVE]
        return f"{safe(own[0].prompt)} v{own[0].new_version} went live" if own else "The prompt changed"


def _worked_on(one: Deployment) -> bool:
    """Whether a worker has its batch, or is still to do something about it."""
    return one.worker is not None or one.state in UNDER_WAY or (one.state in LIVE and not one.stands)


def _approved(orders: Sequence[Order]) -> frozenset[UUID]:
    return frozenset(id_ for order in orders if order.kind is Kind.approve for id_ in order.items)


def _ended(work: asyncio.Task[None]) -> None:
    """What went wrong after the chat was answered; the service takes it up again."""
    _UNDER_WAY.discard(work)
    error = None if work.cancelled() else work.exception()
    if error is not None:
        _log.error("a deployment was not carried out here, and is taken up again: %s", error, exc_info=error)
