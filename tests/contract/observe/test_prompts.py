"""Prompts as the developer gives them, again and again, beside what people deploy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import RegistryConflict
from optimizer.observe.normalise import normalise
from optimizer.observe.register import Registered, register_prompts
from optimizer.observe.snapshot import fold_all
from optimizer.records.deployment import PromptRef
from optimizer.records.trace import Trace
from optimizer.records.traced import Ran
from optimizer.registries.local import LocalRegistry
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore
from optimizer.stores.references import REFERENCES_MAX, ReferenceStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.builders import AGENT, NOON, SYSTEM

HOUR = timedelta(hours=1)
LABEL = PromptRef().label
DEPLOYED = SYSTEM + "Rule 12: never repeat a search.\n"


async def test_a_file_that_is_older_than_what_is_live_changes_nothing(database: PostgresDatabase) -> None:
    clock = ManualClock(NOON)
    registry = LocalRegistry(database, AGENT, clock)

    async def give(text: str) -> Registered:
        agents, audit = AgentStore(database), AuditStore(database)
        (done,) = await register_prompts({"system": text}, AGENT, {}, registry, agents, audit, clock)
        return done

    assert await give(SYSTEM) == Registered("system", 1, is_new=True)
    assert await give(SYSTEM) == Registered("system", 1, is_new=False)
    # What the developer wrote by hand is taken back by giving the older file again.
    by_hand = SYSTEM + "By hand.\n"
    assert await give(by_hand) == Registered("system", 2, is_new=True)
    assert await give(SYSTEM) == Registered("system", 1, is_new=True)
    id_ = uuid4()
    metadata = {"deployment_id": str(id_)}
    await registry.publish("system", DEPLOYED, commit_message="Deployed", metadata=metadata, deployment_id=id_)
    await registry.move_label("system", LABEL, 3, expected=1)
    head = await AuditStore(database).head(AGENT)

    assert await give(SYSTEM) == Registered("system", 3, is_new=False, left=1)
    assert (await registry.current("system", LABEL)).text == DEPLOYED
    assert await AuditStore(database).head(AGENT) == head
    # What the developer wrote since is new, and goes live.
    assert await give(DEPLOYED + "By hand again.\n") == Registered("system", 4, is_new=True)
    assert await registry.labels("system") == {LABEL: 4}


async def test_where_a_label_was_put_is_kept_newest_first_and_what_was_refused_is_not(
    database: PostgresDatabase,
) -> None:
    clock = ManualClock(NOON)
    registry = LocalRegistry(database, AGENT, clock)
    for text in (SYSTEM, DEPLOYED):
        await registry.publish("system", text, commit_message="", metadata={}, deployment_id=uuid4())
    await registry.move_label("system", LABEL, 1, expected=None)
    clock.advance(HOUR)
    await registry.move_label("system", LABEL, 2, expected=1)
    await registry.move_label("system", "canary", 1, expected=None)
    clock.advance(HOUR)
    with pytest.raises(RegistryConflict):
        await registry.move_label("system", "canary", 2, expected=7)
    await registry.move_label("system", LABEL, 1, expected=2)
    # Other agents' labels are theirs.
    await LocalRegistry(database, "other", clock).publish(
        "system", SYSTEM, commit_message="", metadata={}, deployment_id=uuid4()
    )
    await LocalRegistry(database, "other", clock).move_label("system", LABEL, 1, expected=None)
    moves = [(one.label, one.version, one.moved_at) for one in await registry.moves()]
    assert moves[0] == (LABEL, 1, NOON + 2 * HOUR)
    assert set(moves[1:3]) == {(LABEL, 2, NOON + HOUR), ("canary", 1, NOON + HOUR)}
    assert moves[3:] == [(LABEL, 1, NOON)]
    assert (await registry.version("system", 1)).created_at == NOON


def trace(number: int, at: datetime, prompts: Mapping[str, str]) -> Trace:
    line = {
        "session_id": f"s{number}",
        "started_at": at.isoformat(),
        "prompts": dict(prompts),
        "events": [{"type": "user_message", "t_ms": 0, "text": "hello"}],
    }
    return normalise(line, now=NOON + 400 * HOUR)[1]


async def test_references_are_counted_between_cuts_by_the_hour(database: PostgresDatabase) -> None:
    named = [{"system": "1"}, {"system": "1", "tone": "b"}, {}, {"system": "abc"}]
    traces = [trace(number, NOON + number * HOUR / 2, named[number % 4]) for number in range(16)]
    await TraceStore(database).put(AGENT, traces, at=NOON)
    await TraceStore(database).put("other", traces, at=NOON)
    assert await fold_all(RollupStore(database), AGENT) == 0
    references = ReferenceStore(database)
    first, second, empty = await references.read(
        AGENT, [NOON - HOUR / 2, NOON + 3.5 * HOUR, NOON + 9 * HOUR, NOON + 10 * HOUR]
    )
    assert [one.sessions for one in (first, second, empty)] == [8, 8, 0]
    # The hour that begins at three holds the cut, and counts before it.
    assert first.references == {
        ("system", "1"): Ran(4, NOON, NOON + 2 * HOUR),
        ("tone", "b"): Ran(2, NOON, NOON + 2 * HOUR),
        ("system", "abc"): Ran(2, NOON + HOUR, NOON + 3 * HOUR),
    }
    assert second.references["system", "abc"] == Ran(2, NOON + 5 * HOUR, NOON + 7 * HOUR)
    assert (empty.references, first.complete) == ({}, True)


async def test_names_without_end_are_not_all_read(database: PostgresDatabase) -> None:
    traces = [trace(number, NOON, {"": f"run-{number}"}) for number in range(REFERENCES_MAX + 40)]
    traces += [trace(1000 + number, NOON, {"": "often"}) for number in range(3)]
    await TraceStore(database).put(AGENT, traces, at=NOON)
    await fold_all(RollupStore(database), AGENT)
    (segment,) = await ReferenceStore(database).read(AGENT, [NOON, NOON + HOUR])
    assert segment.sessions == REFERENCES_MAX + 43
    assert len(segment.references) == REFERENCES_MAX + 1
    assert segment.references["", "often"].n == 3
    assert not segment.complete
