"""Opening the embedded server: join the one that runs, or start a supervisor for it."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from optimizer.db.embedded.binaries import find_programs
from optimizer.db.embedded.failures import start_failure
from optimizer.db.embedded.folder import (
    Folder,
    clear_state,
    open_locked,
    open_log,
    prepare,
    read_state,
)
from optimizer.db.embedded.postgres import DATABASE, PORT, SOCKET_NAME, USER, accepts_connections
from optimizer.errors import EmbeddedServerError

SUPERVISOR = "optimizer.db.embedded.supervisor"
POLL_SECONDS = 0.005
STARTS_MAX = 3
SPAWN_TIMEOUT_SECONDS = 30
SOCKET_PATH_BYTES_MAX = 107
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")


class EmbeddedServer:
    """The embedded PostgreSQL, kept running while this is open. Safe to use from any thread.

    `dsn` is a libpq connection string: database `ratchet`, user `postgres`, a unix socket without password
    in a folder that only the server's user (and root) can enter. Where the path of the socket would be
    longer than the 107 bytes that the kernel allows, or cannot stand in a connection string, `dsn` names it
    as `/proc/<our pid>/fd/<n>`: other processes of the same user can use that too, while this is open.
    """

    def __init__(self, folder: Folder, programs: Path, users_lock: int, start_timeout_seconds: float) -> None:
        """Use `open_embedded`. The server of `folder` is ready, and `users_lock` is given to us."""
        self._folder = folder
        self._programs = programs
        self._start_timeout_seconds = start_timeout_seconds
        self._mutex = threading.Lock()
        self._handles = [users_lock]
        self.dsn = f"host={_quoted(self._socket_host())} port={PORT} dbname={DATABASE} user={USER}"

    def ensure(self) -> None:
        """Wait until the server accepts connections, and start it again if its supervisor was killed.

        For a user that has lost its connection; quick (about 3 ms) when the server is well.

        Raises:
            EmbeddedServerError: why it does not start, and what to do.
        """
        with self._mutex:
            if not self._handles:
                raise EmbeddedServerError(
                    f"The embedded PostgreSQL in {str(self._folder.path)!r} was closed here; open it again."
                )
            _wait_until_ready(self._folder, self._programs, time.monotonic() + self._start_timeout_seconds)

    def close(self) -> None:
        """Leave. The supervisor stops the server when nobody has had it open for two seconds."""
        with self._mutex:
            while self._handles:
                os.close(self._handles.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _socket_host(self) -> str:
        host = str(self._folder.run)
        # libpq reads a comma as the end of the host.
        if len(os.fsencode(f"{host}/{SOCKET_NAME}")) <= SOCKET_PATH_BYTES_MAX and "," not in host:
            return host
        if sys.platform != "linux":
            raise EmbeddedServerError(
                f"The path {host!r} is too long for a unix socket; set RATCHET_HOME to a shorter one."
            )
        self._handles.append(os.open(host, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return f"/proc/{os.getpid()}/fd/{self._handles[-1]}"


def open_embedded(home: Path, *, programs: Path | None = None, start_timeout_seconds: float = 60) -> EmbeddedServer:
    """Open the embedded server of `home` (RATCHET_HOME, created where missing); start it if need be.

    `programs` is the folder of PostgreSQL's programs, for a home that is of another release than the wheel's.

    Raises:
        EmbeddedServerError: why it does not start, and what to do.
    """
    programs = programs or find_programs()
    folder = prepare(home)
    deadline = time.monotonic() + start_timeout_seconds
    users_lock = _join_users(folder, deadline)
    try:
        _wait_until_ready(folder, programs, deadline)
        return EmbeddedServer(folder, programs, users_lock, start_timeout_seconds)
    except BaseException:
        os.close(users_lock)
        raise


def _quoted(value: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


def _join_users(folder: Folder, deadline: float) -> int:
    """Hold `users.lock` shared. While a supervisor stops its server, nobody can: its end is waited for."""
    while (users := open_locked(folder.users_lock, fcntl.LOCK_SH)) is None:
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {str(folder.path)!r} is still stopping; try again in a minute."
            )
        time.sleep(POLL_SECONDS)
    return users


def _wait_until_ready(folder: Folder, programs: Path, deadline: float) -> None:
    earlier = read_state(folder)  # a failure that stands there already is not about this start
    starts, log_since = 0, _log_size(folder)
    while time.monotonic() < deadline:
        lock = open_locked(folder.supervisor_lock, fcntl.LOCK_EX)
        state = read_state(folder)
        try:
            if state and state.failure and state != earlier:
                raise EmbeddedServerError(state.failure)
            if lock is not None:
                if starts == STARTS_MAX:
                    raise start_failure(folder.path, str(folder.path), log_since)
                starts += 1
                clear_state(folder)
                _start_supervisor(folder, programs, lock)
            elif state and state.postgres_pid and accepts_connections(folder.run):
                return
        finally:
            if lock is not None:
                os.close(lock)
        time.sleep(POLL_SECONDS)
    raise EmbeddedServerError(
        f"The embedded PostgreSQL in {str(folder.path)!r} is not ready yet; try again in a minute "
        f"(the log is {str(folder.log)!r})."
    )


def _log_size(folder: Folder) -> int:
    return folder.log.stat().st_size if folder.log.exists() else 0


def _start_supervisor(folder: Folder, programs: Path, lock: int) -> None:
    """Hand `lock` over to a new supervisor, in a session of its own: Ctrl-C is not for it.

    It gets only what it needs from the environment, and no third-party package can disturb it (`-S`).
    """
    root = Path(__file__).parents[3]
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    command = [
        sys.executable,
        "-P",
        "-S",
        "-m",
        SUPERVISOR,
        str(folder.path),
        str(programs),
        str(lock),
    ]
    log = open_log(folder)
    try:
        subprocess.run(
            command,
            env={**kept, "PYTHONPATH": str(root)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            timeout=SPAWN_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerError(
            f"The supervisor of the embedded PostgreSQL did not start ({error}); see {str(folder.log)!r}."
        ) from error
    finally:
        os.close(log)
