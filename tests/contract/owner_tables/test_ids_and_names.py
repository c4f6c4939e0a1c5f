"""Ids of any type and names of any kind: every row is read once, and none is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizer.observe.owner.walk import PAGE_ROWS_MAX
from tests.contract.owner_tables.beside import AGENT, FAR_AHEAD, LONG_AGO, NOON, Beside

ID_TYPES = ("char(12)", "varchar(12)", "text", "integer", "bigint", "numeric", "uuid")


@pytest.mark.parametrize("type_", ID_TYPES)
async def test_an_id_of_any_type_leads_through_rows_of_one_moment(beside: Beside, type_: str) -> None:
    count = PAGE_ROWS_MAX + 3
    made = (
        "md5(n::text)::uuid" if type_ == "uuid" else "n" if type_ in ("integer", "bigint", "numeric") else "'run-' || n"
    )
    beside.owner.run(f"create table public.runs (id {type_}, session_id text, created_at timestamptz, payload jsonb)")
    beside.owner.run(
        f"insert into public.runs select {made}, 's' || n, %s, '{{}}' from generate_series(1, %s) as n", NOON, count
    )
    beside.tables = {"traces": {"table": "runs", "agent": "other"}}
    assert (await beside.pull()).rows == count
    assert beside.owner.run("select count(*) from ratchet.traces") == [(count,)]
    beside.owner.run("delete from public.runs where session_id = 's7'")
    pulled = await beside.pull()
    assert (pulled.rows, pulled.gone) == (0, 1)


async def test_a_mapping_with_an_id_of_another_type_takes_the_place_of_the_one_before(beside: Beside) -> None:
    beside.owner.run(
        "create table public.runs (name text, uuid uuid, session_id text, created_at timestamptz, payload jsonb)"
    )
    beside.owner.run(
        "insert into public.runs select 'run ' || n, gen_random_uuid(), 's', %s, '{}' from generate_series(1, 3) as n",
        NOON,
    )
    for id_, gone in (("name", 0), ("uuid", 3), ("name", 3)):
        beside.tables = {"traces": {"table": "runs", "agent": AGENT, "columns": {"id": id_}}}
        pulled = await beside.pull()
        assert (pulled.rows, pulled.gone, pulled.alarms) == (3, gone, ())
        [(ids,)] = beside.owner.run(f"select array_agg({id_}::text) from public.runs")
        found = await beside.store.traces_of("public.runs", ["s"], LONG_AGO, FAR_AHEAD, traces_max=10)
        assert sorted(trace["trace_id"] for _, trace in found) == sorted(ids)


async def test_many_rows_that_are_gone_at_once_go_in_several_pages(beside: Beside) -> None:
    beside.owner.run("create table public.runs (id integer, session_id text, created_at timestamptz, payload jsonb)")
    count = 10 * PAGE_ROWS_MAX + 7
    beside.owner.run("insert into public.runs select n, 's', %s, '{}' from generate_series(1, %s) as n", NOON, count)
    beside.tables = {"traces": {"table": "runs", "agent": AGENT}}
    assert (await beside.pull()).rows == count
    beside.owner.run("delete from public.runs where id > 1")
    pulled = await beside.pull()
    assert (pulled.rows, pulled.gone, pulled.alarms) == (0, count - 1, ())
    assert beside.owner.run("select trace_id from ratchet.traces") == [("1",)]
    # One that moved is not gone, however many there are.
    beside.owner.run("update public.runs set created_at = created_at + interval '1 minute'")
    assert ((await beside.pull()).gone, beside.owner.run("select count(*) from ratchet.traces")) == (0, [(1,)])


NAMES = ("100%s $1 %I", "a'; drop table runs; --", 'a"b', "\\x", "ratchet", "select", "ünï 漢")


@pytest.mark.parametrize("name", NAMES)
async def test_names_of_any_kind_reach_sql_as_names(beside: Beside, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    made = f"create table public.{quoted} ({quoted} text, session_id text, created_at timestamptz, payload jsonb)"
    beside.owner.connection.execute(made.encode())
    fill = f"insert into public.{quoted} values ('1', 's', '{NOON}', '{{}}'), ('2', 's', '{NOON}', '{{}}')"
    beside.owner.connection.execute(fill.encode())
    beside.tables = {"traces": {"table": f"public.{name}", "agent": AGENT, "columns": {"id": name, "release": name}}}
    pulled = await beside.pull()
    assert (pulled.rows, pulled.alarms) == (2, ())
    beside.owner.connection.execute(f"delete from public.{quoted} where {quoted} = '1'".encode())
    assert (await beside.pull()).gone == 1


async def test_rows_without_an_id_or_a_time_are_left_and_the_others_go_on(beside: Beside) -> None:
    beside.owner.run("create table public.runs (id text, session_id text, created_at timestamp, payload jsonb)")
    beside.owner.run(
        "create table public.chat (id text, session_id text, created_at timestamp, role text, content text)"
    )
    for name in ("runs", "chat"):
        beside.owner.run(
            f"insert into public.{name} (id, session_id, created_at) "
            "values (null, 'a', %s), ('1', 'a', %s), ('1', 'a', %s), ('2', null, %s), ('3', 'a', null)",
            *[NOON - timedelta(minutes=10)] * 4,
        )
    beside.tables = {"traces": {"table": "runs", "agent": AGENT}, "messages": {"table": "chat"}}
    assert (await beside.pull()).alarms == ()
    found = await beside.store.traces_of("public.runs", ["a", "2"], LONG_AGO, FAR_AHEAD, traces_max=10)
    assert sorted(trace["trace_id"] for _, trace in found) == ["1", "2"]
    assert (await beside.pull()).rows == 0
