"""One PostgreSQL server: initdb, start, readiness, stop."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from optimizer.db.embedded.folder import Folder, lock_within, open_owned
from optimizer.db.embedded.launch import handle, spawn
from optimizer.db.embedded.server_user import ServerUser

PORT = 5432
USER = "postgres"
DATABASE = "ratchet"
SOCKET_NAME = f".s.PGSQL.{PORT}"

INITDB_TIMEOUT_SECONDS = 300
# A fast stop ends sessions and writes a checkpoint; then SIGQUIT, then SIGKILL (both need a recovery).
FAST_STOP_SECONDS = 30
IMMEDIATE_STOP_SECONDS = 5
OLD_SERVER_SECONDS = 10
PROBE_TIMEOUT_SECONDS = 5
TOO_MANY_CONNECTIONS = b"C53300\0"

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A failed statement is told to its client. Its text, and with it what traces say, stays out of the log.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


class Postgres:
    """Runs the programs in `programs` as `user` on `folder`, where `user` may reach nothing by its path:
    data and socket folder are handed over as open descriptors, named `/proc/self/fd/<n>`."""

    def __init__(self, folder: Folder, programs: Path, user: ServerUser | None) -> None:
        self._folder = folder
        self._programs = programs
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Create the data folder with the database `ratchet`: as a whole, or not at all.

        Raises:
            subprocess.SubprocessError: the log says why.
        """
        new = self._folder.new_data
        with self._server_lock() as lock:
            shutil.rmtree(new, ignore_errors=True)
            self._make_private(new)
            with handle(new) as (data, data_path):
                initdb = ["initdb", "-D", data_path, "--auth=trust", f"--username={USER}"]
                initdb += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
                self._run(initdb, "", (data, lock))
                single = ["postgres", "--single", "-D", data_path, "-c", "log_checkpoints=off", "postgres"]
                self._run(single, f"create database {DATABASE};\n", (data, lock))
            new.rename(self._folder.data)
            _sync_folder(self._folder.path)

    def start(self) -> None:
        """Start the server, once no process of an earlier one is left. Returns before it is ready.

        Raises:
            OSError: it cannot be started, or an earlier one does not end.
        """
        with self._server_lock() as lock:
            self._make_private(self._folder.run)
            self._remove_leftovers()
            with (
                handle(self._folder.data) as (data, data_path),
                handle(self._folder.run) as (sockets, sockets_path),
            ):
                settings = {**SETTINGS, "unix_socket_directories": sockets_path}
                options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
                command = ["postgres", "-D", data_path, *options]
                fds = (data, sockets, lock)
                self._process = spawn(self._programs, command, self._user, subprocess.DEVNULL, fds)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Whether our own process, not an earlier one, has said in `postmaster.pid` that it is ready."""
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7] == "ready"

    def stop(self) -> None:
        if self._process is None:
            return
        for how, seconds in (
            (signal.SIGINT, FAST_STOP_SECONDS),
            (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, None),
        ):
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return

    def _run(self, command: list[str], text: str, fds: tuple[int, ...]) -> None:
        process = spawn(self._programs, command, self._user, subprocess.PIPE, fds)
        try:
            process.communicate(text.encode(), timeout=INITDB_TIMEOUT_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._user:
            os.chown(folder, self._user.uid, self._user.gid, follow_symlinks=False)

    @contextlib.contextmanager
    def _server_lock(self) -> Generator[int]:
        """The lock that every process of the server inherits: only when all are gone, it can be had."""
        fd = open_owned(self._folder.server_lock, os.O_RDWR)
        try:
            if not lock_within(fd, OLD_SERVER_SECONDS):
                # Safe for the data: the next start recovers what these processes had acknowledged.
                for pid in self._processes():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if not lock_within(fd, OLD_SERVER_SECONDS):
                    raise TimeoutError("an earlier server does not end")
            yield fd
        finally:
            os.close(fd)

    def _remove_leftovers(self) -> None:
        """Remove the pid files of a server that is gone: its pid may belong to anybody now, or to a zombie,
        and PostgreSQL would take that for a running server."""
        for left in self._folder.run.iterdir():
            left.unlink()
        lines = self._pid_file_lines()
        if lines and sys.platform == "linux" and lines[0] not in map(str, self._processes()):
            (self._folder.data / "postmaster.pid").unlink()

    def _pid_file_lines(self) -> list[str]:
        try:
            text = (self._folder.data / "postmaster.pid").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _processes(self) -> list[int]:
        """The processes that work in the data folder, as each of a server's does (empty without /proc)."""
        found: list[int] = []
        for data in (self._folder.data, self._folder.new_data):
            for cwd in Path("/proc").glob("[0-9]*/cwd"):
                with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
                    if data.samefile(cwd):
                        found.append(int(cwd.parent.name))
        return found


def accepts_connections(run: Path) -> bool:
    """Whether the server with its socket in `run` lets a client in: it answers the first message with `R`.

    https://www.postgresql.org/docs/current/protocol-message-formats.html (StartupMessage, version 3.0)
    """
    fields = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    try:
        with handle(run) as (_, path), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PROBE_TIMEOUT_SECONDS)
            probe.connect(f"{path}/{SOCKET_NAME}")
            probe.sendall(struct.pack("!ii", 8 + len(fields), 3 << 16) + fields)
            answer = probe.recv(1024)
            probe.sendall(b"X\0\0\0\4")
    except OSError:
        return False
    return answer.startswith(b"R") or TOO_MANY_CONNECTIONS in answer


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
