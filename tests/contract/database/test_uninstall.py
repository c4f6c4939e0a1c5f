"""Ratchet goes into somebody's project and out of it, and theirs is byte for byte what it was."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from optimizer.clock import ManualClock
from optimizer.db import migrate, uninstall
from optimizer.db.embedded.binaries import find_programs
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import DatabaseError, UsageError
from optimizer.registries.local import LocalRegistry
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore, audit_body
from scripts.migration import changed
from tests.builders import AGENT, NOON, Office, approve, make_item
from tests.plugins.database import with_database

ROLE = "do $$ begin create role {} nologin; exception when duplicate_object or unique_violation then null; end $$"
# Whole catalogues, and of those that all databases share the part that is about this one.
CATALOGUES = dict.fromkeys(
    """pg_class pg_attribute pg_attrdef pg_constraint pg_index pg_policy pg_trigger pg_proc pg_type pg_namespace
    pg_rewrite pg_sequence pg_description pg_default_acl pg_depend pg_init_privs pg_inherits pg_enum pg_extension
    pg_event_trigger pg_publication pg_publication_rel pg_statistic_ext""".split(),  # noqa: SIM905
    "true",
) | {
    "pg_shdepend": "dbid = (select oid from pg_database where datname = current_database())",
    "pg_db_role_setting": "setdatabase = (select oid from pg_database where datname = current_database())",
    "pg_roles": "rolname in ('anon', 'authenticated', 'service_role', current_user)",
}
# What the vacuum changes by itself.
RESTLESS = ["relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid"]


@pytest.fixture
def theirs(server_dsn: str) -> Iterator[str]:
    """A project with tables named like ours, and nothing of ours."""
    with project(server_dsn) as dsn:
        yield dsn


@contextmanager
def project(server_dsn: str) -> Iterator[str]:
    name = f"theirs_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(sql.SQL(ROLE).format(sql.Identifier(role)))
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsn = with_database(server_dsn, name)
    run(dsn, Path(__file__).with_name("owners_project.sql").read_text(encoding="utf-8"))
    try:
        yield dsn
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def run(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statements.encode())


def install(dsn: str) -> None:
    migrate.apply(dsn)
    for source in changed().values():  # what is still to be dated
        run(dsn, source)


def dump(dsn: str) -> str:
    """Schema and data as the server's own program writes them, less the token that differs each time."""
    done = subprocess.run(
        [find_programs() / "pg_dump", "--dbname", dsn], capture_output=True, text=True, check=True, timeout=60
    )
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def digest(dsn: str) -> dict[str, str]:
    """Every row of the catalogues that say what is there, object ids and rights included; and where each of their rows
    lies, in which version: nothing was written again."""
    found: dict[str, str] = {}
    with psycopg.connect(dsn) as connection:

        def keep(name: str, query: str) -> None:
            rows = connection.execute(query.encode(), {"restless": RESTLESS}).fetchall()
            found[name] = hashlib.sha256("\n".join(row[0] for row in rows).encode()).hexdigest()

        for catalogue, part in CATALOGUES.items():
            row = "(to_jsonb(t) - %(restless)s::text[])::text"
            keep(catalogue, f"select {row} from pg_catalog.{catalogue} t where {part} order by 1")
        for schema in ("public", "supabase_migrations"):
            tables = connection.execute("select tablename from pg_tables where schemaname = %s", (schema,)).fetchall()
            for (table,) in tables:
                keep(table, f"select ctid::text || xmin::text || t::text from {schema}.{table} t order by ctid")
    return found


async def with_port(dsn: str, work: Callable[[PostgresDatabase], Awaitable[None]]) -> None:
    database = PostgresDatabase(dsn, connections_max=2)
    await database.open()
    try:
        await work(database)
    finally:
        await database.close()


async def live(database: PostgresDatabase) -> None:
    """A deployment that went live, and a second agent with decisions of its own."""
    place = await Office(database).open()
    await place.deployed([make_item(1)])
    await AgentStore(database).register("other", at=NOON)
    await AuditStore(database).write("other", audit_body("feedback", words="Ü \u2028 \\ '", at="x"), NOON)


def verified(lines: str) -> dict[str, int]:
    """Rows by agent, recomputed by hand from the file alone."""
    heads: dict[str, tuple[int, str]] = {}
    for line in lines.splitlines():
        row = json.loads(line)
        seq, sha256 = heads.get(row["agent"], (0, "0" * 64))
        assert (row["seq"], row["prev_sha256"]) == (seq + 1, sha256)
        assert row["sha256"] == hashlib.sha256((sha256 + row["body"]).encode()).hexdigest()
        heads[row["agent"]] = (row["seq"], row["sha256"])
    return {agent: seq for agent, (seq, _) in heads.items()}


