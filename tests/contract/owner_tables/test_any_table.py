"""Tables of any make: other types, other names, rows that cannot be used, and what is never read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import DatabaseError, SettingsError
from optimizer.observe.owner.walk import PAGE_ROWS_MAX, ROW_BYTES_MAX
from optimizer.stores.owner_tables import OwnerTableStore, Position, TableRef
from tests.contract.owner_tables.beside import FAR_AHEAD, LONG_AGO, NOON, TABLE, Beside, call

DAY = timedelta(days=1)
NEVER = ("ratchet.traces", "pg_catalog.pg_authid", "information_schema.tables", "auth.users", "vault.secrets")


@pytest.mark.parametrize("name", NEVER)
async def test_no_mapping_reads_what_is_not_the_owners_own(beside: Beside, name: str) -> None:
    schema, table = name.split(".")
    if schema in ("auth", "vault"):
        beside.owner.run(f"create schema {schema}")
        beside.owner.run(f"create table {name} (id int, session_id text, created_at timestamptz, payload jsonb)")
    assert await beside.store.describe(schema, table) is None
    assert not [one for one in await beside.store.list() if one.schema_name == schema]
    beside.tables = {"traces": {"table": name}}
    [alarm] = (await beside.pull()).alarms
    assert alarm.startswith(f"[traces]: there is no table {name!r} that may be read")
    ref = TableRef(schema_name=schema, name=table, id="id", key="created_at", columns=("created_at", "id"))
    for reading in (_page(beside.store, ref), beside.store.all_rows(ref, rows_max=1, row_bytes_max=1)):
        with pytest.raises(DatabaseError, match="cannot be read"):
            await reading


def _page(store: OwnerTableStore, ref: TableRef, start: Position | None = None, **more: Any) -> Any:
    limits = {"rows_max": 10, "bytes_max": 10**6, "row_bytes_max": 10**6, **more}
    return store.page("traces x", ref, "d", start, **limits)


@pytest.mark.parametrize(
    "name", ["id) from pg_authid --", "ctid", "xmin", 'payload", (select 1) as "x', "created_at::text", "tableoid"]
)
async def test_a_column_is_a_column_of_the_table_and_nothing_else(beside: Beside, name: str) -> None:
    beside.add("s1", call("search"))
    good: dict[str, Any] = {"schema_name": "public", "name": "observability_traces", "id": "id", "key": "created_at"}
    for bad in (
        {**good, "columns": ("id", "created_at", name)},
        {**good, "id": name, "columns": ("created_at", name)},
        {**good, "key": name, "columns": ("id", name)},
        {**good, "key_or": name, "columns": ("created_at", "id", name)},
    ):
        with pytest.raises(DatabaseError, match=r"a column of .* is gone"):
            await _page(beside.store, TableRef(**bad))
    ref = TableRef(**good, columns=("created_at", "id"))
    with pytest.raises(DatabaseError, match="is gone"):
        await beside.store.rows_of(ref, name, ["x"], LONG_AGO, FAR_AHEAD, None, rows_max=1, row_bytes_max=1)


async def test_rows_of_the_same_moment_are_read_once_each_across_pages(beside: Beside) -> None:
    count = 2 * PAGE_ROWS_MAX + 3
    beside.owner.run(
        f"insert into {TABLE} (id, session_id, payload, created_at) "
        "select gen_random_uuid(), 's', '{}', %s from generate_series(1, %s)",
        NOON - DAY,
        count,
    )
    assert (await beside.pull()).rows == count
    assert beside.owner.run("select count(*) from ratchet.traces") == [(count,)]
    # The same backwards: a day that lies before the two that are read first.
    beside.owner.run("delete from ratchet.owner_marks")
    beside.owner.run("delete from ratchet.owner_rows")
    beside.owner.run("delete from ratchet.traces")
    beside.clock.advance(9 * DAY)
    assert (await beside.pull()).rows == count
    assert beside.owner.run("select count(*) from ratchet.traces") == [(count,)]


async def test_a_page_holds_no_more_bytes_than_wanted_but_always_a_row(beside: Beside) -> None:
    for _ in range(4):
        beside.add("s1", call("search", output="x" * 1000))
    mapped = await beside.ratchet.owner_tables.mapped(beside.ratchet.settings.tables[0])
    page = await _page(beside.store, mapped.ref, bytes_max=10)
    assert (page.seen, page.ended) == (1, False)
    seen = [page]
    while not page.ended:
        page = await _page(beside.store, mapped.ref, page.last, bytes_max=2500)
        seen.append(page)
    assert sum(page.seen for page in seen) == 4


async def test_other_types_and_names_are_read_as_well(beside: Beside) -> None:
    beside.owner.run(
        'create table public."Agent Runs" (run_id bigint primary key, "Thread" varchar(40), "createdAt" timestamp, '
        "info json, spent text, used jsonb)"
    )
    payload = {"trace": {"events": [{"event": "tool_start", "data": {"toolName": "search"}}]}, "note": "a\u0000b"}
    beside.owner.run(
        'insert into public."Agent Runs" values (7, %s, %s, %s, %s, %s)',
        "thread",
        "2026-03-02 11:00:00",
        json.dumps(payload),
        "$0.50",
        json.dumps({"in": "1,200"}),
    )
    columns = {
        "id": "run_id",
        "session_id": "Thread",
        "created_at": "createdAt",
        "events": "info.trace.events",
        "cost_usd": "spent",
        "tokens_in": "used.in",
    }
    beside.tables = {"traces": {"table": "public.Agent Runs", "agent": "other", "columns": columns}}
    assert (await beside.pull()).alarms == ()
    found = await beside.store.traces_of("public.Agent Runs", ["thread"], LONG_AGO, FAR_AHEAD, traces_max=10)
    [(agent, trace)] = found
    assert (agent, trace["trace_id"], trace["started_at"]) == ("other", "7", "2026-03-02T11:00:00+00:00")
    assert [event["type"] for event in trace["events"]] == ["tool_call", "llm_call"]
    assert (trace["events"][1].get("cost_usd"), trace["events"][1].get("tokens_in")) == (0.5, 1200)
    assert (await beside.pull()).rows == 0


async def test_a_payload_of_null_or_of_json_in_text_is_no_trouble(beside: Beside) -> None:
    empty = beside.add("s1", payload=None)
    textual = beside.add("s1")
    beside.owner.run(
        f"update {TABLE} set payload = to_jsonb(%s::text) where id = %s",
        json.dumps({"events": [call("search")], "prompt_version": "3f2a9c1"}),
        textual,
    )
    assert (await beside.pull()).refused == 0
    traces = await beside.traces("s1")
    assert traces[empty]["events"] == []
    assert len(traces[textual]["events"]) == 2
    assert traces[textual]["prompts"] == {"": "3f2a9c1"}


async def test_a_row_that_cannot_be_used_is_refused_with_its_reason_and_the_others_go_on(beside: Beside) -> None:
    late = beside.add("s1", call("search", timestamp="2031-01-01T00:00:00Z"))
    broken = beside.add("s2")
    beside.owner.run(f"update {TABLE} set payload = to_jsonb('{{\"events\": ['::text) where id = %s", broken)
    beside.add("s3", call("search"))
    huge = beside.add("s4")
    beside.owner.run(
        f"update {TABLE} set payload = jsonb_build_object('x', repeat('x', %s)) where id = %s", ROW_BYTES_MAX, huge
    )
    pulled = await beside.pull()
    assert (pulled.rows, pulled.refused) == (4, 3)
    [alarm] = pulled.alarms
    assert alarm.startswith(f"3 rows of {TABLE} could not be used (row ")
    refused = await beside.store.refused(f"traces {TABLE}", LONG_AGO)
    reasons = dict(refused.examples)
    assert "more than 24 hours in the future" in reasons[late]
    assert "begins like JSON, but it is not JSON" in reasons[broken]
    assert reasons[huge] == "it is larger than 8 MB"
    assert len(await beside.traces("s1", "s2", "s3", "s4")) == 1
    # Said as long as it is news, and once it is mended no more.
    assert (await beside.pull()).alarms == (alarm,)
    beside.owner.run(f"update {TABLE} set payload = '{{}}'")
    assert (await beside.pull()).alarms == ()


async def test_one_endless_session_id_stays_many_traces_of_many_agent_sessions(beside: Beside) -> None:
    for days in range(60):
        beside.add("chat-1", {"type": "user", "content": "hello"}, ago=days * DAY)
    await beside.pull()
    assert len(await beside.traces("chat-1")) == 60
    await beside.database.call("rollups_fold", agent="wild", hours_max=1000)
    sessions = "select sum(n) from ratchet.rollups where name = 'sessions' and labels = '{}'"
    assert beside.owner.run(sessions) == [(60,)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"session_id": "sesion_id"}, "has no column 'sesion_id' (did you mean 'session_id'?)"),
        ({"events": "payloads.events"}, "has no column 'payloads' (did you mean 'payload'?)"),
        ({"model": "steps.model"}, "the column 'steps' is integer, so nothing stands inside"),
        ({"created_at": "session_id"}, "is text, no time"),
        ({"updated_at": "payload.updated_at"}, "it must be a column, not a path into one"),
    ],
)
async def test_a_column_that_is_not_there_is_told_with_its_neighbour(
    beside: Beside, columns: dict[str, str], said: str
) -> None:
    beside.tables = {"traces": {"table": TABLE, "columns": columns}}
    with pytest.raises(SettingsError) as caught:
        await beside.ratchet.owner_tables.mapped(beside.ratchet.settings.tables[0])
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")
    assert (await beside.pull()).alarms == (str(caught.value),)


async def test_a_role_that_may_not_read_or_sees_nothing_is_told(beside: Beside, dsn: str) -> None:
    beside.add("s1", call("search"))
    role = "ratchet_reader"
    beside.owner.run(
        f"do $$ begin create role {role} login; exception when duplicate_object or unique_violation then null; end $$"
    )
    for (function,) in beside.owner.run(
        "select oid::regprocedure::text from pg_proc where proname ~ '^(ratchet_)?owner_'"
    ):
        beside.owner.run(f"grant execute on function {function} to {role}")
        beside.owner.run(f"alter function {function} security invoker")
    beside.owner.run(f"grant usage on schema ratchet to {role}")
    database = PostgresDatabase(make_conninfo(dsn, user=role), connections_max=1)
    await database.open()
    try:
        store = OwnerTableStore(database)
        described = await store.describe("public", "observability_traces", counted=True)
        assert described is not None
        assert (described.readable, described.rows) == (False, None)
        beside.owner.run(f"grant select on {TABLE} to {role}")
        described = await store.describe("public", "observability_traces", counted=True)
        assert described is not None
        assert (described.readable, described.hidden) == (True, True)
    finally:
        await database.close()
        beside.owner.run(f"drop owned by {role}")
