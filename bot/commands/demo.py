"""`ratchet demo`: a sample agent's day in this terminal."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import shutil
import sys
from pathlib import Path

from bot.channels.console import open_console
from bot.demo.run import run_demo
from bot.demo.traffic import AGENT
from optimizer.settings import load_settings


def run(options: argparse.Namespace) -> int:
    home = load_settings().home / "demo"
    if asyncio.run(run_demo(home, open_console(), options.seed)):
        # No card: a command that is to be copied stays on one line.
        print('To look back at it with "history" and "status" (the demo plays in February, so its lists are over):')
        print(f"RATCHET_HOME={shlex.quote(str(home))} {shlex.quote(_command())} chat --agent {AGENT}")
    return 0


def _command() -> str:
    """How `ratchet` is called from here: `scripts/demo` works where it is not on the PATH."""
    installed = str(Path(sys.executable).with_name("ratchet"))
    return "ratchet" if shutil.which("ratchet") else min(installed, os.path.relpath(installed), key=len)