@pytest.mark.parametrize("server", ["server_dsn", "postgres_15_server_dsn"])
async def test_ours_goes_in_and_out_and_theirs_is_what_it_was(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with project(request.getfixturevalue(server)) as theirs:
        await in_and_out(theirs, tmp_path)


async def in_and_out(theirs: str, tmp_path: Path) -> None:
    before = dump(theirs), digest(theirs)
    assert "what people said" in before[0].lower()
    install(theirs)
    await with_port(theirs, live)
    with psycopg.connect(theirs) as connection:
        chain = connection.execute("select agent, count(*) from ratchet.decisions group by agent").fetchall()
    found = uninstall.installed(theirs)
    assert found is not None
    # One of the two agents decided, and was never registered.
    assert (found.agents, found.decisions) == (1, sum(n for _, n in chain))
    assert dump(theirs) != before[0]

    export = tmp_path / "audit.jsonl"
    assert uninstall.uninstall(theirs, export) == found.decisions
    assert dump(theirs) == before[0]
    assert digest(theirs) == before[1]
    assert verified(export.read_text(encoding="utf-8")) == dict(chain)
    assert export.stat().st_mode & 0o777 == 0o600

    # Again: nothing is there, and nothing happens.
    assert uninstall.uninstall(theirs, tmp_path / "again.jsonl") is None
    assert not (tmp_path / "again.jsonl").exists()
    assert uninstall.installed(theirs) is None
    # In again, and out by the script, pasted.
    install(theirs)
    run(theirs, uninstall.as_script(0))
    run(theirs, uninstall.as_script(0))
    assert dump(theirs) == before[0]
    assert digest(theirs) == before[1]


async def test_the_port_exports_the_same_file(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    over_port, direct = tmp_path / "port.jsonl", tmp_path / "direct.jsonl"

    async def export(database: PostgresDatabase) -> None:
        await live(database)
        exported = await uninstall.export_audit(database, over_port)
        assert exported == len(over_port.read_text(encoding="utf-8").splitlines())

    await with_port(theirs, export)
    exported = uninstall.uninstall(theirs, direct)
    assert exported == len(direct.read_bytes().split(b"\n")) - 1
    assert over_port.read_text(encoding="utf-8") == direct.read_text(encoding="utf-8")


async def test_without_ratchet_the_port_exports_nothing(theirs: str, tmp_path: Path) -> None:
    async def export(database: PostgresDatabase) -> None:
        assert await uninstall.export_audit(database, tmp_path / "audit.jsonl") is None

    await with_port(theirs, export)
    assert not (tmp_path / "audit.jsonl").exists()


def refused(dsn: str, tmp_path: Path, words: str) -> None:
    """Refused with these words; nothing was dropped, and no file is left."""
    before, export = dump(dsn), tmp_path / "audit.jsonl"
    with pytest.raises(DatabaseError, match=words) as told:
        uninstall.uninstall(dsn, export)
    assert str(told.value).endswith("nothing was dropped.")
    assert not export.exists()
    assert dump(dsn) == before


async def test_a_deployment_on_its_way_is_waited_for(theirs: str, tmp_path: Path) -> None:
    install(theirs)

    async def planned(database: PostgresDatabase) -> None:
        place = await Office(database).open()
        item = make_item(1)
        await place.decide(await place.pending([item]), approve(item))

    await with_port(theirs, planned)
    refused(theirs, tmp_path, "A deployment is on its way")
    with pytest.raises(psycopg.Error, match="A deployment is on its way"):
        run(theirs, uninstall.as_script(1))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            "create view public.mine as select id from public.optimization_sessions",
            "view mine depends on view optimization_sessions",
        ),
        ("create view public.mine as select agent from ratchet.traces", "view mine depends on table ratchet.traces"),
        ("create table ratchet.notes (id integer)", "table ratchet.notes depends on schema ratchet"),
        (
            "create function public.mine() returns jsonb language sql begin atomic"
            " select public.ratchet_schema_versions(); end",
            "function mine.. depends on function ratchet_schema_versions",
        ),
        (
            "create table public.mine (run uuid references ratchet.runs)",
            "constraint mine_run_fkey on table mine depends on table ratchet.runs",
        ),
    ],
)
def test_what_somebody_built_on_ours_is_named_and_stays(
    theirs: str, tmp_path: Path, statement: str, named: str
) -> None:
    install(theirs)
    run(theirs, statement)
    refused(theirs, tmp_path, f"Something of yours depends on what is to be dropped .*{named}")


