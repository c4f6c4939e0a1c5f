"""`ratchet blame`: which deployment brought each sentence of a prompt, who approved it, on what evidence."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime

from bot.cards.blame import blame_card
from bot.cards.words import Reader
from bot.channels.console import open_screen
from bot.identity import console_actor
from optimizer.records.blame import Blamed
from optimizer.settings import Settings, load_settings
from optimizer.wiring import open_ratchet

_WIDTH = 80  # where there is no terminal to ask


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    blamed, environment = asyncio.run(_blame(options, settings))
    if options.json:
        print(json.dumps(blamed.model_dump(mode="json"), ensure_ascii=False, indent=1))
        return 0
    reader = Reader(datetime.now(UTC), console_actor(), settings.timezone_of(console_actor()))
    open_screen(plain_width=_WIDTH).show(blame_card(blamed, environment, reader))
    return 0


async def _blame(options: argparse.Namespace, settings: Settings) -> tuple[Blamed, str]:
    async with open_ratchet(settings) as ratchet:
        declared = await ratchet.prompts.declared(options.agent)
        blamed = await ratchet.blaming.blame(options.agent, options.prompt, options.version)
        return blamed, declared.environment
