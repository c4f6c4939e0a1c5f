"""Days and segments: however a window is cut, and whoever works meanwhile, it says what its traces say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all
from optimizer.records.facts import Measures
from optimizer.records.window import Window
from tests.contract.observe.counting import Line, count
from tests.contract.observe.lines import DAY, NOW, batches
from tests.contract.observe.test_fold import ALL_TIME, Store, assert_equal

examples = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


def at_hours(*hours: float) -> list[datetime]:
    return [DAY + timedelta(hours=hour) for hour in hours]


def called(session: str, trace: str, started_at: datetime) -> Line:
    call = {"type": "tool_call", "t_ms": 10, "name": "search", "call_id": "a"}
    return {"session_id": session, "trace_id": trace, "started_at": started_at.isoformat(), "events": [call]}


def failed(trace: str, started_at: datetime, text: str) -> Line:
    result = {"type": "tool_result", "t_ms": 30, "name": "search", "call_id": "a", "ok": False, "error": text}
    line = called(trace, trace, started_at)
    return {**line, "events": [*line["events"], result]}


@examples
@given(lines=batches(), data=st.data())
async def test_windows_read_together_equal_the_traces_of_each(
    database: PostgresDatabase, lines: list[Line], data: st.DataObject
) -> None:
    store = Store(database)
    await store.put(lines)
    if data.draw(st.booleans()):  # else partly folded: the readers' fallback to hours
        await fold_all(store.rollups, store.agent)
    else:
        while (await store.rollups.fold(store.agent, hours_max=3)).left:
            await store.rollups.fold_days(store.agent, days_max=1)
    minutes = st.one_of(st.integers(-1500, 4500), st.sampled_from([-1440, 0, 60, 1440, 2880]))
    cuts = sorted(data.draw(st.sets(minutes, min_size=3, max_size=6)))
    ats = [DAY + timedelta(minutes=cut) for cut in cuts]
    windows = [Window(since=since, until=until) for since, until in pairwise(ats)]
    windows.append(Window(since=ats[0], until=ats[-1]))
    for window, measures in zip(windows, await store.rollups.read_all(store.agent, windows), strict=True):
        assert_equal(measures, count(lines, window.since, window.until))


@examples
@given(lines=batches(), grown=st.lists(st.integers(0, 11), max_size=4), rated=st.lists(st.integers(0, 11), max_size=4))
async def test_days_follow_what_changes_after_they_were_merged(
    database: PostgresDatabase, lines: list[Line], grown: list[int], rated: list[int]
) -> None:
    store = Store(database)
    half = len(lines) // 2
    await put_at(store, lines[half:], 1)
    await fold_all(store.rollups, store.agent)
    for number, line in enumerate(lines):
        more = [{"type": "user_message", "t_ms": 4 * 3600 * 1000, "text": "and?"}] if number in grown else []
        lines[number] = {**line, "events": [*line["events"], *more]}
        if number in rated:
            lines[number].setdefault("outcome", {"success": True})
    await put_at(store, lines[half:], 2)
    await put_at(store, lines[:half], 3)  # late
    assert_equal(await store.read(), count(lines, ALL_TIME.since, ALL_TIME.until))


async def put_at(store: Store, lines: Sequence[Line], hours: int) -> None:
    """Each batch at a time of its own, as it is outside of tests."""
    if lines:
        at = NOW + timedelta(hours=hours)
        await store.traces.put(store.agent, [normalise(line, now=at)[1] for line in lines], at=at)


async def test_a_reader_between_hours_and_days_sees_the_hours(database: PostgresDatabase) -> None:
    store = Store(database)
    first, second = (called(f"s{n}", f"t{n}", at) for n, at in enumerate(at_hours(3, 4)))
    await store.put([first])
    await fold_all(store.rollups, store.agent)
    await store.put([second])
    assert (await store.rollups.fold(store.agent, hours_max=10)).left == 0
    # The day is older than its second hour now.
    assert (await store.rollups.read(store.agent, ALL_TIME)).get("sessions").n == 2
    assert (await store.rollups.fold_days(store.agent, days_max=10)).days == 1
    assert (await store.rollups.read(store.agent, ALL_TIME)).get("sessions").n == 2


async def test_whole_days_are_read_from_their_own_rows(database: PostgresDatabase, dsn: str) -> None:
    store = Store(database)
    await store.put([called("s", "t", DAY)])
    whole = await store.read()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("delete from ratchet.rollups where hour > %s", [DAY])
        await connection.execute("update ratchet.rollups set n = 1000 where agent = %s", [store.agent])
    assert await store.rollups.read(store.agent, ALL_TIME) == whole


async def test_a_day_waits_for_its_queued_hours(database: PostgresDatabase) -> None:
    store = Store(database)
    await store.put([called(f"s{n}", f"t{n}", at) for n, at in enumerate(at_hours(3, 4, 30))])
    await store.rollups.fold(store.agent, hours_max=2)  # the newest
    assert await store.rollups.fold_days(store.agent, days_max=10) == (1, 0)
    await store.rollups.fold(store.agent, hours_max=2)
    assert await store.rollups.fold_days(store.agent, days_max=10) == (1, 0)


async def test_an_agent_session_over_midnight_belongs_to_the_day_in_which_it_began(
    database: PostgresDatabase,
) -> None:
    store = Store(database)
    await store.put([called("s", "t1", at_hours(23.9)[0]), called("s", "t2", at_hours(24.5)[0])])
    await fold_all(store.rollups, store.agent)
    days = [Window(since=since, until=since + timedelta(days=1)) for since in at_hours(0, 24)]
    first, second = await store.rollups.read_all(store.agent, days)
    assert (first.get("sessions").n, first.get("tool.calls").total) == (1, 2)
    assert second == Measures({})


async def test_folders_of_hours_and_of_days_at_once_lose_nothing(database: PostgresDatabase) -> None:
    store = Store(database)
    lines = [called(f"s{n % 50}", f"t{n}", DAY + timedelta(minutes=9 * n)) for n in range(300)]
    done = asyncio.Event()

    async def take_in(part: list[Line]) -> None:
        for number in range(0, len(part), 10):
            await store.put(part[number : number + 10])

    async def fold() -> None:
        while not done.is_set():
            await store.rollups.fold(store.agent, hours_max=2)
            await store.rollups.fold_days(store.agent, days_max=1)

    folders = [asyncio.create_task(fold()) for _ in range(2)]
    await asyncio.gather(take_in(lines[::2]), take_in(lines[1::2]))
    done.set()
    await asyncio.gather(*folders)
    assert_equal(await store.read(), count(lines, ALL_TIME.since, ALL_TIME.until))


async def test_of_a_day_the_fifty_most_frequent_signatures_of_a_tool_are_kept(database: PostgresDatabase) -> None:
    store = Store(database)
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)} failed" for n in range(80)]
    early = [failed(f"a{n}", at_hours(1)[0], word) for n, word in enumerate(words[:40])]
    late = [failed(f"b{n}", at_hours(2)[0], word) for n, word in enumerate(words[40:])]
    again = [failed(f"c{n}", at_hours(3)[0], word) for n, word in enumerate(words[30:])]
    await store.put([*early, *late, *again])
    rows = (await store.read()).named("tool.error_signature")
    found = {labels["signature"]: measure.total for labels, measure in rows}
    assert len(found) == 51
    assert found["other"] == 130 - sum(total for word, total in found.items() if word != "other")
    assert all(found[word] == 2 for word in words[30:40])


async def test_samples_are_the_earliest_five_of_a_window(database: PostgresDatabase) -> None:
    store = Store(database)
    await store.put([failed(f"f{n}", at, "x") for n, at in enumerate(at_hours(30, 28, 26, 5, 4, 3, 2))])
    assert (await store.read()).get("tool.errors").samples == ("f6", "f5", "f4", "f3", "f2")


async def test_an_endless_chat_queues_only_the_hours_that_can_change(database: PostgresDatabase, dsn: str) -> None:
    store = Store(database)
    # One turn a day; then one every five hours, which make one agent session that is still open.
    chat = [called("chat", f"t{n}", DAY - timedelta(days=n)) for n in range(1, 30)]
    chat += [called("chat", f"u{n}", at) for n, at in enumerate(at_hours(0, 5, 10, 15, 20, 25))]
    new = called("chat", "new", at_hours(27.5)[0])
    await put_at(store, chat, 1)
    await fold_all(store.rollups, store.agent)
    await put_at(store, [new], 2)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        rows = await (await connection.execute("select hour from ratchet.fold_queue order by hour")).fetchall()
    assert [row[0] for row in rows] == at_hours(0, 27)
    window = Window(since=DAY - timedelta(days=40), until=NOW)
    assert_equal(await store.read(window), count([*chat, new], window.since, window.until))


async def test_slots_say_sessions_and_cost_by_whole_hours(database: PostgresDatabase) -> None:
    store = Store(database)
    paid = [{"type": "llm_call", "t_ms": 1, "cost_usd": 0.25}]
    lines = [called(f"s{n}", f"t{n}", at) for n, at in enumerate(at_hours(1, 25, 25.5, 49))]
    await store.put([{**line, "events": [*line["events"], *paid]} for line in lines])
    await fold_all(store.rollups, store.agent)
    days = [Window(since=since, until=since + timedelta(days=1)) for since in at_hours(0, 24, 48, 72)]
    slots = await store.rollups.slots(store.agent, days)
    # The first day began before the agent's first trace.
    assert [(slot.window, slot.sessions, slot.cost_usd) for slot in slots] == [
        (days[1], 2, 0.5),
        (days[2], 1, 0.25),
        (days[3], 0, 0.0),
    ]
    assert await Store(database).rollups.slots("nobody", days) == ()
