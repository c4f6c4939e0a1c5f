"""The process that owns the server: starts it, restarts it, and stops it when nobody uses it any more.

    python -P -S -m optimizer.db.embedded.supervisor FOLDER PROGRAMS LOCK_FD

LOCK_FD is the descriptor that holds `supervisor.lock`. Only the standard library is imported here: the
start of every command waits for it.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from optimizer.db.embedded.binaries import reachable_programs
from optimizer.db.embedded.failures import check_space, start_failure
from optimizer.db.embedded.folder import (
    Folder,
    State,
    clear_state,
    open_owned,
    trim_log,
    try_lock,
    write_state,
)
from optimizer.db.embedded.postgres import Postgres
from optimizer.db.embedded.server_user import choose_user
from optimizer.errors import EmbeddedServerError

LOG = 2  # standard error, and the server's too
POLL_SECONDS = 0.3
LINGER_SECONDS = 2.0
# Recovery after a crash reads at most `max_wal_size` of log, so this is long.
READY_TIMEOUT_SECONDS = 300
RESTARTS_MAX = 5
RESTARTS_WITHIN_SECONDS = 60


class Supervisor:
    """Works in the current folder, which stays the same one when its path is moved or deleted."""

    def __init__(self, shown: str, programs: Path) -> None:
        self._shown = shown
        self._folder = Folder(Path())
        self._users_lock = open_owned(self._folder.users_lock, os.O_RDWR)
        self._wake = _wake_on_signals()
        user = choose_user(self._folder)
        self._server = Postgres(self._folder, reachable_programs(programs, user), user)
        self._restarts: deque[float] = deque(maxlen=RESTARTS_MAX)
        self._stopping = False

    def run(self) -> None:
        """Serve until nobody is left.

        Raises:
            EmbeddedServerError: the server does not start, or dies again and again.
        """
        signal.signal(signal.SIGTERM, self._stop)
        try:
            if not self._folder.data.exists():
                check_space(self._folder.path, self._shown)
            self._start()
            self._watch()
        finally:
            clear_state(self._folder)
            self._server.stop()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start(self) -> None:
        log_since = os.fstat(LOG).st_size
        try:
            if not self._folder.data.exists():
                self._server.initialise()
            self._server.start()
            deadline = time.monotonic() + READY_TIMEOUT_SECONDS
            while not self._server.ready():
                if not self._server.running() or time.monotonic() > deadline:
                    raise start_failure(self._folder.path, self._shown, log_since)
                time.sleep(0.005)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"Error: {error}", file=sys.stderr, flush=True)
            raise start_failure(self._folder.path, self._shown, log_since) from error
        write_state(self._folder, State(os.getpid(), self._server.pid, None))

    def _watch(self) -> None:
        """Until nobody has held `users.lock` for `LINGER_SECONDS`. It returns holding that lock, so that
        whoever comes now waits for our end and then starts a new server."""
        free_since: float | None = None
        while not self._stopping:
            if select.select([self._wake], [], [], POLL_SECONDS)[0]:
                os.read(self._wake, 1024)
            trim_log(LOG)
            if not self._server.running():
                self._restart()
            if not try_lock(self._users_lock, fcntl.LOCK_EX):
                free_since = None
                continue
            now = time.monotonic()
            if free_since is not None and now - free_since >= LINGER_SECONDS:
                return
            free_since = now if free_since is None else free_since
            fcntl.flock(self._users_lock, fcntl.LOCK_UN)

    def _restart(self) -> None:
        now = time.monotonic()
        if len(self._restarts) == RESTARTS_MAX and now - self._restarts[0] < RESTARTS_WITHIN_SECONDS:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {self._shown!r} died {RESTARTS_MAX + 1} times within "
                f"{RESTARTS_WITHIN_SECONDS} s; see {self._shown + '/server.log'!r}."
            )
        self._restarts.append(now)
        clear_state(self._folder)
        self._start()


def _wake_on_signals() -> int:
    """A descriptor that can be read after a signal. Only SIGTERM is for us: a hang-up or Ctrl-C is not."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        # Not SIG_IGN, which the server would inherit.
        signal.signal(number, _ignore)
    return read


def _ignore(*_: object) -> None:
    """Only wakes the loop up."""


def main() -> int:
    shown, programs, lock = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.set_inheritable(lock, False)
    # Whoever started us collects the first process at once and never has a zombie of the second.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir(shown)
    try:
        Supervisor(shown, programs).run()
    except EmbeddedServerError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        write_state(Folder(Path()), State(os.getpid(), None, str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
