"""`ratchet chat`: the console channel on the pending session."""

from __future__ import annotations

import argparse
import asyncio

from bot.channels.console import NAME, Console, open_console
from bot.conversation.speaker import Speaker
from bot.conversation.talk import Conversation
from bot.identity import console_actor
from optimizer.settings import load_settings
from optimizer.wiring import open_ratchet


def run(options: argparse.Namespace) -> int:
    asyncio.run(_chat(options.agent))
    return 0


async def _chat(agent: str) -> None:
    async with open_ratchet(load_settings()) as ratchet:
        conversation = Conversation(ratchet, console_speaker(agent))
        await hold(conversation, open_console())


def console_speaker(agent: str) -> Speaker:
    return Speaker(agent, NAME, "terminal", console_actor())


async def hold(conversation: Conversation, console: Console) -> None:
    """Talks until the person leaves."""
    for card in await conversation.open():
        await console.send(card)
    while (reply := await console.read()) is not None:
        for card in await conversation.say(reply):
            await console.send(card)
