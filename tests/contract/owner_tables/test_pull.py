"""Our store follows the owner's table: rows that appear late, grow, change and go, read without touching anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from optimizer.errors import CallTooLong, DatabaseUnavailable
from optimizer.observe.owner.walk import PAGE_ROWS_MAX
from tests.contract.owner_tables.beside import NOON, TABLE, Beside, call

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def names(trace: Any) -> list[str]:
    return [event["name"] for event in trace["events"] if event["type"] == "tool_call"]


async def test_the_same_over_every_way_into_a_database(everywhere: Beside) -> None:
    before = everywhere.owner.digest()
    row = everywhere.add("s1", call("search"), cost="0.25", tokens={"input": 12, "output": "3"})
    gone = everywhere.add("s2", call("book"))
    everywhere.add("s3", call("old"), ago=20 * DAY)
    theirs = everywhere.owner.rows_digest()
    assert (await everywhere.pull()).rows == 3
    assert everywhere.owner.rows_digest() == theirs
    everywhere.owner.run(f"delete from {TABLE} where id = %s", gone)
    everywhere.clock.advance(MINUTE)
    assert (await everywhere.pull()).gone == 1
    traces = await everywhere.traces("s1", "s2", "s3")
    assert sorted(map(names, traces.values())) == [["old"], ["search"]]
    *_, last = traces[row]["events"]
    assert {name: last.get(name) for name in ("type", "cost_usd", "tokens_in", "tokens_out")} == {
        "type": "llm_call",
        "cost_usd": 0.25,
        "tokens_in": 12,
        "tokens_out": 3,
    }
    assert everywhere.owner.digest() == before


async def test_a_pull_again_reads_nothing_and_queues_nothing(beside: Beside) -> None:
    beside.add("s1", call("search"))
    await beside.pull()
    beside.folded()
    assert (await beside.pull()).rows == 0
    assert beside.queued() == set()


async def test_a_row_that_appears_late_is_found_within_the_hour_and_later_the_next_day(beside: Beside) -> None:
    beside.add("s1", call("first"), ago=MINUTE)
    await beside.pull()
    beside.clock.advance(10 * MINUTE)
    beside.add("s2", call("late"), ago=50 * MINUTE)
    beside.add("s3", call("very_late"), ago=20 * HOUR)
    await beside.pull()
    assert len(await beside.traces("s2")) == 1
    assert not await beside.traces("s3")
    beside.clock.advance(DAY)
    await beside.pull()
    assert len(await beside.traces("s3")) == 1


async def test_a_row_that_grows_replaces_what_it_was(beside: Beside) -> None:
    row = beside.add("s1", call("search"))
    await beside.pull()
    beside.owner.run(
        f"update {TABLE} set payload = jsonb_set(payload, '{{events}}', (payload -> 'events') || (payload -> 'events'))"
    )
    await beside.pull()
    assert names((await beside.traces("s1"))[row]) == ["search", "search"]


async def test_a_row_that_is_corrected_downwards_replaces_what_it_was_and_its_hours_fold_again(beside: Beside) -> None:
    row = beside.add("s1", call("search", t_ms=0), call("book", t_ms=60_000), success=True, ago=3 * HOUR)
    await beside.pull()
    beside.folded()
    beside.owner.run(
        f"update {TABLE} set session_id = 's9', success = false, payload = %s where id = %s",
        '{"events": [{"type": "tool_use", "tool": "search"}]}',
        row,
    )
    beside.clock.advance(DAY)
    await beside.pull()
    assert not await beside.traces("s1")
    trace = (await beside.traces("s9"))[row]
    assert (names(trace), trace.get("success")) == (["search"], False)
    assert NOON - 3 * HOUR in beside.queued()


async def test_a_deleted_row_takes_its_trace_and_its_hour_folds_again(beside: Beside) -> None:
    row = beside.add("s1", call("search"), ago=30 * HOUR)
    beside.add("s1", call("book"), ago=29 * HOUR)
    await beside.pull()
    beside.folded()
    beside.owner.run(f"delete from {TABLE} where id = %s", row)
    beside.clock.advance(DAY - 13 * HOUR)
    assert (await beside.pull()).gone == 1
    assert [names(trace) for trace in (await beside.traces("s1")).values()] == [["book"]]
    # Of the session's other trace, too: it may begin an agent session now.
    assert beside.queued() == {NOON - 30 * HOUR, NOON - 29 * HOUR}


async def test_a_row_that_only_moved_is_not_gone(beside: Beside) -> None:
    row = beside.add("s1", call("search"), ago=2 * HOUR)
    await beside.pull()
    beside.owner.run(f"update {TABLE} set created_at = created_at - interval '40 days' where id = %s", row)
    beside.clock.advance(DAY)
    assert (await beside.pull()).gone == 0
    assert row in await beside.traces("s1")


async def test_a_row_that_becomes_another_agents_is_only_that_ones(beside: Beside) -> None:
    beside.owner.run(f"alter table {TABLE} add column agent text")
    beside.tables = {"traces": {"table": TABLE}}
    row = beside.add("s1", call("search"), agent="first")
    await beside.pull()
    beside.owner.run(f"update {TABLE} set agent = 'second'")
    await beside.pull()
    stored = beside.owner.run("select agent, trace_id from ratchet.traces")
    assert stored == [("second", row)]


async def test_an_update_is_seen_at_any_age_where_there_is_an_updated_at(beside: Beside) -> None:
    beside.owner.run(f"alter table {TABLE} add column updated_at timestamptz")
    row = beside.add("s1", call("search"), ago=10 * DAY)
    other = beside.add("s2", call("search"), ago=11 * DAY, updated_at=beside.clock.now() - 9 * DAY)
    await beside.pull()
    beside.clock.advance(MINUTE)
    beside.owner.run(f"update {TABLE} set updated_at = %s, success = false", beside.clock.now())
    assert (await beside.pull()).rows == 2
    assert {trace.get("success") for trace in (await beside.traces("s1", "s2")).values()} == {False}
    assert {row, other} == (await beside.traces("s1", "s2")).keys()


async def test_a_crash_between_two_pages_loses_nothing_and_repeats_harmlessly(beside: Beside) -> None:
    count = 2 * PAGE_ROWS_MAX + 10
    beside.owner.run(
        f"insert into {TABLE} (id, session_id, payload, created_at) "
        "select gen_random_uuid(), 's' || n, %s, %s - n * interval '1 minute' from generate_series(1, %s) as n",
        '{"events": [{"type": "tool_use", "tool": "search"}]}',
        beside.clock.now(),
        count,
    )

    class Crash(Exception):
        pass

    calls = beside.database.call
    written: list[int] = []

    async def dying(function: str, **arguments: Any) -> Any:
        if function == "owner_marks_write" and len(written) == 1:
            raise Crash
        written.extend([1] if function == "owner_marks_write" else [])
        return await calls(function, **arguments)

    class Dying:
        call = staticmethod(dying)
        close = beside.database.close

    with pytest.raises(Crash):
        await Beside(Dying(), beside.owner, beside.clock).pull()
    stored = "select count(*) from ratchet.traces"
    assert beside.owner.run(stored) == [(2 * PAGE_ROWS_MAX,)]
    assert (await beside.pull()).rows == PAGE_ROWS_MAX + 10
    assert beside.owner.run(stored) == [(count,)]
    assert (await beside.pull()).rows == 0


async def test_a_pull_that_runs_out_of_time_says_so_and_the_next_one_goes_on(beside: Beside) -> None:
    for days in range(1, 9):
        beside.add(f"s{days}", call("search"), ago=days * DAY)
    first = await beside.pull(seconds_max=0)
    assert first.alarms == (f"{TABLE} is read back to 2026-02-28; the next run goes on.",)
    assert first.rows == 2
    second = await beside.pull()
    assert (second.rows, second.alarms) == (6, ())


async def test_history_is_read_back_as_far_as_wanted(beside: Beside) -> None:
    beside.tables = {"traces": {**beside.tables["traces"], "history_days": 30}}
    beside.add("s1", call("search"), ago=29 * DAY)
    beside.add("s2", call("search"), ago=31 * DAY)
    assert (await beside.pull()).rows == 1


async def test_a_table_in_which_nothing_happens_is_not_read_again_and_again(beside: Beside) -> None:
    for days in (20, 30, 40):
        beside.add(f"s{days}", call("search"), ago=days * DAY)
    assert (await beside.pull()).rows == 3
    beside.folded()
    beside.clock.advance(DAY)
    assert (await beside.pull()).rows == 1  # the newest, for the overlap
    assert beside.queued() == set()


async def test_a_row_from_the_future_hides_none_that_come_before_it(beside: Beside) -> None:
    beside.add("s1", call("search"), ago=-20 * HOUR)
    await beside.pull()
    beside.clock.advance(2 * HOUR)
    beside.add("s2", call("search"))
    await beside.pull()
    assert len(await beside.traces("s1", "s2")) == 2


async def test_a_page_that_takes_too_long_is_read_in_smaller_ones(beside: Beside) -> None:
    for number in range(20):
        beside.add(f"s{number}", call("search"))
    calls, sizes = beside.database.call, list[int]()

    class Slow:
        @staticmethod
        async def call(function: str, **arguments: Any) -> Any:
            if function == "owner_rows_page":
                sizes.append(arguments["rows_max"])
                if arguments["rows_max"] > 10:
                    raise CallTooLong("it took too long")
            return await calls(function, **arguments)

        close = beside.database.close

    assert (await Beside(Slow(), beside.owner, beside.clock).pull()).rows == 20
    assert min(sizes) == 7


async def test_another_mapping_reads_the_table_anew(beside: Beside) -> None:
    row = beside.add("s1", call("search"), ago=20 * DAY, model="haiku")
    beside.add("s2", call("search"), ago=30 * DAY)
    await beside.pull()
    assert (await beside.traces("s1"))[row].get("model") == "haiku"
    beside.tables = {"traces": {**beside.tables["traces"], "columns": {"model": "payload.model"}}}
    assert (await beside.pull()).rows == 2
    assert "model" not in (await beside.traces("s1"))[row]


async def test_nothing_but_a_readers_lock_is_taken(beside: Beside, dsn: str) -> None:
    """Read in one transaction, so that what it held can be seen before it lets go."""
    beside.add("s1", call("search"))
    mapped = await beside.ratchet.owner_tables.mapped(beside.ratchet.settings.tables[0])
    locks = (
        "select distinct mode from pg_locks where pid = pg_backend_pid() and relation in "
        "(select oid from pg_class where relnamespace = 'public'::regnamespace)"
    )
    calls = (
        ("owner_tables_read", {"schema": "public", "name": "observability_traces", "rows_max": 10}),
        ("owner_tables_list", {"tables_max": 10}),
        ("owner_rows_page", _page(mapped)),
    )
    with psycopg.connect(dsn) as connection:
        for function, arguments in calls:
            places = ", ".join(f"p_{name} => %({name})s" for name in arguments)
            query = f"select public.ratchet_{function}({places})"
            values = {name: _adapted(value) for name, value in arguments.items()}
            assert connection.execute(query.encode(), values).fetchone() is not None
        assert connection.execute(locks.encode()).fetchall() == [("AccessShareLock",)]


def _page(mapped: Any) -> dict[str, Any]:
    limits = {"rows_max": 10, "bytes_max": 10_000, "row_bytes_max": 10_000}
    place = {"from": NOON - DAY, "from_id": None, "backwards": False, "until": None}
    return {"source": mapped.source, "table": mapped.ref.as_json(), "digest": mapped.digest, **place, **limits}


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value


async def test_writers_of_theirs_are_not_waited_for(beside: Beside, dsn: str) -> None:
    beside.add("s1", call("search"))
    with psycopg.connect(dsn) as other:
        other.execute(f"lock table {TABLE} in exclusive mode".encode())
        assert (await beside.pull()).rows == 1


async def test_their_migration_is_waited_for_a_moment_and_then_told(beside: Beside, dsn: str) -> None:
    beside.add("s1", call("search"))
    with psycopg.connect(dsn) as other:
        other.execute(f"lock table {TABLE} in access exclusive mode".encode())
        [alarm] = (await beside.pull()).alarms
        assert "lock timeout" in alarm
    assert (await beside.pull()).rows == 1


async def test_a_database_that_is_gone_is_an_error_and_no_alarm(beside: Beside) -> None:
    class Gone:
        async def call(self, function: str, **arguments: Any) -> Any:
            raise DatabaseUnavailable("gone")

        close = beside.database.close

    with pytest.raises(DatabaseUnavailable):
        await Beside(Gone(), beside.owner, beside.clock).pull()
