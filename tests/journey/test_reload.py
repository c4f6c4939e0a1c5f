"""The agent is told to read its prompts again, after a deployment and after a rollback; failing is in nobody's way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.settings import AgentSettings, Environment, FileSettings, Settings
from optimizer.settings.reload import ReloadSettings
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.test_after_the_deploy import deployed, notices, watch
from tests.journey.world import START, World
from tests.simulators.reload_hook import Hook, reload_hook


@pytest.fixture
def hook() -> Iterator[Hook]:
    with reload_hook() as opened:
        yield opened


def settings(url: str, secret: str | None = "whsec") -> Settings:
    section = AgentSettings(reload=ReloadSettings(url=url))
    environment = Environment(ratchet_reload_secret=SecretStr(secret) if secret else None)
    return Settings(file=FileSettings(agents={AGENT: section}), environment=environment)


async def begin(database: Database, configured: Settings) -> World:
    world = World(database, configured)
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    return world


@pytest.fixture
async def world(database: Database, hook: Hook) -> World:
    return await begin(database, settings(f"{hook.url}/reload"))


def told(hook: Hook) -> list[tuple[str, int, str]]:
    bodies = [json.loads(sent.body) for sent in hook.sent]
    return [(body["event"], body["version"], body["prompt"]) for body in bodies]


async def test_it_is_told_once_after_a_deployment_and_once_after_a_rollback(world: World, hook: Hook) -> None:
    dana = await deployed(world)
    assert told(hook) == [("deployed", 2, "core")]
    await watch(world)
    await world.run()
    assert "Taken back" in await dana.say("rollback")
    await watch(world)
    assert told(hook) == [("deployed", 2, "core"), ("rolled_back", 1, "core")]
    (deployment,) = await world.deployments()
    keys = [sent.headers["Idempotency-Key"] for sent in hook.sent]
    assert keys == [f"{deployment.id}:deployed", f"{deployment.id}:rolled_back"]
    assert json.loads(hook.sent[1].body)["sha256"] == deployment.base_sha256
    assert await notices(world, "reload_failed") == []
    assert await world.chain_holds()


async def test_a_call_that_fails_is_tried_again_later_with_the_same_key(world: World, hook: Hook) -> None:
    hook.answers += [500, 503]
    dana = await deployed(world)  # which is live all the same
    await watch(world)
    assert len(hook.sent) == 1  # not at once
    world.clock.advance(timedelta(seconds=5))
    await watch(world)
    world.clock.advance(timedelta(seconds=30))
    await watch(world)
    assert len(hook.sent) == 3
    assert len({(sent.headers["Idempotency-Key"], sent.body) for sent in hook.sent}) == 1
    world.clock.advance(timedelta(hours=1))
    await watch(world)
    assert len(hook.sent) == 3
    assert "not told" not in await dana.say("status")


async def test_after_three_tries_it_is_told_once_and_the_deployment_stands(world: World, hook: Hook) -> None:
    hook.answers += [500, 302, 500, 500]
    dana = await deployed(world)
    for _ in range(5):
        world.clock.advance(timedelta(minutes=1))
        await watch(world)
    assert len(hook.sent) == 3
    said = await dana.say("status")
    assert "The agent was not told to read core again after v2 went live: it answered 500 (3 tries), 3 min ago." in said
    assert "core v2: live for 5 min" in said
    assert len(await notices(world, "reload_failed")) == 1


async def test_several_processes_make_one_call(world: World, hook: Hook, database: Database) -> None:
    hook.answers.append(500)
    await deployed(world)
    world.clock.advance(timedelta(minutes=1))
    others = [World(database, world.ratchet.settings, clock=world.clock) for _ in range(4)]
    await asyncio.gather(*(watch(one) for one in (world, *others)))
    assert len(hook.sent) == 2


async def test_a_process_that_died_in_the_middle_is_followed_by_another(world: World, hook: Hook) -> None:
    """At least once: what it sent, if anything, is sent again under the same key."""
    hook.answers.append(500)
    await deployed(world)
    world.clock.advance(timedelta(minutes=1))
    (deployment,) = await world.deployments()
    store, at = world.ratchet.watching.store, world.clock.now()
    (call,) = await store.claim([(deployment.id, "deployed")], "one that dies", 0, at)
    assert call.tries == 2
    await watch(world)
    assert [sent.headers["Idempotency-Key"] for sent in hook.sent] == [f"{deployment.id}:deployed"] * 2
    # What the dead one comes back with does not count.
    assert not await store.end(call, "one that dies", reason="late", next_try_at=None, notices=[], audit=None, at=at)
    assert await notices(world, "reload_failed") == []


async def test_the_last_try_of_a_process_that_died_ends_as_failed(world: World, hook: Hook) -> None:
    hook.answers.append(500)
    await deployed(world)
    (deployment,) = await world.deployments()
    world.clock.advance(timedelta(minutes=1))
    for _ in range(2):
        await world.ratchet.watching.store.claim([(deployment.id, "deployed")], "dies", 0, world.clock.now())
    await watch(world)
    assert len(hook.sent) == 1
    (failed,) = await notices(world, "reload_failed")
    assert failed.body["reason"] == "the process that tried it last ended before the answer"


async def test_without_a_secret_nothing_is_sent_and_that_is_told(database: Database, hook: Hook) -> None:
    world = await begin(database, settings(hook.url, secret=None))
    await deployed(world)
    await watch(world)
    assert hook.sent == []
    (failed,) = await notices(world, "reload_failed")
    assert failed.body["reason"] == "RATCHET_RELOAD_SECRET is not set, and nothing is sent unsigned"


async def test_what_went_live_before_the_hook_was_configured_is_not_told_days_later(
    database: Database, hook: Hook
) -> None:
    before = await World.begin(database)
    await deployed(before)
    before.clock.advance(timedelta(days=2))
    after = World(database, settings(hook.url), clock=before.clock)
    await watch(after)
    assert hook.sent == []


async def test_where_the_newest_version_runs_a_rollback_names_the_version_that_has_the_old_text(
    database: Database, hook: Hook
) -> None:
    base = (await World.begin(database, "latest")).ratchet.settings.agent(AGENT)
    section = base.model_copy(update={"reload": ReloadSettings(url=hook.url)})
    environment = Environment(ratchet_reload_secret=SecretStr("whsec"))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    dana = await deployed(world)
    await dana.say("rollback")
    assert told(hook) == [("deployed", 2, "core"), ("rolled_back", 3, "core")]
    assert json.loads(hook.sent[0].body)["label"] is None
