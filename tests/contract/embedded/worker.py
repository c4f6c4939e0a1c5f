"""A process that uses the embedded server: `python worker.py HOME hold|write`, until its input ends."""

from __future__ import annotations

import select
import sys
from pathlib import Path

import psycopg

from optimizer.db.embedded import EmbeddedServer, open_embedded
from optimizer.errors import RatchetError

STARTED = "select pg_postmaster_start_time()::text"


def told_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def hold(server: EmbeddedServer) -> None:
    with psycopg.connect(server.dsn) as connection:
        print(server.dsn, *(connection.execute(STARTED).fetchone() or ()), sep="\t", flush=True)
    sys.stdin.read()


def write(server: EmbeddedServer) -> None:
    """Insert 1, 2, 3, ... print each one when it is acknowledged, and "connected" at each connection."""
    number = 1
    while not told_to_end():
        try:
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                print("connected", flush=True)
                connection.execute("create table if not exists written (number bigint primary key)")
                while not told_to_end():
                    connection.execute("insert into written values (%s) on conflict do nothing", [number])
                    print(number, flush=True)
                    number += 1
        except psycopg.OperationalError:
            server.ensure()


def main() -> int:
    try:
        with open_embedded(Path(sys.argv[1])) as server:
            {"hold": hold, "write": write}[sys.argv[2]](server)
    except RatchetError as error:
        print(error, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
