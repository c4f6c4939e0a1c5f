"""Somebody moves a label, or publishes over a deployment: told once for each new place, and never of our own moves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg

from optimizer.db.port import Database
from optimizer.errors import RegistryError
from optimizer.records.edits import Edit
from optimizer.registries.port import Registry
from tests.contract.deploy.interfered import Interfered
from tests.journey.hotel import AGENT, CORE, TIRESOME
from tests.journey.test_after_the_deploy import HOUR, NEW, deployed, notices, traffic, watch
from tests.journey.world import Proposed, World

SECOND = Edit(prompt="core", find="# Front desk", replace="# The front desk")


async def published(world: World, text: str) -> int:
    """Somebody publishes a version past Ratchet, without a label."""
    registry = world.ratchet.registry_of(AGENT)
    held = await registry.publish("core", text, commit_message="by hand", metadata={}, deployment_id=uuid4())
    return held.version


async def put(world: World, version: int, *, where: int) -> None:
    """Somebody puts the label on this version; it stood at `where`."""
    await world.ratchet.registry_of(AGENT).move_label("core", "prod", version, expected=where)


async def test_a_label_that_somebody_moves_is_told_once_with_what_that_means(world: World) -> None:
    dana = await deployed(world)
    await traffic(world, NEW)
    await put(world, await published(world, CORE + "- One more line.\n"), where=2)
    world.clock.advance(HOUR)
    await watch(world)
    await watch(world)
    said = await dana.say("status")
    moved = "Somebody put prod of core on v3 at 07:00 UTC, where v2 was live"
    assert said.count(moved) == 2  # as news, and as how things stand
    assert 'What core v2 did is measured up to then, and "rollback" does not overwrite it.' in said
    assert len(await notices(world, "label_moved")) == 1
    assert "just now: somebody put prod of core on v3, where v2 was live" in await dana.say("history")
    assert "so nothing was done; what someone else wrote would be lost" in await dana.say("rollback")
    assert await world.live() == {"core": 3, "house_rules": 1}
    assert await world.chain_holds()


async def test_a_label_that_goes_back_to_the_version_before_is_told_so(world: World) -> None:
    dana = await deployed(world)
    await put(world, 1, where=2)
    await watch(world)
    said = await dana.say("status")
    assert "Somebody put prod of core back on v1 at 06:00 UTC, where v2 was live, just now." in said
    assert "there is nothing left to take back" in said


async def test_each_new_place_is_told_and_coming_back_ends_it(world: World) -> None:
    dana = await deployed(world)
    await put(world, 1, where=2)
    await watch(world)
    await put(world, 2, where=1)
    await watch(world)
    assert "Somebody put prod" in await dana.say("history")  # as news
    assert "Somebody" not in await dana.say("status")
    await put(world, 1, where=2)
    await watch(world)
    third = await published(world, CORE + "- One more line.\n")
    await put(world, third, where=1)
    await watch(world)
    assert [one.body["version"] for one in await notices(world, "label_moved")] == [1, 1, 3]


async def test_several_processes_that_find_it_elsewhere_again_tell_it_once(world: World, database: Database) -> None:
    await deployed(world)
    await put(world, 1, where=2)
    await watch(world)
    await put(world, await published(world, CORE + "- One more line.\n"), where=1)
    others = [World(database, clock=world.clock) for _ in range(3)]
    await asyncio.gather(*(watch(one) for one in (world, *others)))
    assert [one.body["version"] for one in await notices(world, "label_moved")] == [1, 3]


async def test_the_same_text_under_another_number_is_no_news(world: World) -> None:
    await deployed(world)
    await put(world, await published(world, NEW), where=2)
    await watch(world)
    assert await notices(world, "label_moved") == []


async def test_our_own_moves_are_nobodys(world: World) -> None:
    dana = await deployed(world)
    await watch(world)
    await world.propose(Proposed("Name it", (SECOND,)))
    await dana.open()
    assert "Live: core v3 (was v2)" in await dana.say("deploy 1")
    await watch(world)
    assert "Taken back: core runs v2 again" in await dana.say("rollback")
    await watch(world)
    assert await notices(world, "label_moved") == []


async def test_while_something_is_on_its_way_nobody_is_blamed_for_the_move(world: World) -> None:
    await deployed(world)
    await world.propose(Proposed("Name it", (SECOND,)))
    await world.approve(1)  # and the process that carries it out stops right after it moved the label
    await put(world, await published(world, NEW.replace("# Front desk", "# The front desk")), where=2)
    await watch(world)
    assert await notices(world, "label_moved") == []


async def test_a_watch_that_was_overtaken_by_a_deployment_tells_nothing(world: World) -> None:
    """It read the deployment before, and the registry after the next one had moved the label."""
    await deployed(world)
    (before,) = await world.deployments()
    await world.propose(Proposed("Name it", (SECOND,)))
    await world.approve(1)
    store, at = world.ratchet.watching.store, world.clock.now()
    said = {"kind": "label_moved", "session_id": None, "actor": None, "body": {}}
    for _ in range(2):  # while it is on its way, and when it is live
        told = await store.sight(before, "place", "3", before=None, body={}, notices=[said], audit="{}", at=at)
        assert not told
        world.clock.advance(HOUR)
        await world.ratchet.decisions.work()
    assert await notices(world, "label_moved") == []


async def test_the_verdict_ends_where_somebody_moved_the_label(world: World) -> None:
    """What ran afterwards is not the deployment's doing, also where only time tells versions apart."""
    await world.day()
    await world.run()
    edit = Edit(prompt="core", find="Be short and warm", replace=f"{TIRESOME} Be short and warm")
    await world.propose(Proposed("Ask more", (edit,)))
    dana = world.chat()
    await dana.open()
    await dana.say("deploy 1")
    await world.day(seed=2)
    await put(world, await published(world, CORE + "- One more line.\n"), where=2)
    await world.ratchet.watching.watch(AGENT)
    await world.day(seed=3)
    await world.run()
    (deployment,) = await world.deployments()
    assert deployment.verdict is not None
    assert (deployment.verdict.sessions_after, deployment.verdict.sessions_in_all) == (120, 240)


