"""Someone types a command, and not always the right one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

from tests.journey.cli.program import COMMAND, Ratchet, Said

At = Callable[..., Ratchet]
COMMANDS = ("demo", "import", "optimize", "chat", "parse", "migrate", "uninstall", "doctor", "rollback")
REPLY = b'{"text": "deploy all", "pending": []}\n'
HEAVY = (
    "asyncio",
    "httpx",
    "pgserver",
    "prompt_toolkit",
    "psycopg",
    "pydantic",
    "rapidfuzz",
    "rich",
    "scipy",
    "supabase",
)


def test_help_names_every_command_and_imports_nothing_heavy(at: At) -> None:
    said = at(None).process("--help", before=())
    assert said.code == 0
    assert all(f"\n    {command}" in said.out for command in COMMANDS)
    watched = subprocess.run(
        [COMMAND[0], "-X", "importtime", "-m", "bot", "--help"], capture_output=True, text=True, check=True
    )
    imported = {row.rpartition("|")[2].strip().partition(".")[0] for row in watched.stderr.splitlines()}
    assert "bot" in imported
    assert imported & set(HEAVY) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(at: At, command: str) -> None:
    said = at(None)(command, "--help")
    assert said.code == 0
    assert said.out.startswith(f"usage: ratchet {command} ")
    assert "--debug" in said.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "",
            "ratchet: name a command: demo, import, optimize, chat, serve, parse, migrate, uninstall, doctor, blame, ",
        ),
        ("optimise", "ratchet: there is no command 'optimise' (did you mean 'optimize'?); see `ratchet --help`."),
        ("frobnicate", "ratchet: there is no command 'frobnicate'; see `ratchet --help`."),
        ("--hepl", "ratchet: there is no option '--hepl' (did you mean '--help'?); see `ratchet --help`."),
        ("chat --agnet x", "ratchet chat: there is no option '--agnet' (did you mean '--agent'?); see `ratchet chat"),
        ("optimize --agent=x --dryrun", "ratchet optimize: there is no option '--dryrun' (did you mean '--dry-run'?)"),
        ("optimize --agent x --js", "ratchet optimize: there is no option '--js' (did you mean '--json'?)"),
        ("optimize", "ratchet optimize: the following arguments are required: --agent; see `ratchet optimize --help`."),
        ("optimize --agent x --window day", "ratchet optimize: argument --window: 'day' is not a number; see"),
        ("optimize --agent x --n 0", "ratchet optimize: argument --n: '0' is not 1 or more; see"),
        ("optimize --agent x --n many", "ratchet optimize: argument --n: 'many' is not a whole number; see"),
        ("doctor please", "ratchet doctor: 'please' has no meaning here; see `ratchet doctor --help`."),
        ("migrate --sql --into x", "ratchet migrate: argument --into: not allowed with argument --sql; see"),
        ("import", "ratchet: Nothing to import; give trace files, --prompt NAME=FILE or --tools FILE."),
        ("import --tools t.json", "ratchet: --prompt and --tools belong to an agent; name it with --agent SLUG."),
        ("import --agent x --prompt y", "ratchet: --prompt 'y' does not say which file; write it as --prompt NAME="),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_right_word(at: At, words: str, sentence: str) -> None:
    said = at(None)(*words.split())
    assert (said.code, said.out) == (2, "")
    assert said.sentence.startswith(sentence)


def test_import_says_that_it_reads_no_pipe(at: At) -> None:
    assert "no - for standard input" in " ".join(at(None)("import", "--help").out.split())


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(at: At, where: str) -> None:
    words = ["--debug", "import"] if where == "before" else ["import", "--debug"]
    said = at(None).process(*words)
    assert said.code == 1
    assert "Traceback" in said.err
    assert "Nothing to import" in said.err


def test_a_reader_who_leaves_is_nothing_to_shout_about() -> None:
    """`ratchet parse | head -0`: the reader has gone before anything is written."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as output:
        done = subprocess.run([*COMMAND, "parse"], input=REPLY, stdout=output, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_full_disk_is_said_in_a_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, "parse"], input=REPLY, stdout=full, stderr=subprocess.PIPE, check=False)
    assert Said(done.returncode, "", done.stderr.decode()).sentence.startswith("ratchet: No space left on device")
    assert done.returncode == 1
