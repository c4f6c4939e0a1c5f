"""Which versions the sessions of a span name: exact, from the traces themselves, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from optimizer.clock import iso
from optimizer.db.port import Database
from optimizer.observe.normalise import normalise
from optimizer.records.window import Window
from optimizer.stores.traces import TraceStore
from optimizer.stores.watching import WatchingStore

AGENT = "desk"
T = datetime(2026, 2, 26, 14, 5, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def trace(session: str, at: datetime, prompts: Any = None, trace_id: str | None = None) -> dict[str, Any]:
    named = {"prompts": prompts} if prompts is not None else {}
    return {"session_id": session, "trace_id": trace_id or session, "started_at": iso(at), "events": [], **named}


async def put(database: Database, *lines: dict[str, Any]) -> WatchingStore:
    now = T + timedelta(days=1)
    await TraceStore(database).put(AGENT, [normalise(line, now=now)[1] for line in lines], at=now)
    return WatchingStore(database)


async def test_sessions_are_counted_to_the_second_and_by_what_they_name(database: Database) -> None:
    store = await put(
        database,
        trace("before", T - timedelta(seconds=1), {"core": "1"}),
        trace("at", T, {"core": "2"}),
        trace("two", T + MINUTE, {"core": "2", "rules": "7"}),
        trace("two", T + 2 * MINUTE, {"core": "3"}, trace_id="two-later"),
        trace("none", T + 3 * MINUTE),
        trace("after", T + 10 * MINUTE, {"core": "9"}),
    )
    before, after, empty = await store.named(
        AGENT,
        [
            Window(since=T - MINUTE, until=T),
            Window(since=T, until=T + 10 * MINUTE),
            Window(since=T - 3 * MINUTE, until=T - 2 * MINUTE),
        ],
    )
    assert {said: ran.n for said, ran in before.names.items()} == {("core", "1"): 1}
    assert {said: ran.n for said, ran in after.names.items()} == {("core", "2"): 2, ("core", "3"): 1, ("rules", "7"): 1}
    assert (after.sessions, after.traces) == (3, 4)
    assert after.names["core", "2"].first == T
    assert after.names["core", "2"].last == T + MINUTE
    assert (empty.sessions, empty.traces, dict(empty.names)) == (0, 0, {})


async def test_a_session_that_was_under_way_says_nothing_and_one_that_comes_back_does(database: Database) -> None:
    store = await put(
        database,
        trace("long", T - timedelta(hours=6), {"core": "1"}),
        trace("long", T, {"core": "1"}, trace_id="long-2"),
        trace("again", T - timedelta(hours=7), {"core": "1"}),
        trace("again", T + MINUTE, {"core": "1"}, trace_id="again-2"),
    )
    (span,) = await store.named(AGENT, [Window(since=T, until=T + 10 * MINUTE)])
    assert (span.sessions, span.traces) == (1, 2)
    assert span.names["core", "1"].first == T + MINUTE


async def test_the_first_or_the_last_traces_are_looked_at_and_no_more(database: Database) -> None:
    lines = [trace(f"s{n}", T + n * MINUTE, {"core": str(n // 10)}) for n in range(30)]
    store = await put(database, *lines)
    window = Window(since=T, until=T + timedelta(hours=1))
    (first,) = await store.named(AGENT, [window], traces_max=5)
    (last,) = await store.named(AGENT, [window], newest=True, traces_max=5)
    assert (first.names.keys(), first.traces) == ({("core", "0")}, 5)
    assert (last.names.keys(), last.traces) == ({("core", "2")}, 5)


async def test_another_agent_is_not_looked_at(database: Database) -> None:
    store = await put(database, trace("at", T, {"core": "2"}))
    (span,) = await store.named("another", [Window(since=T, until=T + MINUTE)])
    assert span.sessions == 0
