"""The README is true: its trace, its settings and its commands work as they stand there."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from optimizer.settings import parse_values

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block(language: str) -> str:
    found = [text for name, text in FENCED if name == language]
    assert len(found) == 1, f"the README has {len(found)} blocks in {language}"
    return found[0]


def commands() -> list[list[str]]:
    """Every `ratchet ...` line of the README's blocks, in order."""
    lines = [line for name, text in FENCED if not name for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("ratchet ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the reader has: traces as the README shows them, a prompt, tools and the settings."""
    trace = json.dumps(json.loads(block("json")))
    (tmp_path / "traces.jsonl.gz").write_bytes(gzip.compress(trace.encode() + b"\n"))
    (tmp_path / "system.md").write_text("You answer questions about our shop, briefly and kindly.\n", encoding="utf-8")
    (tmp_path / "tools.json").write_text('["search"]', encoding="utf-8")
    (tmp_path / "ratchet.toml").write_text(block("toml"), encoding="utf-8")
    return tmp_path


def test_the_settings_are_understood():
    settings = parse_values(tomllib.loads(block("toml")))
    assert settings.agents["my-agent"].approvers == ("dana",)


def test_the_commands_work_in_their_order(folder: Path, dsn: str):
    ran = commands()
    assert [words[1] for words in ran] == ["import", "optimize", "chat"]
    outputs: list[str] = []
    for words in ran:
        done = subprocess.run(
            [sys.executable, "-m", "bot", *words[1:]],
            cwd=folder,
            env={**os.environ, "DATABASE_URL": dsn, "PYTHONPATH": str(Path(__file__).parents[2])},
            input="help\nstatus\n",
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.stderr}"
        outputs.append(done.stdout)
    assert "1 new, 0 known" in outputs[0]
    assert "No agent sessions" in outputs[1]
    assert "Nothing waits for a decision." in outputs[2]


def test_every_link_leads_somewhere():
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (root / target).exists(), target
