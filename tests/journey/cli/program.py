"""`ratchet` as its users start it: in a folder of their own, with nothing but their words and their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.identity import console_actor
from optimizer.clock import iso

COMMAND = (sys.executable, "-m", "bot")
USER = console_actor().removeprefix("console:")


@dataclass(frozen=True)
class Said:
    """What one command ended with."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on standard error, which says what went wrong."""
        assert "Traceback" not in self.err
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass(frozen=True)
class Ratchet:
    """The command line in `folder`, on the database `dsn`, or on an embedded one where that is None."""

    folder: Path
    dsn: str | None
    monkeypatch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def __call__(self, *arguments: str | Path) -> Said:
        """One command in this process: the same function that the program calls, without the time of a start."""
        self.captured.readouterr()
        with self.monkeypatch.context() as patched:
            patched.chdir(self.folder)
            for name, value in self.variables.items():
                patched.setenv(name, value)
            code = main([str(argument) for argument in arguments])
        captured = self.captured.readouterr()
        return Said(code, captured.out, captured.err)

    def process(
        self, *arguments: str | Path, replies: str | None = None, before: Sequence[str] = (), **options: Any
    ) -> Said:
        """One command in a process of its own."""
        done = subprocess.run(
            [*before, *COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            input=replies,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **options,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    @property
    def variables(self) -> dict[str, str]:
        return {**({"DATABASE_URL": self.dsn} if self.dsn else {}), **self.environment}

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def approve(self, agent: str, more: str = "") -> None:
        """A ratchet.toml in which whoever runs the tests is the approver."""
        self.write(
            "ratchet.toml",
            f"[agents.{agent}]\napprovers = ['me']\n{more}\n[people.me]\nconsole = {json.dumps(USER)}\n",
        )


def line(session: str, started_at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """A trace line that is right in every respect."""
    started = started_at or datetime.now(UTC) - timedelta(hours=2)
    event = {"type": "user_message", "t_ms": 0, "text": "hello"}
    return {"session_id": session, "started_at": iso(started), "events": [event], **fields}


def lines(*given: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in given)
