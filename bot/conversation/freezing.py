"""Freeze and unfreeze, as they are said in a chat."""

from __future__ import annotations

from bot.cards.card import Card
from bot.cards.policies import blocked_words
from bot.conversation.chat import Chat
from bot.conversation.commands import Command
from optimizer.approve.people import either
from optimizer.records.freeze import Freeze
from optimizer.stores.deployments import Stopped


async def freeze(chat: Chat, command: Command, text: str) -> Card:
    """Raises `UsageError` for someone who is not listed."""
    answer = await chat.ratchet.freezing.begin(chat.agent, chat.speaker.said(text, "freeze"), command.reason)
    if not isinstance(answer, Freeze) and answer.decided:
        await chat.ratchet.decisions.work(chat.agent)
    gate = await chat.look()
    if isinstance(answer, Freeze):
        told = blocked_words(gate.block) if gate.block else "It was lifted just now."
        return chat.line(f"That was frozen already. {told}", ("unfreeze", "status"))
    return chat.line(frozen_words(answer, chat.ratchet.people_of(chat.agent).deciders), ("unfreeze", "status"))


async def unfreeze(chat: Chat, text: str) -> Card:
    """Raises `UsageError` for someone who is no approver."""
    lifted = await chat.ratchet.freezing.lift(chat.agent, chat.speaker.said(text, "unfreeze"))
    gate = await chat.look()
    told = "Deployments are possible again." if lifted else "Nothing was frozen."
    return chat.line(f"{told} {blocked_words(gate.block)}" if gate.block else told)


def frozen_words(stopped: Stopped, deciders: tuple[str, ...]) -> str:
    """What a freeze did, and who lifts it."""
    who = either(deciders) or "an approver, when ratchet.toml names one,"
    told = [f'Frozen: nothing is deployed until {who} says "unfreeze". Rollback stays possible.']
    if stopped.halted:
        told.append("What was under way was halted, and does not go live.")
    if stopped.decided:
        told.append("What may have been live already is taken back.")
    return " ".join(told)
