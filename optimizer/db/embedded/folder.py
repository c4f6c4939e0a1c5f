"""`RATCHET_HOME/postgres/`: what lies in it, its locks, its state file and its log."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import NamedTuple, cast

from optimizer.errors import EmbeddedServerError

LOG_BYTES_MAX = 1_000_000
LOG_BYTES_KEPT = 250_000


class State(NamedTuple):
    """What the supervisor tells everyone: the server's pid while it is ready, or why it failed."""

    supervisor_pid: int
    postgres_pid: int | None
    failure: str | None


class Folder(NamedTuple):
    """The paths below `path`. The supervisor works in the folder itself and uses `Folder(Path())`."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def new_data(self) -> Path:
        """Where initdb works, until the rename to `data` makes it count."""
        return self.path / "data.new"

    @property
    def run(self) -> Path:
        """Mode 0700, holds the unix socket."""
        return self.path / "run"

    @property
    def users_lock(self) -> Path:
        return self.path / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def server_lock(self) -> Path:
        return self.path / "server.lock"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def log(self) -> Path:
        return self.path / "server.log"


def prepare(home: Path) -> Folder:
    """Create `home` and `home/postgres` where they are missing; existing folders keep their modes.

    What root creates in the home of somebody else belongs to that person, so that both can use it.

    Raises:
        EmbeddedServerError: a folder cannot be created.
    """
    home = home.absolute()
    folder = Folder(home / "postgres")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        if not folder.path.is_dir():
            folder.path.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:
                owner = home.stat()
                os.chown(folder.path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError as error:
        raise EmbeddedServerError(
            f"Cannot create the folder of the embedded PostgreSQL in {str(home)!r} ({error.strerror}); "
            "set RATCHET_HOME to a folder that you may write."
        ) from error
    return folder


def open_owned(path: Path, flags: int) -> int:
    """Open or create a file of mode 0600 that belongs to the owner of the folder it is in.

    Raises:
        EmbeddedServerError: the file cannot be opened.
    """
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(fd, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise EmbeddedServerError(
            f"Cannot open {str(path)!r} ({error.strerror}); "
            "run as the user who owns that folder, or set RATCHET_HOME to another one."
        ) from error
    return fd


def try_lock(fd: int, operation: int) -> bool:
    """Take the lock `fcntl.LOCK_SH` or `LOCK_EX` at once, or say that somebody else is in the way."""
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(fd: int, seconds: float) -> bool:
    """Wait for the exclusive lock, for a bounded time."""
    deadline = time.monotonic() + seconds
    while not try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def open_locked(path: Path, operation: int) -> int | None:
    """The descriptor that holds the lock until it is closed, or None when somebody else is in the way.

    Raises:
        EmbeddedServerError: the file cannot be opened, or its file system has no locks.
    """
    fd = open_owned(path, os.O_RDWR)
    try:
        if try_lock(fd, operation):
            return fd
    except OSError as error:
        os.close(fd)
        raise EmbeddedServerError(
            f"Cannot lock {str(path)!r} ({error.strerror}); set RATCHET_HOME to a folder on a local disk."
        ) from error
    os.close(fd)
    return None


def read_state(folder: Folder) -> State | None:
    try:
        fields = cast("dict[str, object]", json.loads(folder.state.read_bytes()))
    except (FileNotFoundError, ValueError):
        return None
    supervisor_pid, postgres_pid, failure = (
        fields.get("supervisor_pid"),
        fields.get("postgres_pid"),
        fields.get("failure"),
    )
    return State(
        supervisor_pid=supervisor_pid if isinstance(supervisor_pid, int) else 0,
        postgres_pid=postgres_pid if isinstance(postgres_pid, int) else None,
        failure=failure if isinstance(failure, str) else None,
    )


def write_state(folder: Folder, state: State) -> None:
    """Only the holder of `supervisor.lock` writes; readers see the old state or the new one."""
    new = folder.path / "state.json.new"
    fd = open_owned(new, os.O_WRONLY | os.O_TRUNC)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(state._asdict(), file)
    new.rename(folder.state)


def clear_state(folder: Folder) -> None:
    folder.state.unlink(missing_ok=True)


def open_log(folder: Folder) -> int:
    return open_owned(folder.log, os.O_RDWR | os.O_APPEND)


def trim_log(fd: int) -> None:
    """Keep the end of a log that has grown over its bound. All of its writers append, so they just go on."""
    size = os.fstat(fd).st_size
    if size > LOG_BYTES_MAX:
        kept = os.pread(fd, LOG_BYTES_KEPT, size - LOG_BYTES_KEPT)
        os.ftruncate(fd, 0)
        os.write(fd, kept)
