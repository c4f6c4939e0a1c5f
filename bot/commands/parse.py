"""`ratchet parse`: what replies mean, by the grammar alone."""

from __future__ import annotations

import argparse
import sys

from bot.parse_command import run as predict


def run(options: argparse.Namespace) -> int:
    return predict(sys.stdin.buffer, sys.stdout, sys.stderr)
