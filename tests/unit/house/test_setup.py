"""What `scripts/setup` says on a machine that lacks something, without touching this environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.house.tree import ROOT

TOOLS = ("bash", "cat", "cksum", "dirname", "env", "grep", "tail", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the setup alone, and a `bin` with a bare machine's tools: no Python."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/setup", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"a test of setup needs {tool}"
        (folder / "bin" / tool).symlink_to(found)
    return folder


def setup(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts/setup", *arguments],
        env={"PATH": str(checkout / "bin"), **variables},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def old_python(checkout: Path, name: str) -> None:
    (checkout / "bin" / name).write_text("#!/usr/bin/env bash\nexit 1\n")
    (checkout / "bin" / name).chmod(0o755)


def test_a_machine_without_python_is_told_what_it_needs(checkout: Path) -> None:
    old_python(checkout, "python3")
    result = setup(checkout)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "found no Python 3.11 or newer" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_was_named_is_not_replaced_in_silence(checkout: Path) -> None:
    result = setup(checkout, PYTHON="/no/such/python")
    assert result.returncode == 1
    assert "PYTHON=/no/such/python is not a Python 3.11" in result.stderr


def test_an_unknown_option_is_wrong_usage(checkout: Path) -> None:
    result = setup(checkout, "--everything")
    assert result.returncode == 2
    assert "'--everything'" in result.stderr


def test_a_finished_setup_is_left_alone(checkout: Path) -> None:
    """The second start of the demo must not cost a second; no Python is asked for at all."""
    binaries = checkout / ".venv/bin"
    binaries.mkdir(parents=True)
    for name in ("python", "ratchet"):
        old_python(checkout, name)
        shutil.copy(checkout / "bin" / name, binaries / name)
    (checkout / "bin/python").unlink()
    mark = subprocess.run(
        ["bash", "-c", 'printf "%s %s\\n" "$PWD" "$(cat requirements-dev.lock pyproject.toml | cksum)"'],
        cwd=checkout,
        capture_output=True,
        check=True,
    ).stdout
    (checkout / ".venv/made-tools").write_bytes(mark)

    assert setup(checkout).returncode == 0
    assert setup(checkout, "--runtime").returncode == 0
    (checkout / "pyproject.toml").write_text("# another project\n")
    assert setup(checkout).returncode == 1
