"""The owner's regular expressions on prompts, within a time that nobody's pattern can exceed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.errors import SettingsError
from optimizer.prompts.protected import Protected
from optimizer.prompts.spans import Span, shorten

SECONDS_MAX = 5.0  # for all patterns and prompts of one agent
MATCHES_MAX = 1_000  # of one pattern in one prompt

# Python's `re` cannot be stopped from outside, and one pattern can keep it busy for ever: it runs in its own process.
_PROGRAM = """
import json, re, sys
from itertools import islice
asked = json.load(sys.stdin)
for pattern in asked["patterns"]:
    shape = re.compile(pattern)
    found = {name: islice(shape.finditer(text), asked["most"]) for name, text in asked["texts"].items()}
    print(json.dumps({name: [match.span() for match in some] for name, some in found.items()}), flush=True)
"""


async def matches(
    patterns: Sequence[str], texts: Mapping[str, str], *, seconds_max: float = SECONDS_MAX
) -> dict[str, tuple[Protected, ...]]:
    """What the patterns match, by prompt. Raises `SettingsError` for one that does not come to an end in time."""
    if not patterns or not texts:
        return {}
    asked = json.dumps({"patterns": list(patterns), "texts": dict(texts), "most": MATCHES_MAX})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        _PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(seconds_max):
            await _talk(process, asked.encode(), lines)
    except TimeoutError as error:
        raise _too_slow(patterns[len(lines)], seconds_max) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if len(lines) < len(patterns):
        raise SettingsError(
            f"The pattern {shorten(patterns[len(lines)])!r} of the policy's `protected` could not be tried; look at it."
        )
    found: dict[str, list[Protected]] = {name: [] for name in texts}
    for pattern, line in zip(patterns, lines, strict=True):
        spans: dict[str, list[Any]] = json.loads(line)
        for name, places in spans.items():
            found[name] += [Protected(Span(start, end), pattern) for start, end in places if end > start]
    return {name: tuple(sections) for name, sections in found.items()}


async def _talk(process: asyncio.subprocess.Process, asked: bytes, lines: list[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(asked)
    process.stdin.close()
    rest = b""
    while piece := await process.stdout.read(65_536):
        *whole, rest = (rest + piece).split(b"\n")
        lines += whole
    await process.wait()


def _too_slow(pattern: str, seconds_max: float) -> SettingsError:
    return SettingsError(
        f"The pattern {shorten(pattern)!r} of the policy's `protected` did not come to an end in {seconds_max:g} s; "
        "write it without repeats inside repeats."
    )
