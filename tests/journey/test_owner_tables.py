"""The owner's own tables, read where they are: the facts are the same, and so are the tables."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.observe.declare import read_tools
from optimizer.observe.snapshot import take_snapshot
from optimizer.settings import Environment, Settings, parse_values
from optimizer.wiring import Ratchet, wire
from tests.journey.cli.program import Ratchet as Program
from tests.journey.owners import Owner, row_id, wild_row
from tests.journey.shared import NOW, SHARED_TRACES, WHOLE_TIME
from tests.journey.test_truth import (
    RUNS,
    check_repeats,
    check_sessions,
    check_tokens_and_cost,
    check_tools,
    runs,
    truth,
)

AGENT = "wild"


@pytest.fixture
def owner(dsn: str) -> Iterator[Owner]:
    owner = Owner(dsn)
    yield owner
    owner.close()


def opened(database: Database, clock: ManualClock, **tables: Any) -> Ratchet:
    tables = tables or {"traces": {"table": "observability_traces", "agent": AGENT}}
    settings = Settings(file=parse_values(tables), environment=Environment())
    return wire(settings, database, clock, lambda agent: People(frozenset(), frozenset()))


def cut(row: dict[str, Any], events: int) -> dict[str, Any]:
    """The row as it was when the run had only begun."""
    return {**row, "success": None, "payload": {**row["payload"], "events": row["payload"]["events"][:events]}}


@pytest.mark.shared_data("traces")
@pytest.mark.parametrize("run", RUNS)
async def test_the_facts_of_a_run_equal_the_truth_in_pieces_out_of_order_grown_and_deleted(
    run: str, database: Database, owner: Owner
) -> None:
    clock, lines, chance = ManualClock(NOW), list(runs()[run]), random.Random(run)
    ratchet = opened(database, clock)
    before = owner.digest()
    chance.shuffle(lines)
    rows = [wild_row(line, NOW - timedelta(minutes=chance.randrange(300))) for line in lines]
    third = len(rows) // 3
    # Some are there from the start, some have only begun, some appear late with an old date.
    owner.insert("observability_traces", [cut(row, 2) for row in rows[:third]])
    owner.insert("observability_traces", rows[third : 2 * third])
    stray = {**rows[-1], "id": "00000000-0000-0000-0000-000000000000", "session_id": "a mistake"}
    owner.insert("observability_traces", [stray])
    assert (await ratchet.owner_tables.pull()).alarms == ()
    for row in rows[:third]:
        owner.run("delete from public.observability_traces where id = %s", row["id"])
    owner.insert("observability_traces", rows[:third])
    owner.insert("observability_traces", rows[2 * third :])
    owner.run("delete from public.observability_traces where session_id = 'a mistake'")
    clock.advance(timedelta(days=1))
    pulled = await ratchet.owner_tables.pull()
    assert (pulled.rows, pulled.gone, pulled.refused) == (len(rows) - third, 1, 0)
    await ratchet.agents.register(AGENT, at=NOW, tools=read_tools(SHARED_TRACES / lines[0]["tools_file"]))
    snapshot = await take_snapshot(ratchet.agents, ratchet.rollups, AGENT, WHOLE_TIME, exact=True, prompts={})
    dev = truth()[run]["dev"]
    check_sessions(snapshot, dev)
    check_repeats(snapshot, dev)
    check_tools(snapshot, dev)
    check_tokens_and_cost(snapshot, dev)
    assert owner.digest() == before


@pytest.fixture
def ratchet(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(tmp_path, dsn, monkeypatch, capsys)


def traffic(count: int, now: datetime) -> Iterator[dict[str, Any]]:
    """Sessions of the last day, in which book_room fails half of the time."""
    for number in range(count):
        failed = {"error": "no such room"} if number % 2 else {"output": "booked"}
        events = [
            {"type": "user", "content": f"book a room for {number}"},
            {"type": "tool_use", "tool": "book_room", "input": {"n": number}, "duration_ms": 40, **failed},
            {"type": "assistant", "content": "done"},
        ]
        yield {
            "id": row_id(f"row {number}"),
            "session_id": f"s{number}",
            "cost": 0.05,
            "payload": {"events": events, "prompt_version": "3f2a9c1"},
            "created_at": now - timedelta(minutes=10 * (number + 1)),
        }


def test_doctor_proposes_the_lines_and_a_run_reads_the_tables_by_them(ratchet: Program, owner: Owner) -> None:
    now = datetime.now(UTC)
    owner.insert("observability_traces", traffic(100, now))
    owner.insert("messages", [{"session_id": "s1", "role": "user", "content": "hello", "created_at": now}])
    owner.insert("agent_config", [{"key": "tools", "value": ["book_room", "never_called"]}])
    before = owner.digest(), owner.rows_digest()
    told = ratchet("doctor").out.splitlines()
    start = next(number for number, line in enumerate(told) if line.startswith("tables that look like an agent's"))
    lines = told[start + 1 :]
    assert 'table = "public.observability_traces"' in lines
    assert 'events = "payload.events" # calls' in lines
    assert 'prompt_version = "payload.prompt_version" # prompt' in lines
    assert all(" # " in line or line.startswith(("[", "table")) for line in lines)
    ratchet.write("ratchet.toml", "\n".join(lines))

    told = ratchet("doctor").out
    assert "[traces] public.observability_traces: 100 rows, newest 20" in told
    assert "of the newest 20 rows 20 can be used; they tell: assistant_message 20, cost_usd 20, llm_call 20" in told
    assert "[messages] public.messages: 1 rows" in told
    assert "not read yet; the next run does" in told
    assert "create index" not in told
    assert "paste" not in told

    run = ratchet("optimize", "--agent", "my-agent", "--json")
    assert run.code == 0, run.err
    report = json.loads(run.out)
    facts = {fact["name"]: fact["value"] for fact in report["facts"] if fact["labels"] in ({}, {"tool": "book_room"})}
    assert (facts["sessions"], facts["tool.error_rate"]) == (100, 0.5)
    assert any("book_room" in item["title"] for item in report["items"])
    told = ratchet("doctor").out
    assert "known agent my-agent: 2 tools" in told
    assert "[traces] public.observability_traces: read to its end" in told
    assert (owner.digest(), owner.rows_digest()) == before


def test_a_large_table_without_an_index_is_told_the_statement_and_nothing_is_run(
    ratchet: Program, owner: Owner
) -> None:
    owner.run("drop index public.observability_traces_by_time")
    owner.run(
        "insert into public.observability_traces (id, session_id, created_at) "
        "select gen_random_uuid(), 's', '2026-01-01' from generate_series(1, 10000)"
    )
    ratchet.write("ratchet.toml", '[traces]\ntable = "observability_traces"\nagent = "x"\n')
    before = owner.digest()
    statement = "create index concurrently on public.observability_traces (created_at, id);"
    assert statement in ratchet("doctor").out
    assert owner.digest() == before
    owner.run(statement)
    assert "create index" not in ratchet("doctor").out


def test_refused_rows_and_a_wrong_mapping_are_alarms_of_the_run_and_told_by_doctor(
    ratchet: Program, owner: Owner
) -> None:
    now = datetime.now(UTC)
    owner.insert("observability_traces", traffic(2, now))
    owner.run("update public.observability_traces set payload = to_jsonb('{broken'::text) where session_id = 's1'")
    ratchet.write("ratchet.toml", '[traces]\ntable = "observability_traces"\nagent = "my-agent"\n')
    said = ratchet("optimize", "--agent", "my-agent")
    assert f"1 rows of public.observability_traces could not be used (row {row_id('row 1')}" in " ".join(
        said.out.split()
    )
    assert "1 rows refused in 30 days: row" in ratchet("doctor").out

    ratchet.write("ratchet.toml", '[traces]\ntable = "observability_trace"\nagent = "my-agent"\n')
    said = " ".join(ratchet("optimize", "--agent", "my-agent").out.split())
    assert "Alarm: [traces]: there is no table 'public.observability_trace' that may be read" in said
    assert "quiet" not in said
    told = ratchet("doctor")
    assert told.code == 2
    assert told.sentence.startswith("[traces]: there is no table 'public.observability_trace' that may be read")
    # Of whom nothing was ever read, nothing can be said; but where to look.
    unknown = ratchet("optimize", "--agent", "other")
    assert unknown.code == 1
    assert "no agent 'other' in what could be read of your tables; `ratchet doctor` says" in unknown.sentence


def test_a_table_of_any_name_is_proposed_in_lines_that_can_be_pasted(ratchet: Program, owner: Owner) -> None:
    owner.run("drop table public.observability_traces")
    owner.run('create schema "My App"')
    owner.run(
        'create table "My App"."Agent  Traces ""x"" \'y\'" '
        "(id text primary key, session_id text, created_at timestamp not null, updated_at timestamptz, payload jsonb)"
    )
    owner.run('create view "My App"."traces\t2" as select * from "My App"."Agent  Traces ""x"" \'y\'"')
    told = ratchet("doctor").out
    ratchet.write("ratchet.toml", told[told.index("[traces]") :])
    said = ratchet("doctor")
    assert (said.code, said.err) == (0, "")
    assert "[traces] My App.Agent Traces \"x\" 'y': not seen: rows changed or deleted more than" in said.out
    assert "[messages] public.messages: not seen: rows deleted more than two days after their updated_at" in said.out


def test_a_table_that_somebody_holds_or_that_has_no_rights_is_named(ratchet: Program, owner: Owner, dsn: str) -> None:
    owner.insert("observability_traces", traffic(2, datetime.now(UTC)))
    ratchet.write("ratchet.toml", '[traces]\ntable = "observability_traces"\nagent = "my-agent"\n')
    assert ratchet("optimize", "--agent", "my-agent").code == 0
    owner.run("create function public.refuse() returns boolean language plpgsql as $$ begin raise 'closed'; end $$")
    owner.run("create view public.closed_traces as select * from public.observability_traces where public.refuse()")
    with psycopg.connect(dsn) as migration:
        migration.execute("lock table public.observability_traces in access exclusive mode")
        told = ratchet("doctor")
        assert told.code == 1
        assert told.sentence.startswith("[traces] public.observability_traces could not be read: The database ended")
        assert "somebody holds a lock on what it reads" in told.sentence
    ratchet.write("ratchet.toml", '[traces]\ntable = "closed_traces"\nagent = "my-agent"\n')
    said = " ".join(ratchet("optimize", "--agent", "my-agent").out.split())
    assert "Alarm: [traces] public.closed_traces could not be read: The call" in said
