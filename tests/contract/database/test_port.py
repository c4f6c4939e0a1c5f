"""One contract for every transport of the database port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import psycopg
import pytest

from optimizer.db.port import Database
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import (
    CallTooLong,
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    FunctionMissing,
    UsageError,
)
from optimizer.records.base import canonical_json
from tests.plugins.transports import Transport

PROBES = """
create table public.probe (id integer primary key);
create function public.ratchet_probe_rows(p_count integer) returns jsonb language sql as
  $$ select jsonb_agg(jsonb_build_object('n', n, 'text', repeat('é', 20))) from generate_series(1, p_count) n $$;
create function public.ratchet_probe_insert(p_id integer) returns jsonb language plpgsql security definer as
  $$ begin insert into public.probe values (p_id); return to_jsonb(p_id); end $$;
create function public.ratchet_probe_echo(p_value jsonb, p_at timestamptz, p_id uuid) returns jsonb language sql as
  $$ select jsonb_build_object('value', p_value, 'at', p_at, 'id', p_id) $$;
create function public.ratchet_probe_text(p_value jsonb) returns jsonb language sql as
  $$ select jsonb_build_object('text', p_value::text, 'type', jsonb_typeof(p_value)) $$;
create function public.ratchet_probe_optional(p_a integer default 7, p_b text default null) returns jsonb
  language sql as $$ select jsonb_build_array(p_a, p_b) $$;
create function public.ratchet_probe_sleep(p_seconds double precision) returns jsonb language sql as
  $$ select to_jsonb(pg_sleep(p_seconds) is null) $$;
create function public.ratchet_probe_fail() returns jsonb language plpgsql as
  $$ begin raise exception 'the moon is full'; end $$;
create function public.ratchet_probe_refuse(p_code text) returns jsonb language plpgsql as
  $$ begin raise exception 'the moon is full' using errcode = p_code; end $$;
notify pgrst, 'reload schema';
"""
PATIENCE_SECONDS = 60


@pytest.fixture
async def port(transport: Transport) -> Database:
    with psycopg.connect(transport.dsn, autocommit=True) as connection:
        connection.execute(PROBES)
    database = await transport.open()
    await works(database)
    return database


async def works(database: Database) -> None:
    """A server that was told of new functions, or that came back, may take a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            assert await database.call("probe_rows", count=1)
            return
        except (DatabaseUnavailable, FunctionMissing):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.02)


async def test_an_answer_of_5000_rows_comes_whole(port: Database):
    rows = await port.call("probe_rows", count=5000)
    assert [row["n"] for row in rows] == list(range(1, 5001))
    assert rows[0]["text"] == "é" * 20


async def test_a_value_comes_back_as_it_went(port: Database):
    value = {"a": [1, 2.5, None, True, "ü\n\"'"], "b": {"c": []}}
    at, id_ = datetime(2026, 2, 26, 7, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1))), uuid4()
    answer = await port.call("probe_echo", value=value, at=at, id=id_)
    assert answer["value"] == value
    assert datetime.fromisoformat(answer["at"]) == at
    assert answer["id"] == str(id_)


@pytest.mark.parametrize(
    "value",
    [
        [0, -1, 2**53 + 1, 10**30, 0.1, 1e-300, 1e22, 1.0, 12345678.9],
        ["", " ", "\\", "'; drop table x; --", "\t\r\n\x7f", "\u2028", "ẞ漢\U0001f40e", "e\u0301"],
        {"": {"a b": [], "é": {}}, "nested": [[[[]]]], "null": None, "no": False},
        [],
        {},
    ],
)
async def test_what_is_stored_is_the_same_by_every_way(port: Database, transport: Transport, value: object):
    """Numbers with all their digits, texts to the byte."""
    answer = await port.call("probe_text", value=value)
    with psycopg.connect(transport.dsn) as connection:
        row = connection.execute("select %s::jsonb::text", (canonical_json(value),)).fetchone()
    assert row is not None
    assert answer["text"] == row[0]
    assert await port.call("probe_echo", value=value, at=None, id=None) == {"value": value, "at": None, "id": None}


async def test_none_is_null_and_no_json_value(port: Database):
    assert await port.call("probe_text", value=None) == {"text": None, "type": None}


async def test_arguments_may_be_left_out(port: Database):
    assert await port.call("probe_optional") == [7, None]
    assert await port.call("probe_optional", b="b") == [7, "b"]


