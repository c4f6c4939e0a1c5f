"""What is noticed after a deployment is written and told the same over every way into the database."""

from __future__ import annotations

import asyncio

from tests.journey.test_after_the_deploy import CORE, NEW, deployed, notices, traffic
from tests.journey.world import AGENT, World
from tests.plugins.transports import Transport

KINDS = ("deployment_seen", "still_old", "rollback_seen", "label_moved", "reload_failed")


async def test_each_thing_is_told_once(transport: Transport) -> None:
    database = await transport.open()
    world = await World.begin(database)
    watching = world.ratchet.watching
    dana = await deployed(world)
    (deployment,) = await world.deployments()
    now = world.clock.now()
    calls = await watching.store.claim([(deployment.id, "deployed")], "one", 20, now)
    assert [(one.deployment_id, one.event, one.tries) for one in calls] == [(deployment.id, "deployed", 1)]
    assert await watching.store.claim([(deployment.id, "deployed")], "another", 20, now) == ()
    told = {"kind": "reload_failed", "session_id": None, "actor": None, "body": {}}
    ended = [
        await watching.store.end(calls[0], "one", reason="no", next_try_at=None, notices=[told], audit="{}", at=now)
        for _ in range(2)
    ]
    assert ended == [True, False]
    await traffic(world, CORE)
    await traffic(world, NEW, sessions=1)
    await asyncio.gather(*(watching.watch(AGENT) for _ in range(3)))
    await world.ratchet.registry_of(AGENT).move_label("core", "prod", 1, expected=2)
    await asyncio.gather(*(watching.watch(AGENT) for _ in range(3)))
    await world.ratchet.registry_of(AGENT).move_label("core", "prod", 2, expected=1)
    await dana.say("rollback")
    await dana.say("yes")
    await traffic(world, CORE, sessions=2)
    await asyncio.gather(*(watching.watch(AGENT) for _ in range(3)))
    kinds = [one.kind for one in await notices(world, *KINDS)]
    assert sorted(kinds) == sorted(KINDS)
    assert await world.chain_holds()
