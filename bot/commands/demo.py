"""`ratchet demo`: a sample agent's day in this terminal."""

from __future__ import annotations

import argparse
import asyncio

from bot.channels.console import open_console
from bot.demo.run import run_demo
from optimizer.settings import load_settings


def run(options: argparse.Namespace) -> int:
    asyncio.run(run_demo(load_settings().home / "demo", open_console(), options.seed))
    return 0
