"""Looking at, starting and ending the processes around one embedded server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from optimizer.db.embedded.folder import Folder, State, read_state

ROOT = Path(__file__).parents[3]
PACKAGES = Path(psycopg.__file__).parents[1]
WORKER = "tests/contract/embedded/worker.py"
WAIT_SECONDS = 20


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.02)


def state_of(home: Path) -> State:
    """What the supervisor says, waiting until it has something to say."""
    found: list[State] = []

    def read() -> bool:
        found.extend(filter(None, [read_state(Folder(home / "postgres"))]))
        return bool(found)

    wait_until(read, "the supervisor says how the server is")
    return found[0]


def server_pid(home: Path) -> int:
    pid = state_of(home).postgres_pid
    assert pid is not None
    return pid


def processes_in(home: Path) -> list[int]:
    """Every process that works in the server's folder: the supervisor and all of PostgreSQL, no zombies."""
    found: list[int] = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            target = cwd.readlink()
        except OSError:  # it has just ended, or is a zombie
            continue
        if target.is_relative_to(home / "postgres"):
            found.append(int(cwd.parent.name))
    return found


def end_all_in(home: Path) -> None:
    """Stop at once what a test leaves, and see that it is gone."""
    state = read_state(Folder(home / "postgres"))
    if state and state.supervisor_pid in processes_in(home):
        os.kill(state.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: not processes_in(home), f"processes in {home} end")


@dataclass(frozen=True)
class Installation:
    """What a worker runs with: an interpreter, a checkout, and the packages."""

    python: Path = Path(sys.executable)
    root: Path = ROOT
    packages: Path = PACKAGES
    libraries: Path | None = None

    def command(self, home: Path, command: str) -> list[str]:
        return [str(self.python), str(self.root / WORKER), str(home), command]

    def environment(self) -> dict[str, str]:
        found = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, (self.packages, self.root, PACKAGES))),
        }
        return found if self.libraries is None else {**found, "LD_LIBRARY_PATH": str(self.libraries)}


OURS = Installation()


@dataclass
class Workers:
    """Starts `worker.py` in sessions of their own, as from other terminals."""

    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self,
        home: Path,
        command: str,
        *,
        installation: Installation = OURS,
        user: int | None = None,
    ) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            installation.command(home, command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env=installation.environment(),
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
        )
        self.started.append(worker)
        return worker

    def end(self) -> None:
        for worker in self.started:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()


def said(worker: subprocess.Popen[str]) -> str:
    """The next line that the worker prints."""
    assert worker.stdout is not None
    return worker.stdout.readline().rstrip("\n")


def told_to_end(worker: subprocess.Popen[str]) -> list[str]:
    """Let the worker finish; what it still printed."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.close()
    rest = worker.stdout.read().splitlines()
    worker.wait(WAIT_SECONDS)
    return rest
