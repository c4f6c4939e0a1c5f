"""How long a person waits for `ratchet --help`, beside the bare interpreter's start on the same machine.

The two are run in turns, so that a busy machine slows both; the ratio says more than the milliseconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 15
BARE = [sys.executable, "-c", "pass"]
HELP = [str(Path(sys.executable).with_name("ratchet")), "--help"]


def seconds_of(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return time.perf_counter() - begun


def main() -> None:
    seconds_of(HELP)  # the first start after a change writes bytecode
    pairs = [(seconds_of(BARE), seconds_of(HELP)) for _ in range(REPEATS)]
    bare, shown = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(shown / bare for bare, shown in pairs)
    slowest = max(shown for _, shown in pairs)
    print(f"startup, median of {REPEATS} runs in turns")
    print(f"  python -c pass     {bare * 1000:7.1f} ms")
    print(f"  ratchet --help     {shown * 1000:7.1f} ms   slowest {slowest * 1000:.1f} ms")
    print(f"  ratio              {ratio:7.1f} x")


if __name__ == "__main__":
    main()
