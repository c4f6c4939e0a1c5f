"""A real pgbouncer in transaction mode before the embedded server, one for each worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

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
def pooler_folder(server_dsn: str) -> Iterator[Path]:
    """Where its socket is. As root it runs as the server's user, who alone may enter the server's folder."""
    program = pgbouncer() / "pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="ratchet-pooler-"))
    server = str(conninfo_to_dict(server_dsn)["host"])
    handle = os.open(server, os.O_PATH | os.O_DIRECTORY)
    owner = os.fstat(handle).st_uid
    os.chown(folder, owner, owner)
    settings, log = folder / "pgbouncer.ini", folder / "log"
    settings.write_text(SETTINGS.format(host=f"/proc/self/fd/{handle}", port=PORT, folder=folder))
    settings.chmod(0o644)
    process = start([program, settings], log, user=owner if os.geteuid() == 0 else None, fds=(handle,))
    try:
        wait_until((folder / f".s.PGSQL.{PORT}").exists, process, log)
        yield folder
    finally:
        end(process)
        os.close(handle)
        shutil.rmtree(folder)


@pytest.fixture
def pooled_dsn(dsn: str, pooler_folder: Path) -> str:
    """A fresh, migrated database, by way of the pooler; what it keeps open to it ends when the database goes."""
    return make_conninfo(dsn, host=str(pooler_folder), port=PORT)
