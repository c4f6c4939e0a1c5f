"""`ratchet freeze` and `ratchet unfreeze`: all deployments of an agent stopped, and allowed again."""

from __future__ import annotations

import argparse
import asyncio

from bot.cards.policies import blocked_words
from bot.conversation.freezing import frozen_words
from bot.identity import console_actor
from optimizer.approve.door import Said
from optimizer.records.freeze import Freeze
from optimizer.settings import load_settings
from optimizer.wiring import Ratchet, open_ratchet


def run(options: argparse.Namespace) -> int:
    told = asyncio.run(_freeze(options.agent, options.reason) if options.command == "freeze" else _lift(options.agent))
    print(told)
    return 0


async def _freeze(agent: str, reason: str) -> str:
    async with open_ratchet(load_settings()) as ratchet:
        await ratchet.agents.get(agent)
        words = f"ratchet freeze{f' --reason {reason}' if reason else ''}"
        answer = await ratchet.freezing.begin(agent, _said(words, "freeze"), reason)
        if isinstance(answer, Freeze):
            return f"That was frozen already. {await _why(ratchet, agent)}"
        if answer.decided:
            await ratchet.decisions.work(agent)
        return frozen_words(answer, ratchet.people_of(agent).deciders)


async def _lift(agent: str) -> str:
    async with open_ratchet(load_settings()) as ratchet:
        await ratchet.agents.get(agent)
        lifted = await ratchet.freezing.lift(agent, _said("ratchet unfreeze", "unfreeze"))
        told = "Deployments are possible again." if lifted else "Nothing was frozen."
        return f"{told} {await _why(ratchet, agent)}".rstrip()


async def _why(ratchet: Ratchet, agent: str) -> str:
    """Why nothing can be deployed now; empty when something can."""
    block = (await ratchet.decisions.gate(agent, None, console_actor())).block
    return blocked_words(block) if block else ""


def _said(words: str, understood: str) -> Said:
    return Said(console_actor(), "console", "command line", words, understood)
