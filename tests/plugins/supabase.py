"""A Supabase project of a test's own: a real PostgREST over a fresh database, behind its gateway.

Roles and rights are those of a hosted project: the owner of everything is no superuser, what is made in `public` is
open to all roles of the API by default, and a call has 8 seconds.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import http.client
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from optimizer.db import migrate
from optimizer.db.embedded.launch import handle
from optimizer.db.supabase import SupabaseDatabase
from scripts.migration import GRANTS, changed
from tests.plugins.database import copy_of, with_database
from tests.plugins.real_parts import end, postgrest, start, wait_until
from tests.simulators.supabase_gateway import Gateway, UnixConnection, serve

OWNER = "project_owner"  # hosted: `postgres`, which here is the superuser's name
BARE, TEMPLATE = "ratchet_project_bare", "ratchet_project"
SECRET = "a secret of thirty-two characters at least"
ROLES = {
    "anon": "nologin",
    "authenticated": "nologin",
    "service_role": "nologin bypassrls",
    "authenticator": "login noinherit",
    OWNER: "login createrole createdb bypassrls",
}
ROLE_RIGHTS = f"""
alter role authenticator set statement_timeout = '8s';
grant anon, authenticated, service_role to authenticator, {OWNER};
"""
RIGHTS = f"""
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public
  grant all on functions to anon, authenticated, service_role;
"""


CREATE_ROLE = """
do $$ begin create role {role}; exception when duplicate_object or unique_violation then null; end $$
"""


@dataclass(frozen=True)
class SupabaseProject:
    dsn: str  # the database behind it, as the superuser
    gateway: Gateway

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def key(self) -> str:
        return self.gateway.key

    @property
    def owner_dsn(self) -> str:
        """What the SQL editor of the dashboard connects as."""
        return make_conninfo(self.dsn, user=OWNER)


def key_for(role: str) -> str:
    """A legacy key: a JWT signed with HS256 (RFC 7519)."""
    signed = ".".join(map(_encoded, (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps({"role": role}))))
    return f"{signed}.{_base64(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256))}"


def _encoded(text: str) -> str:
    return _base64(text.encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def project_server_dsn(server_dsn: str, shared_folder: Path) -> str:
    """The server that all workers share, with the roles and the templates of a project, made once."""
    postgrest()
    with (shared_folder / "project.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_templates(server_dsn)
    return server_dsn


def _make_templates(server_dsn: str) -> None:
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", (TEMPLATE,)).rowcount:
            return
        for role, options in ROLES.items():
            connection.execute(CREATE_ROLE.format(role=role).encode())
            connection.execute(f"alter role {role} {options}".encode())
        connection.execute(ROLE_RIGHTS.encode())
        connection.execute(f"create database {BARE} owner {OWNER}".encode())
        with psycopg.connect(with_database(server_dsn, BARE), autocommit=True) as bare:
            bare.execute(RIGHTS.encode())
        connection.execute(f"create database {TEMPLATE}_new template {BARE} owner {OWNER}".encode())
        paste(
            make_conninfo(with_database(server_dsn, f"{TEMPLATE}_new"), user=OWNER),
            migrate.as_script(migrate.all_migrations()),
        )
        connection.execute(f"alter database {TEMPLATE}_new rename to {TEMPLATE}".encode())


def paste(dsn: str, script: str) -> None:
    """What an owner does in the SQL editor; and, as in every test's database, functions without a migration yet."""
    undated = [*changed().values()]
    if undated:
        undated += [GRANTS, "notify pgrst, 'reload schema'"]
    with psycopg.connect(dsn, autocommit=True) as editor:
        for text in (script, *undated):
            editor.execute(text.encode())


@contextmanager
def project_on(dsn: str, folder: Path) -> Iterator[SupabaseProject]:
    """A project's API over a database of its own. It starts in a fifth of a second."""
    log = folder / "log"
    # By its descriptor: the path of a unix socket has 107 bytes at most.
    with handle(folder) as (fd, short):
        upstream = Path(short, "api")
        settings = {
            "PGRST_DB_URI": make_conninfo(dsn, user="authenticator"),
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_MAX_ROWS": "1000",
            "PGRST_JWT_SECRET": SECRET,
            "PGRST_SERVER_UNIX_SOCKET": str(upstream),
        }
        process = start([postgrest()], log, environment=settings, fds=(fd,))
        try:
            wait_until(lambda: _serves(upstream), process, log)
            with serve(Gateway(upstream, key_for("service_role"))) as gateway:
                yield SupabaseProject(dsn, gateway)
        finally:
            end(process)


def _serves(upstream: Path) -> bool:
    connection = UnixConnection(upstream)
    try:
        connection.request("HEAD", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.fixture
def bare_project(project_server_dsn: str, tmp_path: Path) -> Iterator[SupabaseProject]:
    """A project in which nothing of ours is."""
    with copy_of(BARE, project_server_dsn, owner=OWNER) as dsn, project_on(dsn, tmp_path) as project:
        yield project


@pytest.fixture
def project(project_server_dsn: str, tmp_path: Path) -> Iterator[SupabaseProject]:
    """A project into which our migrations were pasted."""
    with copy_of(TEMPLATE, project_server_dsn, owner=OWNER) as dsn, project_on(dsn, tmp_path) as project:
        yield project


@pytest.fixture
def hurried_project(project_server_dsn: str, tmp_path: Path) -> Iterator[SupabaseProject]:
    """A project that ends a call after 300 milliseconds."""
    with copy_of(TEMPLATE, project_server_dsn, owner=OWNER) as dsn:
        name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter role authenticator in database {} set statement_timeout = '300ms'").format(name)
            )
        with project_on(dsn, tmp_path) as project:
            yield project


@pytest.fixture
async def supabase(project: SupabaseProject) -> AsyncIterator[SupabaseDatabase]:
    """The port, open on a fresh project."""
    opened = SupabaseDatabase(project.url, project.key, connections_max=4)
    await opened.open()
    yield opened
    await opened.close()
