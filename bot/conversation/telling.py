"""What a person is shown: the list, one item, the status, the history, what others did meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.cards.card import Card, Note
from bot.cards.history import history_card
from bot.cards.item import explain_card, show_card
from bot.cards.layout import page
from bot.cards.notices import notice_card
from bot.cards.session import nothing_pending_card, quiet_card, session_card
from bot.cards.status import status_card
from bot.conversation.chat import Chat, without_replies
from bot.conversation.commands import Action, Command
from bot.conversation.takeback import newest_first
from optimizer.measure.compare import newest_of_each_prompt
from optimizer.records.report import RunReport
from optimizer.records.session import Item
from optimizer.records.states import SessionState
from optimizer.stores.messages import DeliveryStore

HISTORY_ROWS = 100
_OF_A_RUN = frozenset({"session_pending", "session_quiet", "session_alarm", "session_expired", "verdict"})
_ABOUT_NEWS = frozenset({"show all", "rollback"})
_EXPIRED = "The items of this list expired without a decision; a new run brings what is still true."


class Telling:
    """Answers that change nothing."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._ratchet = chat.ratchet
        self._notice = 0  # the newest that this chat knows
        self._told_run = False  # in this answer

    async def begin(self) -> None:
        """What was said before this chat began is not news."""
        self._notice = await self._ratchet.notices.newest_id(self._chat.agent)
        self._told_run = False

    async def present(self, page_number: int = 1) -> list[Card]:
        """What the newest run found. The items that it shows are what a reply may approve."""
        self._told_run = True
        await self._ratchet.decisions.expire(self._chat.agent)
        session = await self._ratchet.sessions.newest(self._chat.agent)
        quiet = await self._quiet_run() if page_number == 1 else None
        cards = [quiet_card(quiet, self._chat.environment, self._chat.reader())] if quiet else []
        if session is None:
            return cards or [nothing_pending_card(self._chat.agent, self._chat.environment)]
        shown = self._chat.shown
        shown.begin(session)
        if session.state is SessionState.expired:
            return [*without_replies(cards), self._chat.line(_EXPIRED, ("run optimization", "status"))]
        if quiet is not None and session.state is not SessionState.pending:
            return cards
        shown.page = page_number
        deployments = await self._ratchet.deployments.newest(self._chat.agent)
        gate = await self._chat.look()
        card = page(session_card(session, self._chat.reader(), deployments, gate), page_number)
        shown.saw(card)
        return [*without_replies(cards), card]

    async def _quiet_run(self) -> RunReport | None:
        """The newest run, if it left no session."""
        run = await self._ratchet.sessions.newest_run(self._chat.agent)
        return RunReport.model_validate(run["result"]) if run and run["session_id"] is None else None

    async def more(self) -> list[Card]:
        return await self.present(self._chat.shown.page + 1)

    def quiet(self, report: RunReport) -> Card:
        self._told_run = True
        return quiet_card(report, self._chat.environment, self._chat.reader())

    async def items(self, command: Command) -> list[Card]:
        """`show 3` and `tell me more about 3`."""
        session = self._chat.shown.session
        if session is None:
            return [nothing_pending_card(self._chat.agent, self._chat.environment)]
        chosen = [item for n in command.items if (item := session.numbered(n)) is not None]
        reader = self._chat.reader()
        if command.action is Action.EXPLAIN:
            return [explain_card(session, item, reader) for item in chosen]
        texts = await self._texts(chosen)
        deployments = await self._ratchet.deployments.newest(self._chat.agent)
        plans = {item.id: await self._ratchet.decisions.examine(session, item) for item in chosen if item.deployable}
        gate = await self._chat.look()
        cards = [show_card(session, item, reader, texts, deployments, plans.get(item.id), gate) for item in chosen]
        for card in cards:
            self._chat.shown.saw(card)
        return cards

    async def _texts(self, chosen: Sequence[Item]) -> dict[str, str]:
        names = {prompt for item in chosen for prompt in item.prompts}
        if not names:
            return {}
        prompts, agent = self._ratchet.prompts, self._chat.agent
        refs = prompts.refs(await prompts.declared(agent))
        current = await prompts.current(agent, {name: ref for name, ref in refs.items() if name in names})
        return {name: held.text for name, held in current.items()}

    async def status(self) -> list[Card]:
        """How things stand; an alarm of the newest run comes first."""
        agent = self._chat.agent
        await self._ratchet.decisions.expire(agent)
        session = await self._ratchet.sessions.newest(agent)
        deployments = newest_first(await self._ratchet.deployments.newest(agent))
        last = {one.id for one in newest_of_each_prompt(deployments)}
        deployments = [one for one in deployments if one.id in last or not one.stands]
        reader = self._chat.reader()
        newest = await self._quiet_run()
        alarm = [quiet_card(newest, self._chat.environment, reader)] if newest and newest.status == "alarm" else []
        sightings = await self._ratchet.watching.sightings(agent)
        gate = await self._chat.look()
        troubled = await DeliveryStore(self._ratchet.database).troubled(agent)
        status = status_card(agent, self._chat.environment, session, deployments, reader, sightings, gate, troubled)
        return [*without_replies(alarm), status]

    async def history(self) -> Card:
        rows = await self._ratchet.audit.newest(self._chat.agent, HISTORY_ROWS)
        return history_card(self._chat.agent, self._chat.environment, rows, self._chat.reader())

    async def news(self) -> list[Card]:
        """What others did since this chat last spoke, less what the answer has told already."""
        chat = self._chat
        notices = await self._ratchet.notices.after(chat.agent, self._notice)
        told_run, self._told_run = self._told_run, False
        if notices:
            self._notice = notices[-1].id
        others = [one for one in notices if one.actor != chat.speaker.actor]
        new = [one for one in others if not (told_run and one.kind in _OF_A_RUN)]
        return _in_one([notice_card(one, chat.agent, chat.environment, chat.reader()) for one in new])


def _in_one(cards: Sequence[Card]) -> list[Card]:
    """All news on one card: each line once, and of the replies those that are about the news alone."""
    if not cards:
        return []
    blocks = dict.fromkeys(block for card in cards for block in card.blocks)
    lines = [block for block in blocks if not isinstance(block, Note)]
    notes = [block for block in blocks if isinstance(block, Note)]
    choices = dict.fromkeys(choice for card in cards for choice in card.choices if choice in _ABOUT_NEWS)
    return [replace(cards[0], blocks=(*lines, *notes), choices=tuple(choices))]
