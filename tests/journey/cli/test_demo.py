"""The demo as people treat it: piped, watched for a moment, interrupted, killed, started twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.contract.embedded.processes import end_all_in
from tests.journey.cli.program import COMMAND, Said

# While it loads, while the server starts; then, a little after each line, while it simulates, imports, runs, and asks.
EARLY_SECONDS = (0.02, 0.4)
LATER = ("Simulating ", "Importing ", "Reading ", "Reply: ")
A_LITTLE_SECONDS = 0.2
# Says when our own code begins: before that, Ctrl-C is Python's to answer.
FROM_ITS_FIRST_LINE = (
    sys.executable,
    "-c",
    "import sys; from bot.cli import main; print('here', file=sys.stderr, flush=True); sys.exit(main(['demo']))",
)
WITHOUT_INPUT = ("bash", "-c", 'exec "$@" <&-', "closed", *COMMAND, "demo")
REPLIES = "show 3\nremove 4, deploy\nstatus\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    end_all_in(folder)


def start(home: Path, replies: str, command: Sequence[str] = (*COMMAND, "demo")) -> subprocess.Popen[str]:
    """A demo that has its replies already."""
    demo = subprocess.Popen(
        command,
        cwd=home.parent,
        env={**os.environ, "RATCHET_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdin is not None
    demo.stdin.write(replies)
    demo.stdin.flush()
    return demo


def wait_for(demo: subprocess.Popen[str], moment: float | str) -> None:
    """Until so many seconds after its first line of code, or until a little after it says so."""
    assert demo.stdout is not None
    assert demo.stderr is not None
    assert demo.stderr.readline() == "here\n"
    if isinstance(moment, str):
        read_until(demo.stdout, moment)
        moment = A_LITTLE_SECONDS
    time.sleep(moment)


def read_until(out: IO[str], beginning: str) -> None:
    assert any(line.startswith(beginning) for line in out), f"it ended without a word of {beginning!r}"


def ended(demo: subprocess.Popen[str]) -> Said:
    out, err = demo.communicate(timeout=100)
    return Said(demo.returncode, out or "", err)


def servers(home: Path) -> list[str]:
    """The processes that have the home in their command line."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in words:
            found.append(f"{process.name}: {words!r}")
    return found


def wait_until_left(home: Path) -> None:
    deadline = time.monotonic() + 20
    while servers(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert servers(home) == []


def test_interrupted_and_killed_demos_leave_nothing_in_the_way_of_the_next(home: Path) -> None:
    for moment in (*EARLY_SECONDS, *LATER):
        demo = start(home, "", FROM_ITS_FIRST_LINE)
        wait_for(demo, moment)
        demo.send_signal(signal.SIGINT)
        said = ended(demo)
        assert said.code == 130, (moment, said)
        assert said.sentence.startswith("ratchet: stopped; "), moment
    killed = start(home, "")
    assert killed.stdout is not None
    read_until(killed.stdout, "Importing ")
    killed.kill()
    assert ended(killed).code == -signal.SIGKILL
    wait_until_left(home)

    # A registry that cannot be used is not the demo's business.
    (home.parent / "ratchet.toml").write_text("[agents.blog-writer]\nregistry = 'promptlayer'\n")
    first = start(home, REPLIES)
    assert first.stdout is not None
    opening = first.stdout.readline()  # it plays: the database is open
    second = start(home, REPLIES)
    refused = ended(second)
    assert (refused.code, refused.out) == (1, "")
    assert refused.sentence.startswith("ratchet: Another demo is playing in '")

    said = ended(first)
    out = opening + said.out
    assert (said.code, said.err) == (0, "")
    one, two = out.split("\nDay two\n")
    assert "> show 3\n" in one
    assert "\nApproved: 3. Publishing" in one
    assert "\nRemoved: 4.\n" in one
    assert "Live: master_system_core v2 (was v1), item 3." in one
    assert "master_system_core v2 (deployed), better: cost per session" in two
    assert "stands twice" not in two  # neither what was deployed nor what was removed
    assert "> status\n" in two
    assert 'with "history" and "status"' in two
    hint = two.strip().splitlines()[-1]
    assert hint.startswith(f"RATCHET_HOME={home}/demo ")
    wait_until_left(home)

    words = hint.partition(" chat ")[2].split()
    looking = {**os.environ, "RATCHET_HOME": f"{home}/demo"}
    later = subprocess.run(
        [*COMMAND, "chat", *words], env=looking, input="history\nstatus\n", capture_output=True, text=True, check=True
    )
    assert "master_system_core v2 went live (was v1)" in later.stdout
    assert "master_system_core v2: live for" in later.stdout
    wait_until_left(home)


def test_a_demo_whose_reader_leaves_ends_without_a_word(home: Path) -> None:
    with start(home, REPLIES) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert demo.stdout.readline() == "Day one\n"
        demo.stdout.close()
        assert (demo.stderr.read(), demo.wait(60)) == ("", 1)
    wait_until_left(home)


def test_a_demo_without_anyone_to_answer_deploys_nothing(home: Path) -> None:
    said = ended(start(home, "", WITHOUT_INPUT))
    assert (said.code, said.err) == (0, "")
    assert "[3] Playbooks text stands twice" in said.out
    assert "Nothing was deployed" in said.out
    assert "Day two" not in said.out


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file stands here")
    said = ended(start(tmp_path / "home", REPLIES))
    assert (said.code, said.out) == (1, "")
    assert said.sentence.startswith("ratchet: ")
