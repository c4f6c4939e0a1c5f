"""Prompts as the developer gives them, again and again, beside what people deploy."""

from __future__ import annotations

from uuid import uuid4

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.register import Registered, register_prompts
from optimizer.records.deployment import PromptRef
from optimizer.registries.local import LocalRegistry
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore
from tests.builders import AGENT, NOON, SYSTEM

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
