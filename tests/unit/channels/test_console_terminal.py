"""The console before a real terminal: colours, a prompt line, Ctrl-C and Ctrl-D."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 20  # a bound, not a measure
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


def start(**environment: str) -> pexpect.spawn[str]:
    # A test does not answer the question where the cursor is.
    settings = os.environ | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"} | environment
    return pexpect.spawn(
        sys.executable,
        ["-m", "tests.unit.channels.talk"],
        cwd=str(ROOT),
        env={name: value for name, value in settings.items() if value},
        encoding="utf-8",
        timeout=SECONDS,
        dimensions=(40, 90),
    )


@pytest.fixture
def terminal() -> Iterator[pexpect.spawn[str]]:
    child = start(NO_COLOR="")
    yield child
    child.close(force=True)


def ended(child: pexpect.spawn[str]) -> str:
    child.expect(pexpect.EOF)
    before = child.before or ""
    child.close()
    assert child.exitstatus == 0, before
    return before


def test_the_message_is_coloured_and_the_prompt_names_the_replies(terminal: pexpect.spawn[str]):
    terminal.expect("Tab completes, Ctrl-D leaves")
    shown = terminal.before or ""
    assert re.search(r"\x1b\[1;36mCost \(2 savings\):", shown)
    assert re.search(r"\x1b\[9;31mkind", shown)
    assert re.search(r"\x1b\[32mbrief", shown)
    assert "deploy all | show 3 | skip" in shown
    assert "Importing 30 days of traffic" in shown
    terminal.send("show 3\r")
    terminal.expect("You said 'show 3'")
    terminal.expect(r"status   \(Tab")
    terminal.sendeof()
    assert "The end" in ended(terminal)


def test_a_reply_is_completed(terminal: pexpect.spawn[str]):
    terminal.expect("Ctrl-D leaves")
    terminal.send("dep\t\r")
    terminal.expect("You said 'deploy all'")


def test_what_was_typed_before_comes_back(terminal: pexpect.spawn[str]):
    terminal.expect("Ctrl-D leaves")
    terminal.send("show 3\r")
    terminal.expect("You said 'show 3'.*Ctrl-D leaves")
    terminal.send("\x1b[A\r")
    terminal.expect("You said 'show 3'")


def test_ctrl_c_at_the_prompt_decides_nothing_and_leaves(terminal: pexpect.spawn[str]):
    terminal.expect("Ctrl-D leaves")
    terminal.send("deploy all")
    terminal.sendintr()
    said = ended(terminal)
    assert "Left; nothing was decided." in said
    assert "You said" not in said
    assert "Traceback" not in said


def test_ctrl_c_after_a_reply_decides_nothing_more(terminal: pexpect.spawn[str]):
    terminal.expect("Ctrl-D leaves")
    terminal.send("show 3\r")
    terminal.expect("You said 'show 3'.*Ctrl-D leaves")
    terminal.sendintr()
    assert "Left; nothing more was decided." in ended(terminal)


def test_without_colour_brackets_tell_what_goes_and_what_comes():
    child = start(NO_COLOR="1")
    child.expect("Ctrl-D leaves")
    shown = child.before or ""
    child.close(force=True)
    assert not COLOUR.search(shown)
    assert "[-kind-]" in shown
    assert "{+brief+}" in shown


def test_a_narrow_terminal_wraps_at_words():
    child = start(COLUMNS="30", LINES="40")
    child.setwinsize(40, 30)
    child.expect(r"deploy all \| show 3")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", child.before or "")
    child.close(force=True)
    assert "[3] Playbooks text stands\r\n    twice in\r\n    master_system_core\r\n" in plain


def test_a_dumb_terminal_gets_plain_text():
    child = start(TERM="dumb")
    child.expect("skip")
    child.send("show 3\n")
    child.expect("You said 'show 3'")
    child.sendeof()
    child.expect("heavy: none")
    child.close(force=True)
