"""What an agent declares: kept, changed in part, and what a change means for the past."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import NotFoundError, RatchetError
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all, take_snapshot
from optimizer.records.deployment import PromptRef
from optimizer.records.facts import Fact
from optimizer.records.snapshot import PromptText, Snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore

NOW = datetime(2026, 2, 27, 6, tzinfo=UTC)
WINDOW = Window(since=datetime(2026, 2, 26, 6, tzinfo=UTC), until=NOW)


async def put(database: PostgresDatabase, *lines: dict[str, Any]) -> None:
    await TraceStore(database).put("a", [normalise(line, now=NOW)[1] for line in lines], at=NOW)


def line(session_id: str, started_at: str, tool: str, **fields: Any) -> dict[str, Any]:
    call = {"type": "tool_call", "t_ms": 5, "name": tool, "call_id": "a"}
    return {"session_id": session_id, "started_at": started_at, "events": [call], **fields}


async def test_what_is_not_given_stays_and_the_revision_counts_changes(database: PostgresDatabase) -> None:
    agents = AgentStore(database)
    first = await agents.register("a", at=NOW, tools=["search"], prompts={"master": PromptRef(follow="latest")})
    assert first.revision == 2
    assert first.escalation_tools == ("transfer_to_human*",)
    again = await agents.register("a", at=NOW, environment="staging", tools=["search"])
    assert (again.tools, again.environment, again.revision) == (("search",), "staging", 3)
    assert again.prompts == {"master": PromptRef(follow="latest")}
    assert await agents.register("a", at=NOW, environment="staging") == again
    assert await agents.list() == (again,)


async def test_an_unknown_agent_is_said_with_those_that_are_known(database: PostgresDatabase) -> None:
    agents = AgentStore(database)
    await agents.register("blog-writer", at=NOW)
    assert await agents.find("blog-writter") is None
    with pytest.raises(NotFoundError, match=r"no agent 'blog-writter' \(known: 'blog-writer'\)"):
        await agents.get("blog-writter")


async def test_other_escalation_tools_count_the_past_again(database: PostgresDatabase) -> None:
    agents, rollups = AgentStore(database), RollupStore(database)
    await put(
        database,
        line("s1", "2026-02-26T07:00:00Z", "transfer_to_human_agents"),
        line("s2", "2026-02-26T09:00:00Z", "ask_100%"),
        line("s3", "2026-02-26T09:00:00Z", "ask_1000"),
    )
    assert await rollups.queued("a", WINDOW) == 2
    assert await fold_all(rollups, "a") == 0
    assert (await rollups.read("a", WINDOW)).get("escalations").n == 1
    await agents.register("a", at=NOW, escalation_tools=["ask?100%"])
    assert await rollups.queued("a", WINDOW) == 2
    await fold_all(rollups, "a")
    assert (await rollups.read("a", WINDOW)).get("escalations").samples == ("s2",)
    await agents.register("a", at=NOW, escalation_tools=["ask?100%"])
    assert await rollups.queued("a", WINDOW) == 0


def fact(snapshot: Snapshot, name: str, **labels: str) -> Fact:
    return next(fact for fact in snapshot.facts if (fact.name, fact.labels) == (name, labels))


async def test_a_snapshot_holds_the_window_the_time_before_and_wider_looks(
    database: PostgresDatabase,
) -> None:
    await put(
        database,
        line("s1", "2026-02-26T07:00:00Z", "search", prompts={"master": "7"}, outcome={"success": True}),
        line("s2", "2026-02-23T07:00:00Z", "search", prompts={"master": "6"}, outcome={"success": False}),
        line("s3", "2026-02-10T07:00:00Z", "publish"),
    )
    agents, rollups = AgentStore(database), RollupStore(database)
    await agents.register("a", at=NOW, tools=["search", {"function": {"name": "publish"}}])
    prompt = PromptText(name="master", version=7, text="word " * 100, sha256="0" * 64, includes={})
    snapshot = await take_snapshot(agents, rollups, "a", WINDOW, exact=False, prompts={"master": prompt})
    assert [look.measures.get("sessions").n for look in snapshot.looks] == [1, 2, 3]
    assert snapshot.main.before.get("sessions").n == 2
    assert (fact(snapshot, "success_rate").value, fact(snapshot, "success_rate").baseline) == (1, 0)
    assert fact(snapshot, "sessions", prompt_version="master@7").value == 1
    assert fact(snapshot, "tool.never_called", tool="publish").n == 1
    assert fact(snapshot, "prompt.tokens", prompt="master").value == 132
    assert [fact.id for fact in snapshot.facts] == [f"F{n}" for n in range(1, len(snapshot.facts) + 1)]
    assert (snapshot.tools, snapshot.tokens_estimated) == (("search", "publish"), True)

    exact = await take_snapshot(agents, rollups, "a", WINDOW, exact=True, prompts={})
    assert exact.wider == ()


async def test_a_window_without_sessions_says_so_and_nothing_else(database: PostgresDatabase) -> None:
    agents = AgentStore(database)
    await agents.register("a", at=NOW, tools=["search"])
    snapshot = await take_snapshot(agents, RollupStore(database), "a", WINDOW, exact=True, prompts={})
    assert [(fact.name, fact.value, fact.n) for fact in snapshot.facts] == [("sessions", 0, 0)]


async def test_hours_that_another_process_holds_are_never_left_out_of_the_facts(
    database: PostgresDatabase, dsn: str
) -> None:
    agents, rollups = AgentStore(database), RollupStore(database)
    await put(
        database,
        line("s1", "2026-02-26T07:00:00Z", "search"),
        line("s2", "2026-02-27T06:30:00Z", "search"),  # after the window
    )

    async def look() -> Snapshot:
        return await take_snapshot(agents, rollups, "a", WINDOW, exact=True, prompts={}, patience_seconds=0)

    async with await psycopg.AsyncConnection.connect(dsn) as folder:
        await folder.execute("select from ratchet.fold_queue where hour < %s for update", (NOW,))
        with pytest.raises(RatchetError, match=r"still counting the traces of 'a' \(hours left: 1\)"):
            await look()
    async with await psycopg.AsyncConnection.connect(dsn) as folder:
        await folder.execute("select from ratchet.fold_queue where hour >= %s for update", (NOW,))
        assert fact(await look(), "sessions").n == 1
