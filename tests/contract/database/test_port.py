"""One contract for every transport of the database port."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import DatabaseConflict, DatabaseError, DatabaseUnavailable, FunctionMissing, UsageError

PROBES = """
create table public.probe (id integer primary key);
create function public.ratchet_probe_rows(p_count integer) returns jsonb language sql as
  $$ select jsonb_agg(jsonb_build_object('n', n, 'text', repeat('é', 20))) from generate_series(1, p_count) n $$;
create function public.ratchet_probe_insert(p_id integer) returns jsonb language plpgsql as
  $$ begin insert into public.probe values (p_id); return to_jsonb(p_id); end $$;
create function public.ratchet_probe_echo(p_value jsonb, p_at timestamptz) returns jsonb language sql as
  $$ select jsonb_build_object('value', p_value, 'at', p_at) $$;
create function public.ratchet_probe_sleep(p_seconds double precision) returns jsonb language sql as
  $$ select to_jsonb(pg_sleep(p_seconds) is null) $$;
create function public.ratchet_probe_fail() returns jsonb language plpgsql as
  $$ begin raise exception 'the moon is full'; end $$;
create function public.ratchet_probe_refuse(p_code text) returns jsonb language plpgsql as
  $$ begin raise exception 'the moon is full' using errcode = p_code; end $$;
"""


@pytest.fixture
async def port(dsn: str, database: PostgresDatabase) -> PostgresDatabase:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(PROBES)
    return database


async def test_an_answer_of_5000_rows_comes_whole(port: PostgresDatabase):
    rows = await port.call("probe_rows", count=5000)
    assert [row["n"] for row in rows] == list(range(1, 5001))
    assert rows[0]["text"] == "é" * 20


async def test_a_value_comes_back_as_it_went(port: PostgresDatabase):
    value = {"a": [1, 2.5, None, True, "ü\n\"'"], "b": {"c": []}}
    answer = await port.call("probe_echo", value=value, at="2026-02-26T06:00:00Z")
    assert answer["value"] == value
    assert answer["at"].startswith("2026-02-26T06:00:00")


async def test_null_is_none(port: PostgresDatabase):
    assert await port.call("probe_rows", count=0) is None


async def test_a_unique_violation_is_a_conflict_with_its_cause(port: PostgresDatabase):
    await port.call("probe_insert", id=1)
    with pytest.raises(DatabaseConflict) as refused:
        await port.call("probe_insert", id=1)
    assert isinstance(refused.value.__cause__, psycopg.errors.UniqueViolation)


async def test_a_missing_function_names_the_command_that_mends_it(port: PostgresDatabase):
    with pytest.raises(FunctionMissing, match="run `ratchet migrate`"):
        await port.call("no_such_thing")


async def test_an_argument_that_the_function_does_not_have_is_a_missing_function(port: PostgresDatabase):
    with pytest.raises(FunctionMissing):
        await port.call("probe_insert", identity=1)


async def test_any_other_failure_is_ours_with_the_reason(port: PostgresDatabase):
    with pytest.raises(DatabaseError, match="the moon is full") as failed:
        await port.call("probe_fail")
    assert failed.value.__cause__ is not None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("53100", r"The disk of the database .* is full \(the moon is full\).*make room there"),
        ("40P01", "others who wrote the same .*; try again"),
        ("40001", "others who wrote the same .*; try again"),
        ("53200", "failed in the database: the moon is full"),
        ("54000", "failed in the database: the moon is full"),
    ],
)
async def test_a_server_that_refuses_has_not_gone_away(port: PostgresDatabase, code: str, said: str):
    with pytest.raises(DatabaseError, match=said) as refused:
        await port.call("probe_refuse", code=code)
    assert not isinstance(refused.value, DatabaseUnavailable)


@pytest.mark.parametrize("code", ["08006", "57P01", "57P03"])
async def test_a_server_that_says_it_is_leaving_has_gone_away(port: PostgresDatabase, code: str):
    with pytest.raises(DatabaseUnavailable, match="went away"):
        await port.call("probe_refuse", code=code)


async def test_a_name_is_never_code(port: PostgresDatabase):
    with pytest.raises(DatabaseError, match="is not a name"):
        await port.call("probe_fail(); drop table public.probe; --")


async def test_the_server_goes_away_in_mid_call_and_comes_back(port: PostgresDatabase, dsn: str):
    sleeping = asyncio.create_task(port.call("probe_sleep", seconds=30))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(200):
            ended = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and query like '%probe_sleep%'"
            ).fetchall()
            if ended:
                break
            await asyncio.sleep(0.02)
    with pytest.raises(DatabaseUnavailable, match="may or may not have taken effect"):
        await sleeping
    assert await port.call("probe_rows", count=1)


async def test_every_idle_connection_dies_and_the_next_call_works_again(port: PostgresDatabase, dsn: str):
    await asyncio.gather(*(port.call("probe_sleep", seconds=0.05) for _ in range(4)))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    with pytest.raises(DatabaseUnavailable):
        await port.call("probe_rows", count=1)
    assert await port.call("probe_rows", count=1)


async def test_fifty_callers_at_once_are_all_served(port: PostgresDatabase):
    answers = await asyncio.gather(*(port.call("probe_insert", id=id_) for id_ in range(50)))
    assert answers == list(range(50))


async def test_a_call_that_takes_too_long_is_given_up(port: PostgresDatabase, dsn: str):
    impatient = PostgresDatabase(dsn, connections_max=1, call_timeout_seconds=0.2)
    await impatient.open()
    try:
        with pytest.raises(DatabaseError, match="was given up"):
            await impatient.call("probe_sleep", seconds=30)
        assert await impatient.call("probe_rows", count=1)
    finally:
        await impatient.close()


async def test_a_wrong_address_is_said_without_its_password():
    with pytest.raises(UsageError, match="DATABASE_URL is not a PostgreSQL address") as wrong:
        PostgresDatabase("mysql://user:geheim@host/db")
    assert "geheim" not in str(wrong.value)
