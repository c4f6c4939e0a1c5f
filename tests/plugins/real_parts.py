"""Programs that the tests run for real and that no wheel brings; `scripts/setup --all` fetches them.

Where one is missing, its tests are skipped with that command (and fail in CI, as every skip does).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_SECONDS = 60


def part(program: str, *folders: Path) -> Path:
    """The folder of `folders` that holds the program; skips the test where none does."""
    for folder in folders:
        if shutil.which(program, path=str(folder)):
            return folder
    pytest.skip(f"{program!r} is not in {' or '.join(map(str, folders))}; fetch it with `scripts/setup --all`")


def postgrest() -> Path:
    return part("postgrest", ROOT / ".venv/parts/postgrest") / "postgrest"


def postgresql_15() -> Path:
    return part("postgres", Path("/usr/lib/postgresql/15/bin"))


def pgbouncer() -> Path:
    return part("pgbouncer", Path("/usr/sbin"), Path("/usr/bin"))


def start(
    command: Sequence[str | Path],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a program that the kernel kills when this process ends, however it ends; what it says goes to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": os.environ["PATH"], **(environment or {})},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            pass_fds=fds,
        )


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it is ready; what it said where it never is."""
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while not ready():
        said = log.read_text(encoding="utf-8", errors="replace")
        assert process.poll() is None, f"it ended with {process.returncode}: {said}"
        assert time.monotonic() < deadline, f"it is not ready: {said}"
        time.sleep(0.01)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
