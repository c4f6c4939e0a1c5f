"""A real pgbouncer in transaction mode before the embedded server, one for each worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from optimizer.db.embedded.launch import handle
from tests.plugins.real_parts import end, pgbouncer, start, wait_until

PORT = 6432
# Any database of the server. It takes everyone, as the server behind it does on its socket.
SETTINGS = """
[databases]
* = host={host} port=5432 user=postgres

[pgbouncer]
pool_mode = transaction
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
default_pool_size = 3
max_client_conn = 200
# What libpq asks for when it connects, and a pooler does not keep.
ignore_startup_parameters = extra_float_digits,options
"""


@pytest.fixture(scope="session")
def pooler_host(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where its socket is. As root it runs as the server's user, who alone may enter the server's folder."""
    program, folder = pgbouncer() / "pgbouncer", tmp_path_factory.mktemp("pooler")
    settings, log = folder / "pgbouncer.ini", folder / "log"
    with (
        handle(Path(str(conninfo_to_dict(server_dsn)["host"]))) as (server, server_path),
        handle(folder) as (own, own_path),
    ):
        settings.write_text(SETTINGS.format(host=server_path, port=PORT, folder=own_path))
        owner = os.fstat(server).st_uid
        for path in (folder, settings):
            os.chown(path, owner, -1)
        user = owner if os.geteuid() == 0 else None
        process = start([program, f"{own_path}/{settings.name}"], log, user=user, fds=(server, own))
        try:
            wait_until((folder / f".s.PGSQL.{PORT}").exists, process, log)
            yield f"/proc/{os.getpid()}/fd/{own}"
        finally:
            end(process)


@pytest.fixture
def pooled_dsn(dsn: str, pooler_host: str) -> str:
    """A fresh, migrated database, by way of the pooler; what it keeps open to it ends when the database goes."""
    return make_conninfo(dsn, host=pooler_host, port=PORT)
