"""Several processes share one server: they come at once, and any of them may be killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from optimizer.db.embedded import EmbeddedServer, open_embedded
from optimizer.db.embedded.folder import Folder, open_locked
from optimizer.errors import EmbeddedServerError
from tests.contract.embedded.processes import (
    Workers,
    processes_in,
    said,
    server_pid,
    told_to_end,
    wait_until,
)


def test_killing_who_started_the_server_disturbs_nobody(home: Path, workers: Workers) -> None:
    starter = workers.start(home, "hold")
    said(starter)
    server = open_embedded(home)
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("create table kept (n int)")
        # The whole session, as when its terminal is closed: the supervisor must not be in it.
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()
        # Longer than the supervisor lingers for the next user.
        connection.execute("select pg_sleep(3)")
        connection.execute("insert into kept values (1)")
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("select n from kept").fetchall() == [(1,)]
    server.close()


def test_no_server_is_left_when_the_last_one_has_gone_and_its_rows_are_there_again(home: Path) -> None:
    first, second = open_embedded(home), open_embedded(home)
    with psycopg.connect(first.dsn) as connection:
        connection.execute("create table kept as select 7 as n")
    assert processes_in(home)
    first.close()
    second.close()
    wait_until(lambda: not processes_in(home), "the server stops")
    assert not (home / "postgres/state.json").exists()
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select n from kept").fetchall() == [(7,)]


def test_six_first_starts_at_once_share_one_server(new_home: Path, workers: Workers) -> None:
    six = [workers.start(new_home, "hold") for _ in range(6)]
    assert len({said(worker) for worker in six}) == 1
    for worker in six:
        told_to_end(worker)
    assert [worker.returncode for worker in six] == [0] * 6


def test_who_comes_while_the_server_stops_gets_a_new_one(home: Path) -> None:
    server = open_embedded(home)
    stopping = server_pid(home)
    os.kill(stopping, signal.SIGSTOP)  # it cannot finish its stop before we say so
    server.close()
    wait_until(lambda: _is_leaving(home), "the supervisor begins to stop")

    opened: list[EmbeddedServer] = []
    newcomer = threading.Thread(target=lambda: opened.append(open_embedded(home)))
    newcomer.start()
    os.kill(stopping, signal.SIGCONT)
    newcomer.join()

    with opened[0] as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert server_pid(home) != stopping


def _is_leaving(home: Path) -> bool:
    """The supervisor takes the users' lock for an instant at each look, and for good when it leaves."""
    if (home / "postgres/state.json").exists():
        return False
    lock = open_locked(Folder(home / "postgres").users_lock, fcntl.LOCK_SH)
    if lock is not None:
        os.close(lock)
    return lock is None


def test_a_process_that_we_start_does_not_keep_the_server_running(home: Path) -> None:
    with open_embedded(home):
        child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, close_fds=False)
    wait_until(lambda: not processes_in(home), "the server stops")
    child.communicate()


def test_a_closed_server_says_so(home: Path) -> None:
    server = open_embedded(home)
    server.close()
    server.close()
    with pytest.raises(EmbeddedServerError, match="open it again"):
        server.ensure()
