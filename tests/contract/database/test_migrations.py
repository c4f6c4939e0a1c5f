"""Migrations: from nothing to current, again, by hand, and the functions they leave."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from optimizer.db import migrate
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import DatabaseUnavailable, SchemaTooOld, UsageError
from optimizer.records.states import DeploymentState, ItemState, SessionState
from scripts.migration import changed, functions
from tests.plugins.database import with_database
from tests.plugins.pgbouncer import PORT
from tests.plugins.supabase import CREATE_ROLE


@pytest.fixture
def bare_dsn(server_dsn: str):
    """A database without anything of ours."""
    name = f"bare_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield with_database(server_dsn, name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def definitions(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select p.oid::regprocedure::text, pg_get_functiondef(p.oid) from pg_proc p"
            " join pg_namespace n on n.oid = p.pronamespace"
            " where n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\\_%')"
        ).fetchall()
    return dict(rows)


def test_every_function_stands_in_a_migration_as_its_source_says():
    assert changed() == {}, "run scripts/migration NAME"


def test_migrating_gives_the_same_functions_as_the_sources(bare_dsn: str):
    migrate.apply(bare_dsn)
    migrated = definitions(bare_dsn)
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        for path in sorted((migrate.migrations_folder() / "functions").glob("*.sql")):
            for source in functions(path.read_text(encoding="utf-8")).values():
                connection.execute(source.encode())
    assert migrated
    assert definitions(bare_dsn) == migrated


def test_migrating_again_changes_nothing(bare_dsn: str):
    assert migrate.apply(bare_dsn) == migrate.all_migrations()
    assert migrate.apply(bare_dsn) == ()


def test_migrating_through_a_pooler_in_transaction_mode(bare_dsn: str, pooler_host: str):
    pooled = make_conninfo(bare_dsn, host=pooler_host, port=PORT)
    assert migrate.apply(pooled) == migrate.all_migrations()
    assert migrate.apply(bare_dsn) == ()


def test_several_migrators_at_once_apply_each_file_once(bare_dsn: str):
    with ThreadPoolExecutor(4) as pool:
        applied = [one for many in pool.map(migrate.apply, [bare_dsn] * 4) for one in many]
    assert sorted(one.version for one in applied) == [one.version for one in migrate.all_migrations()]


def test_the_script_leaves_the_same_state_as_the_command(bare_dsn: str):
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        connection.execute(migrate.as_script(migrate.all_migrations()).encode())
    assert migrate.apply(bare_dsn) == ()


def test_copying_into_a_folder_copies_what_is_not_there(tmp_path: Path):
    assert [path.name for path in migrate.copy_into(tmp_path)] == [one.path.name for one in migrate.all_migrations()]
    assert migrate.copy_into(tmp_path) == ()


def test_copying_into_a_folder_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a folder"):
        migrate.copy_into(tmp_path / "nowhere")


async def test_a_schema_that_is_too_old_names_the_command(bare_dsn: str):
    database = PostgresDatabase(bare_dsn, connections_max=1)
    await database.open()
    try:
        with pytest.raises(SchemaTooOld, match="run `ratchet migrate`"):
            await migrate.require_current(database)
        migrate.apply(bare_dsn)
        await migrate.require_current(database)
    finally:
        await database.close()


def test_an_unreachable_server_is_one_sentence():
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        migrate.apply("host=/nowhere dbname=x")


async def test_the_states_in_code_are_those_of_the_table_of_transitions(database: PostgresDatabase):
    moves = await database.call("schema_transitions")
    for record, states in (("session", SessionState), ("item", ItemState), ("deployment", DeploymentState)):
        named = {move[end] for move in moves if move["record"] == record for end in ("from", "to")}
        assert named == {state.value for state in states}


def test_row_level_security_is_on_for_every_table_of_ours(dsn: str):
    with psycopg.connect(dsn) as connection:
        open_tables = connection.execute(
            "select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'ratchet' and c.relkind = 'r' and not c.relrowsecurity"
        ).fetchall()
    assert open_tables == []


def test_no_function_of_ours_finds_a_temporary_table_first(dsn: str):
    with psycopg.connect(dsn) as connection:
        open_paths = connection.execute(
            "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " where (n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\\_%'))"
            " and not exists (select from unnest(p.proconfig) setting where setting ~ '^search_path=.*, pg_temp$')"
        ).fetchall()
    assert open_paths == []


def test_nobody_may_call_our_functions_but_the_service_role(bare_dsn: str):
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(CREATE_ROLE.format(role=role).encode())
        migrate.apply(bare_dsn)
        rows = connection.execute(
            "select p.proname, has_function_privilege('anon', p.oid, 'execute'),"
            " has_function_privilege('service_role', p.oid, 'execute') from pg_proc p"
            " join pg_namespace n on n.oid = p.pronamespace"
            " where n.nspname = 'public' and p.proname like 'ratchet\\_%'"
        ).fetchall()
    assert rows
    assert [name for name, anonymous, service in rows if anonymous or not service] == []


def test_the_view_of_sessions_is_read_only_and_for_the_service_role_alone(bare_dsn: str):
    with psycopg.connect(bare_dsn, autocommit=True) as connection:
        for role in ("anon", "authenticated", "service_role"):
            connection.execute(CREATE_ROLE.format(role=role).encode())
        migrate.apply(bare_dsn)
        allowed = connection.execute(
            "select has_table_privilege('anon', 'public.optimization_sessions', 'select'),"
            " has_table_privilege('service_role', 'public.optimization_sessions', 'select'),"
            " has_table_privilege('service_role', 'public.optimization_sessions', 'insert'),"
            " (select is_insertable_into from information_schema.tables where table_name = 'optimization_sessions')"
        ).fetchone()
    assert allowed == (False, True, False, "NO")
