from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.cli.program import Ratchet


@pytest.fixture
def ratchet(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ratchet:
    """The command line on a fresh, migrated database."""
    return Ratchet(tmp_path, dsn, monkeypatch, capsys)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command line on whichever address a test gives; nothing is there by itself."""

    def made(dsn: str | None, **environment: str) -> Ratchet:
        return Ratchet(tmp_path, dsn, monkeypatch, capsys, environment)

    return made
