"""Starting a program of PostgreSQL as a user who may reach its folders only through what we hand over."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

from optimizer.db.embedded.server_user import ServerUser

KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def handle(folder: Path) -> Generator[tuple[int, str]]:
    """A descriptor for a child, and the path under which the child then finds `folder`."""
    if sys.platform == "linux":
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        path = f"/proc/self/fd/{fd}"
    else:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        path = str(folder.absolute())
    try:
        yield fd, path
    finally:
        os.close(fd)


def spawn(
    programs: Path, command: list[str], user: ServerUser | None, stdin: int, fds: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Start `command` of the folder `programs`; it inherits `fds`, and ends when we do.

    Raises:
        OSError: it cannot be run.
    """
    return subprocess.Popen(
        [str(programs / command[0]), *command[1:]],
        stdin=stdin,
        pass_fds=fds,
        cwd="/",
        env={"TZ": "UTC", **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}},
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        preexec_fn=_die_with(os.getpid()),
    )


def _die_with(parent: int) -> Callable[[], None] | None:
    """Have the kernel send SIGINT (a fast stop) to the child when its parent ends, however it ends.

    It runs in the child after the change of user, which would undo it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
