"""The conversation: words -> commands -> the one door -> cards that answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from bot.cards.answers import decided_card, question_card
from bot.cards.card import Card
from bot.cards.deployments import deployed_card
from bot.cards.history import decided_by, history_card
from bot.cards.item import explain_card, show_card
from bot.cards.layout import page
from bot.cards.notices import notice_card
from bot.cards.refusals import refused_card
from bot.cards.session import nothing_pending_card, quiet_card, session_card
from bot.cards.status import status_card
from bot.cards.words import Reader, numbers
from bot.cards.words import items as item_words
from bot.conversation.asking import choices_for, help_text
from bot.conversation.commands import Action, Command, Question, Understood
from bot.conversation.grammar import parse
from bot.conversation.orders import DECIDING, orders_of, pending_items
from bot.conversation.speaker import Shown, Speaker
from bot.conversation.takeback import TakeBack
from optimizer.approve.door import Decided
from optimizer.approve.machine import Kind, Order, Refusal
from optimizer.clock import iso
from optimizer.records.session import Item, Session
from optimizer.records.states import UNDER_WAY
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.wiring import Ratchet

_SNOOZE = timedelta(hours=24)
_HISTORY_ROWS = 100
_WAIT_SECONDS_MAX = 10.0  # for a deployment that another process carries out
_WAIT_STEP_SECONDS = 0.2
_OWN = frozenset({"session_pending", "session_quiet", "session_alarm", "verdict"})


class Conversation:
    """One person's conversation about one agent. Every reply may be sent twice."""

    def __init__(self, ratchet: Ratchet, speaker: Speaker, reader_people: dict[str, str] | None = None) -> None:
        self._ratchet = ratchet
        self._speaker = speaker
        self._people = reader_people or {}
        self._shown = Shown()
        self._notice = 0
        self._environment = "prod"
        self._take_back = TakeBack(ratchet, speaker)

    # ---- what a channel calls

    async def open(self) -> tuple[Card, ...]:
        """What the chat begins with: the newest session, or that nothing is pending."""
        self._environment = (await self._ratchet.agents.get(self._speaker.agent)).environment
        self._notice = await self._ratchet.notices.newest_id(self._speaker.agent)
        await self._ratchet.decisions.work(self._speaker.agent)
        return (await self._present(),)

    async def say(self, text: str) -> tuple[Card, ...]:
        """Answers one message."""
        await self._refresh()
        answer = parse(text, pending_items(self._shown.session))
        if isinstance(answer, Question):
            cards = await self._ask_back(answer, text)
        else:
            cards = [card for step in _steps(answer.commands) for card in await self._do(step, answer, text)]
        return (*await self._news(), *cards)

    @property
    def session(self) -> Session | None:
        """The session that numbers mean now, as it was last read."""
        return self._shown.session

    # ---- commands

    async def _do(self, commands: Sequence[Command], answer: Understood, text: str) -> list[Card]:
        first = commands[0]
        if first.action in DECIDING:
            return await self._decide(commands, answer, text)
        match first.action:
            case Action.SHOW if first.all_items:
                return [await self._present()]
            case Action.SHOW | Action.EXPLAIN:
                return await self._tell(first)
            case Action.MORE:
                return [await self._present(self._shown.page + 1)]
            case Action.STATUS:
                return [await self._status()]
            case Action.HISTORY:
                rows = await self._ratchet.audit.newest(self._speaker.agent, _HISTORY_ROWS)
                return [history_card(self._speaker.agent, self._environment, rows, self._reader())]
            case Action.RUN:
                return await self._run()
            case Action.ROLLBACK:
                return await self._taken_back(await self._take_back.asked(first.items, self._shown.session, text))
            case Action.UNDO | Action.STOP:
                return await self._taken_back(await self._take_back.undo(text))
            case Action.FEEDBACK | Action.EDIT:
                return [await self._note(first, text)]
            case _:
                return [self._say(help_text(pending_items(self._shown.session)))]

    async def _decide(self, commands: Sequence[Command], answer: Understood, text: str) -> list[Card]:
        session = self._shown.session
        if session is None:
            return [nothing_pending_card(self._speaker.agent, self._environment)]
        orders = orders_of(commands, answer.deploys, session)
        notices = [*answer.notices, *orders.notices]
        notes = [self._say(" ".join(notices))] if notices else []
        if not orders.orders:
            return notes or [self._say("Nothing of that can be deployed.")]
        unseen = self._shown.unseen(_approved(orders.orders))
        if unseen:
            return [self._say(f'You have not seen {item_words(unseen)} yet; reply "more" first.', ("more",))]
        now = self._ratchet.clock.now()
        snooze = next((command for command in commands if command.action is Action.SNOOZE), None)
        until = now + (snooze.duration or _SNOOZE) if snooze else None
        result = await self._ratchet.decisions.decide(
            session,
            orders.orders,
            self._speaker.said(text, " then ".join(command.words for command in commands)),
            shown=dict(self._shown.hashes),
            snoozed_until=until,
        )
        if result.refusal is not None:
            return [*notes, *await self._refused(result, _approved(orders.orders))]
        cards = [*notes, decided_card(result, self._reader(), snoozed_until=until)]
        if result.batch_id is not None:
            cards.append(await self._carried_out(result.batch_id))
        await self._refresh()
        return cards

    async def _refused(self, result: Decided, wanted: frozenset[UUID]) -> list[Card]:
        rows = await self._ratchet.audit.newest(self._speaker.agent, _HISTORY_ROWS)
        refused = refused_card(result, self._reader(), decided_by(rows, str(result.session.id)))
        if result.refusal is Refusal.superseded:
            return [refused, await self._present()]
        if result.refusal is Refusal.stale:
            return await self._show_again(result.session, [item for item in result.session.items if item.id in wanted])
        return [refused]

    async def _show_again(self, session: Session, wanted: Sequence[Item]) -> list[Card]:
        """The prompt changed: the edits are tried on the new text and shown again; that needs a new yes."""
        rebased = await self._ratchet.decisions.rebase(session, wanted)
        await self._refresh()
        cards: list[Card] = []
        if rebased.lost:
            lost = " ".join(f"{n}: {reason}." for n, reason in rebased.lost.items())
            cards.append(self._say(f"The prompt changed since you saw this. Not possible any more: {lost}"))
        if rebased.fits:
            cards += await self._tell(Command(Action.SHOW, items=rebased.fits))
            again = f"deploy {numbers(list(rebased.fits))}"
            cards.append(
                self._say(
                    f'The prompt changed since you saw this; above is the change on the new text. Reply "{again}".',
                    (again,),
                )
            )
        return cards

    async def _tell(self, command: Command) -> list[Card]:
        session = self._shown.session
        if session is None:
            return [nothing_pending_card(self._speaker.agent, self._environment)]
        chosen = [item for n in command.items if (item := session.numbered(n)) is not None]
        if command.action is Action.EXPLAIN:
            return [explain_card(session, item, self._reader()) for item in chosen]
        texts = await self._texts(chosen)
        deployments = await self._ratchet.deployments.newest(self._speaker.agent)
        return [show_card(session, item, self._reader(), texts, deployments) for item in chosen]

    async def _texts(self, chosen: Sequence[Item]) -> dict[str, str]:
        names = {prompt for item in chosen for prompt in item.prompts}
        if not names:
            return {}
        refs = self._ratchet.prompts.refs(await self._ratchet.prompts.declared(self._speaker.agent))
        current = await self._ratchet.prompts.current(
            self._speaker.agent, {name: ref for name, ref in refs.items() if name in names}
        )
        return {name: held.text for name, held in current.items()}

    async def _run(self) -> list[Card]:
        agent = self._speaker.agent
        if not self._ratchet.people_of(agent).may_take_back(self._speaker.actor):
            return [self._say("Only people who are listed for this agent can start a run; ask one of them.")]
        now = self._ratchet.clock.now()
        report = await self._ratchet.runs.optimize(agent, Window(since=now - timedelta(hours=24), until=now))
        if report.status == "pending":
            return [await self._present()]
        return [quiet_card(report, self._environment, self._reader())]

    async def _taken_back(self, answer: str | UUID | tuple[str, tuple[str, ...]]) -> list[Card]:
        """A batch that was decided to be taken back is carried out; anything else is said."""
        if isinstance(answer, UUID):
            return [await self._carried_out(answer)]
        text, choices = (answer, ()) if isinstance(answer, str) else answer
        return [self._say(text, choices)]

    async def _carried_out(self, batch_id: UUID) -> Card:
        """Works on what was decided, or waits for the process that does; then tells what became of it."""
        agent = self._speaker.agent
        await self._ratchet.decisions.work(agent)
        waited = 0.0
        while True:
            batch = await self._ratchet.deployments.batch(batch_id)
            busy = any(one.state in UNDER_WAY for one in batch)
            if not busy or waited >= _WAIT_SECONDS_MAX:
                return deployed_card(agent, self._environment, batch, self._reader(), self._shown.session)
            await asyncio.sleep(_WAIT_STEP_SECONDS)
            waited += _WAIT_STEP_SECONDS
            await self._ratchet.decisions.work(agent)

    async def _ask_back(self, question: Question, text: str) -> list[Card]:
        """A bare yes or no answers the bot's own open question, once; else the question stands."""
        if question.acknowledgement is not None:
            answer = await self._take_back.answered(question.acknowledgement == "yes", text)
            if answer is not None:
                return await self._taken_back(answer)
        return [self._say(question.text, question.choices)]

    async def _note(self, command: Command, text: str) -> Card:
        at = self._ratchet.clock.now()
        said = self._speaker.said(text, command.action.value)
        await self._ratchet.audit.write(
            self._speaker.agent, audit_body("feedback", at=iso(at), **asdict(said), items=list(command.items)), at
        )
        if command.action is Action.EDIT:
            return self._say(
                "I cannot change the text of an item here, so nothing is deployed; your words are kept. "
                "Remove the item, or change the prompt in the registry and run the optimization again."
            )
        about = f" on {item_words(list(command.items))}" if command.items else ""
        return self._say(f"Noted{about}; that alone changes nothing.")

    # ---- what they share

    async def _present(self, page_number: int = 1) -> Card:
        """The newest session as a card; what it shows is what a reply may approve."""
        session = await self._ratchet.sessions.newest(self._speaker.agent)
        if session is None:
            return nothing_pending_card(self._speaker.agent, self._environment)
        self._shown.begin(session)
        self._shown.page = page_number
        deployments = await self._ratchet.deployments.newest(self._speaker.agent)
        card = page(session_card(session, self._reader(), deployments), page_number)
        self._shown.saw(card)
        return card

    async def _refresh(self) -> None:
        """The shown session's states as they are now; its numbers and hashes stay as they were shown."""
        if self._shown.session is not None:
            self._shown.session = await self._ratchet.sessions.read(self._shown.session.id)

    async def _status(self) -> Card:
        agent = self._speaker.agent
        session = await self._ratchet.sessions.newest(agent)
        deployments = await self._ratchet.deployments.newest(agent)
        return status_card(agent, self._environment, session, deployments, self._reader())

    async def _news(self) -> list[Card]:
        """What others did since this chat last spoke."""
        notices = await self._ratchet.notices.after(self._speaker.agent, self._notice)
        if notices:
            self._notice = notices[-1].id
        others = [one for one in notices if one.actor != self._speaker.actor and one.kind not in _OWN]
        return [notice_card(one, self._speaker.agent, self._environment, self._reader()) for one in others]

    def _say(self, text: str, choices: tuple[str, ...] | None = None) -> Card:
        offered = choices_for(pending_items(self._shown.session)) if choices is None else choices
        return question_card(self._speaker.agent, self._environment, text, offered)

    def _reader(self) -> Reader:
        return Reader(self._ratchet.clock.now(), self._speaker.actor, people=self._people)


def _steps(commands: Sequence[Command]) -> list[list[Command]]:
    """Deciding commands that stand together are one decision; every other command is a step of its own."""
    steps: list[list[Command]] = []
    for command in commands:
        together = bool(steps) and command.action in DECIDING and steps[-1][0].action in DECIDING
        if together:
            steps[-1].append(command)
        else:
            steps.append([command])
    return steps


def _approved(orders: Sequence[Order]) -> frozenset[UUID]:
    return frozenset(id_ for order in orders if order.kind is Kind.approve for id_ in order.items)