async def test_who_publishes_over_a_deployment_where_the_newest_version_runs_is_told_of(database: Database) -> None:
    world = await World.begin(database, "latest")
    dana = await deployed(world)
    await watch(world)
    await published(world, CORE + "- One more line.\n")
    world.clock.advance(timedelta(minutes=2))
    await watch(world)
    said = await dana.say("status")
    assert "Somebody published core v3 at 06:00 UTC, where v2 was live, and the agent loads the newest version" in said
    assert len(await notices(world, "label_moved")) == 1


async def test_a_label_that_is_gone_is_told(world: World, dsn: str) -> None:
    dana = await deployed(world)
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from ratchet.prompt_labels where prompt = 'core'")
    await watch(world)
    await watch(world)
    assert len(await notices(world, "label_moved")) == 1
    (notice,) = await notices(world, "label_moved")
    assert notice.body["version"] is None
    assert "Somebody took away the label prod of core, where v2 was live" in await dana.say("status")


async def test_a_label_that_is_gone_is_told_also_while_nothing_was_seen_of_the_deployment(
    world: World, dsn: str
) -> None:
    await deployed(world)
    await traffic(world, CORE)  # names a version, so that the registry is asked what it means
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from ratchet.prompt_labels where prompt = 'core'")
    await watch(world)
    (notice,) = await notices(world, "label_moved")
    assert notice.body["version"] is None


async def test_a_prompt_that_cannot_be_looked_at_is_in_no_other_ones_way(world: World) -> None:
    """Nor are its looks told one by one."""
    ratchet = world.ratchet
    quiet = Edit(prompt="house_rules", find="quiet after ten", replace="quiet after eleven")
    await world.propose(Proposed("Both", (SECOND, quiet)))
    dana = world.chat()
    await dana.open()
    assert "Live: " in await dana.say("deploy 1")
    for prompt in ("core", "house_rules"):
        await ratchet.registry_of(AGENT).move_label(prompt, "prod", 1, expected=2)
    for broken in ("core", "house_rules"):
        prompts = replace(
            ratchet.prompts, registry_of=lambda agent, broken=broken: Broken(ratchet.registry_of(agent), broken)
        )
        await replace(ratchet.watching, prompts=prompts).watch(AGENT)
    assert sorted(one.body["prompt"] for one in await notices(world, "label_moved")) == ["core", "house_rules"]


class Broken(Interfered):
    """Fails for one prompt."""

    def __init__(self, inner: Registry, prompt: str) -> None:
        super().__init__(inner)
        self._prompt = prompt

    async def before(self, call: str, prompt: str) -> None:
        if prompt == self._prompt:
            raise RegistryError("The registry answered 500; try again.")
