"""`ratchet chat`: the console channel on the pending session."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
from contextlib import AbstractAsyncContextManager

from bot.cards.card import Card, Line, Note
from bot.cards.words import safe
from bot.channels.console import CHAT, NAME, Console, open_console
from bot.conversation.speaker import Speaker
from bot.conversation.talk import Conversation
from bot.identity import console_actor
from optimizer.loop.working import working
from optimizer.settings import load_settings
from optimizer.wiring import Ratchet, open_ratchet

_LINE_MAX = 500
_BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes


def run(options: argparse.Namespace) -> int:
    asyncio.run(_chat(options.agent))
    return 0


async def _chat(agent: str) -> None:
    async with open_ratchet(load_settings()) as ratchet:
        conversation = Conversation(ratchet, console_speaker(agent))
        jobs = working(ratchet.decisions, agent, watching=ratchet.watching)
        await hold(conversation, open_console(), jobs, _welcome(ratchet, agent))


def _welcome(ratchet: Ratchet, agent: str) -> Card | None:
    """What someone who may not decide writes into ratchet.toml to be the one who may."""
    actor = console_actor()
    if ratchet.people_of(agent).may_decide(actor):
        return None
    user = json.dumps(actor.removeprefix(f"{NAME}:"))
    name = user.strip('"') if _BARE.fullmatch(user.strip('"')) else user
    slug = agent if _BARE.fullmatch(agent) else json.dumps(agent)
    file = ratchet.settings.path or "ratchet.toml"
    return Card(
        "",
        (
            Note(f"You are {safe(actor)}, who may look here but not decide. To be an approver, write in {file}:"),
            Line(safe(f"[agents.{slug}]", _LINE_MAX)),
            Line(safe(f"approvers = [{user}]", _LINE_MAX)),
            Line(safe(f"[people.{name}]", _LINE_MAX)),
            Line(safe(f"console = {user}", _LINE_MAX)),
        ),
    )


def console_speaker(agent: str) -> Speaker:
    """The user at this terminal; each is a chat of its own, so that a yes answers what was asked here."""
    return Speaker(agent, NAME, f"{CHAT} {os.getpid()}", console_actor())


async def hold(
    conversation: Conversation,
    console: Console,
    meanwhile: AbstractAsyncContextManager[None],
    welcome: Card | None = None,
) -> None:
    """Talks until the person leaves; `meanwhile` is what goes on in the background."""
    first = await conversation.open()
    for card in (welcome, *first) if welcome else first:
        await console.say(card)
    async with meanwhile:
        while (reply := await console.read()) is not None:
            for card in await conversation.say(reply):
                await console.say(card)