async def test_four_megabytes_go_and_come(port: Database):
    value = [{"n": n, "text": "é" * 500} for n in range(4096)]
    answer = await port.call("probe_echo", value=value, at=None, id=None)
    assert answer["value"] == value


async def test_null_is_none(port: Database):
    assert await port.call("probe_rows", count=0) is None


async def test_a_unique_violation_is_a_conflict_with_its_cause(port: Database):
    await port.call("probe_insert", id=1)
    with pytest.raises(DatabaseConflict) as refused:
        await port.call("probe_insert", id=1)
    assert refused.value.__cause__ is not None


async def test_a_missing_function_names_the_command_that_mends_it(port: Database):
    with pytest.raises(FunctionMissing, match="run `ratchet migrate`"):
        await port.call("no_such_thing")


async def test_an_argument_that_the_function_does_not_have_is_a_missing_function(port: Database):
    with pytest.raises(FunctionMissing):
        await port.call("probe_insert", identity=1)


async def test_any_other_failure_is_ours_with_the_reason(port: Database):
    with pytest.raises(DatabaseError, match="the moon is full") as failed:
        await port.call("probe_fail")
    assert failed.value.__cause__ is not None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("53100", r"The disk of the database .* is full \(the moon is full\).*make room there"),
        ("40P01", "others who wrote the same .*; try again"),
        ("53200", "failed in the database: the moon is full"),
        ("54000", "failed in the database: the moon is full"),
    ],
)
async def test_a_server_that_refuses_has_not_gone_away(port: Database, code: str, said: str):
    with pytest.raises(DatabaseError, match=said) as refused:
        await port.call("probe_refuse", code=code)
    assert not isinstance(refused.value, DatabaseUnavailable)


async def test_a_serialization_failure_asks_to_try_again(dsn: str, database: PostgresDatabase):
    """Not over PostgREST, which tries again by itself, for ever; none of our functions can fail so."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(PROBES)
    with pytest.raises(DatabaseError, match=r"others who wrote the same .*; try again"):
        await database.call("probe_refuse", code="40001")


@pytest.mark.parametrize("code", ["08006", "57P01", "57P03"])
async def test_a_server_that_says_it_is_leaving_has_gone_away(port: Database, code: str):
    with pytest.raises(DatabaseUnavailable, match="went away"):
        await port.call("probe_refuse", code=code)


async def test_a_name_is_never_code(port: Database):
    with pytest.raises(DatabaseError, match="is not a name"):
        await port.call("probe_fail(); drop table public.probe; --")


async def test_a_call_that_the_server_ends_asks_for_less_at_once(port: Database):
    with pytest.raises(CallTooLong, match="ended the call 'probe_refuse': the moon is full"):
        await port.call("probe_refuse", code="57014")


async def test_the_server_goes_away_in_mid_call_and_comes_back(port: Database, transport: Transport):
    sleeping = asyncio.create_task(port.call("probe_sleep", seconds=30))
    with psycopg.connect(transport.dsn, autocommit=True) as connection:
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
    await works(port)


async def test_every_idle_connection_dies_and_the_next_call_works_again(port: Database, transport: Transport):
    await asyncio.gather(*(port.call("probe_sleep", seconds=0.05) for _ in range(4)))
    with psycopg.connect(transport.dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    # A server in between may notice first, and get another connection by itself.
    with contextlib.suppress(DatabaseUnavailable):
        await port.call("probe_rows", count=1)
    await works(port)


async def test_fifty_callers_at_once_are_all_served(port: Database):
    answers = await asyncio.gather(*(port.call("probe_insert", id=id_) for id_ in range(50)))
    assert answers == list(range(50))


async def test_a_call_that_takes_too_long_is_given_up(port: Database, transport: Transport):
    impatient = await transport.open(connections_max=1, call_timeout_seconds=0.5)
    with pytest.raises(CallTooLong, match="was given up"):
        await impatient.call("probe_sleep", seconds=5)
    await works(impatient)


async def test_a_wrong_address_is_said_without_its_password():
    with pytest.raises(UsageError, match="DATABASE_URL is not a PostgreSQL address") as wrong:
        PostgresDatabase("mysql://user:geheim@host/db")
    assert "geheim" not in str(wrong.value)
