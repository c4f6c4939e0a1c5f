"""The conversation: words -> commands -> the one door -> cards that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from bot.cards.card import Card
from bot.cards.words import items as item_words
from bot.conversation.asking import help_text
from bot.conversation.chat import Chat, without_replies
from bot.conversation.commands import Action, Command, Question, Understood
from bot.conversation.deciding import Deciding
from bot.conversation.freezing import freeze, unfreeze
from bot.conversation.grammar import parse
from bot.conversation.orders import DECIDING, pending_items
from bot.conversation.speaker import Shown, Speaker
from bot.conversation.takeback import Answer, TakeBack
from bot.conversation.telling import Telling
from optimizer.clock import iso
from optimizer.errors import RatchetError
from optimizer.records.session import Session
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.wiring import Ratchet

_RUN_WINDOW = timedelta(hours=24)


class Conversation:
    """One person's conversation about one agent. Every reply may be sent twice."""

    def __init__(
        self,
        ratchet: Ratchet,
        speaker: Speaker,
        names: Mapping[str, str] | None = None,
        *,
        shown: Shown | None = None,
        tells_news: bool = True,
        patience_seconds: float | None = None,
    ) -> None:
        """`names`: what people are called, by channel identity. `shown`: what this chat was shown before.

        `tells_news`: whether answers open with what others did meanwhile; where an outbox tells that, they do not.
        `patience_seconds`: how long an answer may wait for a deployment that it decided; None: to its end.
        """
        self._ratchet = ratchet
        self._tells_news = tells_news
        self._chat = Chat(ratchet, speaker, names or {}, shown or Shown(), patience_seconds=patience_seconds)
        self._telling = Telling(self._chat)
        self._deciding = Deciding(self._chat, self._telling)
        self._take_back = TakeBack(self._chat)

    async def open(self) -> tuple[Card, ...]:
        """What the chat begins with: what the newest run found. Raises `NotFoundError` for an unknown agent."""
        self._chat.environment = (await self._ratchet.agents.get(self._chat.agent)).environment
        await self._ratchet.decisions.work(self._chat.agent)
        await self._ratchet.watching.watch(self._chat.agent)
        cards = await self._telling.present()
        await self._telling.begin()
        return self._chat.answer(cards)

    async def resume(self) -> None:
        """Goes on where the chat was, without a word. Raises `NotFoundError` for an unknown agent."""
        self._chat.environment = (await self._ratchet.agents.get(self._chat.agent)).environment

    async def say(self, text: str) -> tuple[Card, ...]:
        """Answers one message. What goes wrong is a card too, after what was done before it: the talk goes on."""
        cards: list[Card] = []
        news: list[Card] = []
        try:
            await self._chat.refresh()
            answer = parse(text, pending_items(self._chat.shown.session), self._chat.prompts)
            if not (isinstance(answer, Question) and answer.acknowledgement):
                await self._chat.let_go()
            if isinstance(answer, Question):
                cards += await self._ask_back(answer, text)
            else:
                for step in _steps(answer.commands):
                    cards += await self._do(step, answer, text)
            if self._tells_news:
                news = await self._telling.news()
            await self._chat.refresh()
        except RatchetError as error:
            cards = [*without_replies(cards), self._chat.line(str(error), ("status",))]
        return self._chat.answer([*news, *cards])

    @property
    def shown(self) -> Shown:
        """What this chat was shown, up to the last answer."""
        return self._chat.shown

    @property
    def session(self) -> Session | None:
        """The session that numbers mean now, as it was last read."""
        return self._chat.shown.session

    async def _do(self, commands: Sequence[Command], answer: Understood, text: str) -> list[Card]:
        first = commands[0]
        if first.action in DECIDING:
            return await self._deciding.decide(commands, answer, text)
        match first.action:
            case Action.SHOW if first.all_items:
                return await self._telling.present()
            case Action.SHOW | Action.EXPLAIN:
                return await self._telling.items(first)
            case Action.MORE:
                return await self._telling.more()
            case Action.STATUS:
                return await self._telling.status()
            case Action.HISTORY:
                return [await self._telling.history()]
            case Action.RUN:
                return await self._run()
            case Action.ROLLBACK:
                return await self._taken_back(await self._take_back.asked(first, text))
            case Action.UNDO | Action.STOP:
                return await self._taken_back(await self._take_back.undo(text))
            case Action.FREEZE:
                return [await freeze(self._chat, first, text)]
            case Action.UNFREEZE:
                return [await unfreeze(self._chat, text)]
            case Action.FEEDBACK | Action.EDIT:
                return [await self._note(first, text)]
            case _:
                return [self._chat.line(help_text(self._chat.offers().waiting, await self._take_back.ways()))]

    async def _run(self) -> list[Card]:
        chat = self._chat
        if not chat.offers().may_take_back:
            who = self._ratchet.people_of(chat.agent).to_ask
            return [chat.line(f"Only people who are listed for this agent can start a run; ask {who}.")]
        now = self._ratchet.clock.now()
        window = Window(since=now - _RUN_WINDOW, until=now)
        report = await self._ratchet.runs.optimize(chat.agent, window, requested_by=chat.speaker.actor)
        if report.status == "pending":
            return await self._telling.present()
        return [self._telling.quiet(report)]

    async def _taken_back(self, answer: Answer) -> list[Card]:
        """A batch that was decided to be taken back is carried out; anything else is said."""
        if isinstance(answer, UUID):
            return [await self._deciding.carried_out(answer)]
        if isinstance(answer, Card):
            return [answer]
        text, choices = (answer, None) if isinstance(answer, str) else answer
        return [self._chat.line(text, choices)]

    async def _ask_back(self, question: Question, text: str) -> list[Card]:
        """A bare yes or no answers the bot's own question, if nothing else was said since, once."""
        if question.acknowledgement is not None:
            yes = question.acknowledgement == "yes"
            confirmed = await self._deciding.confirmed(yes, text)
            if confirmed is not None:
                return confirmed
            answer = await self._take_back.answered(yes, text)
            if answer is not None:
                return await self._taken_back(answer)
        return [self._chat.line(question.text, question.choices)]

    async def _note(self, command: Command, text: str) -> Card:
        chat = self._chat
        at = self._ratchet.clock.now()
        said = chat.speaker.said(text, command.action.value)
        await self._ratchet.audit.write(
            chat.agent, audit_body("feedback", at=iso(at), **asdict(said), items=list(command.items)), at
        )
        if command.action is Action.EDIT:
            return chat.line(
                "I cannot change the text of an item here, so nothing is deployed; your words are kept. "
                "Remove the item, or change the prompt in the registry and run the optimization again."
            )
        about = f" on {item_words(list(command.items))}" if command.items else ""
        return chat.line(f"Noted{about}; that alone changes nothing.")


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
