"""The server or its supervisor dies, or left something behind when it did."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from optimizer.db.embedded import open_embedded
from optimizer.errors import EmbeddedServerError
from tests.contract.embedded.processes import (
    Workers,
    end_all_in,
    processes_in,
    said,
    server_pid,
    state_of,
    told_to_end,
    wait_until,
)


def test_killing_the_server_under_writes_loses_no_acknowledged_row(home: Path, workers: Workers) -> None:
    writer = workers.start(home, "write")
    lines = [said(writer) for _ in range(300)]
    for _ in range(2):
        os.kill(server_pid(home), signal.SIGKILL)
        while (line := said(writer)) != "connected":
            lines.append(line)
        lines += [said(writer) for _ in range(300)]
    lines += told_to_end(writer)
    acknowledged = [int(line) for line in lines if line != "connected"]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
        stored = {n for (n,) in connection.execute("select number from written")}
    assert stored.issuperset(acknowledged)


def test_the_server_goes_with_a_killed_supervisor_and_the_next_open_starts_another(home: Path) -> None:
    with open_embedded(home):
        killed = state_of(home).supervisor_pid
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not processes_in(home), "the server goes with its supervisor")
        with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert state_of(home).supervisor_pid != killed


def test_who_loses_the_connection_with_the_supervisor_gets_the_server_back_with_ensure(home: Path) -> None:
    with open_embedded(home) as server:
        for _ in range(2):
            with psycopg.connect(server.dsn) as connection:
                os.kill(state_of(home).supervisor_pid, signal.SIGKILL)
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("select pg_sleep(20)")
            server.ensure()
            with psycopg.connect(server.dsn) as connection:
                assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("ended", [False, True], ids=["someone-else", "zombie"])
def test_a_pid_that_was_left_behind_and_is_in_use_again_confuses_nobody(home: Path, ended: bool) -> None:
    open_embedded(home).close()
    end_all_in(home)
    data = home / "postgres/data"
    owner = data.stat()
    # PostgreSQL would take a process of its own user for a running server.
    stranger = subprocess.Popen(
        [sys.executable if os.geteuid() else "/bin/cat"],
        stdin=subprocess.PIPE,
        user=owner.st_uid,
        group=owner.st_gid,
    )
    if ended:
        stranger.kill()
        os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    left = f"{stranger.pid}\n{data}\n1700000000\n5432\n/run\n\n  1 1\nready   \n"
    for name in ("data/postmaster.pid", "run/.s.PGSQL.5432.lock"):
        (home / "postgres" / name).write_text(left)
        os.chown(home / "postgres" / name, owner.st_uid, owner.st_gid)
    try:
        with open_embedded(home) as server, psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_first_start_that_was_killed_leaves_nothing_half_made(new_home: Path, workers: Workers) -> None:
    worker = workers.start(new_home, "hold")
    wait_until(lambda: (new_home / "postgres/data.new/PG_VERSION").exists(), "initdb is at work")
    for pid in processes_in(new_home):
        with contextlib.suppress(ProcessLookupError):  # it has ended with the one before it
            os.kill(pid, signal.SIGKILL)
    worker.kill()
    assert not (new_home / "postgres/data").exists()
    with open_embedded(new_home) as server, psycopg.connect(server.dsn) as connection:
        assert connection.execute("select current_database()").fetchone() == ("ratchet",)


def test_damaged_data_is_one_clear_sentence_for_everyone_and_mending_it_is_enough(home: Path) -> None:
    open_embedded(home).close()
    end_all_in(home)
    version = home / "postgres/data/PG_VERSION"
    good = version.read_text()
    version.write_text("9\n")
    for _ in range(2):
        with pytest.raises(EmbeddedServerError, match=r"incompatible with server.*server\.log.*DATABASE_URL"):
            open_embedded(home)
    version.write_text(good)
    open_embedded(home).close()


def test_a_server_that_dies_again_and_again_is_given_up_and_can_be_opened_anew(home: Path) -> None:
    with open_embedded(home) as server:
        supervisor = state_of(home).supervisor_pid
        for _ in range(6):
            killed = server_pid(home)
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda dead=killed: state_of(home).postgres_pid != dead, "something happens")
        assert "died 6 times" in str(state_of(home).failure)
        wait_until(lambda: supervisor not in processes_in(home), "the supervisor ends")
        server.ensure()
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
