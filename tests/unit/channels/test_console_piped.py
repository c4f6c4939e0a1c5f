"""The console where input or output is piped: a transcript that reads like a conversation."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

from bot.cards.card import Card, Line
from bot.channels.console import Console
from bot.channels.port import Channel
from bot.terminal.lines import LINE_BYTES_MAX, LineKeyboard
from bot.terminal.plain import PlainScreen

ROOT = Path(__file__).parents[3]
TALK = [sys.executable, "-m", "tests.unit.channels.talk"]

TRANSCRIPT = """\
Importing 30 days of traffic ...
blog-writer (prod) self-analysis, 2026-02-26
Cost (2 savings):
[3] Playbooks text stands twice in master_system_core
[4] Ghost block stands twice (removed)

Be [-kind-] {+brief+}
Take it back.
It is worse.

Reply: "deploy all" | "show 3" | "skip"

> show 3
blog-writer (prod)
You said 'show 3'.

Reply: "status"

> remove 4, deploy
blog-writer (prod)
You said 'remove 4, deploy'.

Reply: "status"

The end; heavy: none
"""


def talk(replies: bytes, **environment: str) -> str:
    done = subprocess.run(
        TALK,
        input=replies,
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        env=os.environ | environment,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_piped_replies_are_echoed_and_nothing_heavy_is_loaded():
    assert talk(b"show 3\nremove 4, deploy\n") == TRANSCRIPT


def test_blank_lines_windows_line_ends_and_a_missing_last_one():
    assert talk(b"\n  \nshow 3\r\n\nremove 4, deploy") == TRANSCRIPT


def test_replies_from_a_file(tmp_path: Path):
    replies = tmp_path / "replies.txt"
    replies.write_bytes(b"show 3\nremove 4, deploy\n")
    with replies.open("rb") as file:
        done = subprocess.run(TALK, stdin=file, capture_output=True, cwd=ROOT, timeout=60, check=True)
    assert done.stdout.decode() == TRANSCRIPT


def test_without_any_input_it_says_its_message_and_ends():
    done = subprocess.run([*TALK], stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, timeout=60, check=True)
    assert done.stdout.decode().endswith('Reply: "deploy all" | "show 3" | "skip"\n\nThe end; heavy: none\n')


def test_a_closed_standard_input_is_an_end_too():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m tests.unit.channels.talk <&-"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().endswith("The end; heavy: none\n")


def test_control_codes_in_a_reply_do_not_come_back():
    said = talk(b"\x1b[31mshow 3\x07\x9b\n")
    assert "\x1b" not in said
    assert "> [31mshow 3" in said


def test_an_output_that_cannot_hold_a_letter_gets_its_number():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    PlainScreen(stream).show(Card("", (Line("caf\u00e9 \u2713"),)))
    stream.seek(0)
    assert stream.read() == "caf\\xe9 \\u2713\n\n"


def test_ctrl_c_while_it_waits_for_a_pipe_ends_it_at_once():
    with subprocess.Popen(
        TALK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        while b"skip" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)  # the pipe stays open: nothing waits for a line that does not come


async def read_all(content: bytes) -> list[str]:
    reading, writing = os.pipe()
    writer = asyncio.create_task(asyncio.to_thread(write_all, writing, content))
    console = Console(PlainScreen(io.TextIOWrapper(io.BytesIO())), LineKeyboard(reading, None))
    replies: list[str] = []
    while (reply := await console.read()) is not None:
        replies.append(reply)
    await writer
    os.close(reading)
    assert await console.read() is None  # the end stays the end
    return replies


def write_all(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


async def test_a_line_without_end_is_cut_and_the_next_one_is_whole():
    replies = await read_all(b"x" * (3 * LINE_BYTES_MAX) + b"\nshow 3\n")
    assert [len(replies[0]), replies[1]] == [LINE_BYTES_MAX, "show 3"]


async def test_bytes_that_are_no_text_do_not_end_the_conversation():
    assert await read_all(b"\xff\xfeshow\n\x00\nskip\n") == ["\ufffd\ufffdshow", "\x00", "skip"]


async def test_the_loop_goes_on_while_it_waits_for_a_reply():
    reading, writing = os.pipe()
    console = Console(PlainScreen(io.TextIOWrapper(io.BytesIO())), LineKeyboard(reading, None))
    waiting = asyncio.create_task(console.read())
    await asyncio.sleep(0)
    os.write(writing, b"skip\n")
    assert await waiting == "skip"
    os.close(writing)
    assert await console.read() is None
    os.close(reading)


def test_the_console_is_a_channel():
    channel: Channel = Console(PlainScreen(sys.stdout), LineKeyboard(None, None))
    assert channel.name == "console"