def test_a_newer_schema_is_left_to_its_release(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    run(theirs, "insert into ratchet.schema_migrations values ('29991231000000', 'later')")
    refused(theirs, tmp_path, "The schema is newer than this release")


def test_a_script_that_waited_drops_no_decision_that_was_not_exported(theirs: str) -> None:
    install(theirs)
    with pytest.raises(psycopg.Error, match="not the one that was exported"):
        run(theirs, uninstall.as_script(7))
    assert uninstall.installed(theirs) is not None


def test_who_is_at_work_keeps_everything_where_it_is(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    export = tmp_path / "audit.jsonl"
    with psycopg.connect(theirs) as worker:
        worker.execute("select from ratchet.deployments for update")
        with pytest.raises(DatabaseError, match="Something is at work in the database"):
            uninstall.uninstall(theirs, export, lock_timeout_seconds=0.05)
    assert not export.exists()
    assert uninstall.installed(theirs) is not None


def test_a_file_that_is_there_is_not_written_over(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    export = tmp_path / "audit.jsonl"
    export.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        uninstall.uninstall(theirs, export)
    assert export.read_text() == "mine"
    assert uninstall.installed(theirs) is not None


def test_a_place_where_no_file_can_be_is_said_and_nothing_is_dropped(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\); name a file in a folder"):
        uninstall.uninstall(theirs, tmp_path / "nowhere" / "audit.jsonl")
    assert uninstall.installed(theirs) is not None


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create view public.optimization_sessions as select 1 as one", "public.optimization_sessions"),
        ("create table public.optimization_sessions (id integer)", "public.optimization_sessions"),
        ("create type public.optimization_sessions as (id integer)", "public.optimization_sessions"),
        ("create schema ratchet create table bolts (id integer)", "the schema ratchet, which holds bolts"),
        (
            "create function public.ratchet_wrench() returns jsonb language sql as $$ select '[]'::jsonb $$",
            "the function public.ratchet_wrench",
        ),
    ],
)
def test_what_has_a_name_of_ours_is_not_built_over(theirs: str, tmp_path: Path, statement: str, named: str) -> None:
    run(theirs, statement)
    before = dump(theirs)
    with pytest.raises(DatabaseError, match=f"under a name that Ratchet needs \\(.*{named}\\).*nothing was changed"):
        migrate.apply(theirs)
    with psycopg.connect(theirs, autocommit=True) as editor, pytest.raises(psycopg.errors.RaiseException, match=named):
        editor.execute(migrate.as_script(migrate.all_migrations()).encode())
    assert dump(theirs) == before
    assert uninstall.uninstall(theirs, tmp_path / "audit.jsonl") is None
    assert dump(theirs) == before


def test_a_view_that_took_the_place_of_ours_stays(theirs: str, tmp_path: Path) -> None:
    install(theirs)
    run(theirs, "drop view public.optimization_sessions; create view public.optimization_sessions as select 1 as one")
    assert uninstall.uninstall(theirs, tmp_path / "audit.jsonl") == 0
    with psycopg.connect(theirs) as connection:
        assert connection.execute("select one from public.optimization_sessions").fetchone() == (1,)


async def test_prompts_that_were_registered_go_and_the_owners_functions_of_such_a_name_stay(
    theirs: str, tmp_path: Path
) -> None:
    install(theirs)

    async def register(database: PostgresDatabase) -> None:
        registry = LocalRegistry(database, AGENT, ManualClock(NOON))
        await registry.publish("system", "text", commit_message="", metadata={}, deployment_id=uuid4())
        await registry.move_label("system", "prod", 1, expected=None)

    await with_port(theirs, register)
    for name, path in (("ratchet_wrench", ""), ("ratchet_tongs", "pg_catalog, pg_temp"), ("ratchet_saw", "public")):
        pinned = f"security definer set search_path = {path}" if path else ""
        run(theirs, f"create function public.{name}() returns integer language sql {pinned} as $$ select 1 $$")
    assert uninstall.uninstall(theirs, tmp_path / "audit.jsonl") == 0
    with psycopg.connect(theirs) as connection:
        left = connection.execute("select proname from pg_proc where proname like 'ratchet\\_%' order by 1").fetchall()
        assert left == [("ratchet_saw",), ("ratchet_tongs",), ("ratchet_wrench",)]
