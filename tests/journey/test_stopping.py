""" "Stop" at the moment at which nobody knows whether it is live: the person hears what is true in the end."""

from __future__ import annotations

import asyncio

import pytest

from optimizer.deploy.worker import Worker
from tests.contract.deploy.interfered import Interfered
from tests.journey.hotel import AGENT
from tests.journey.world import DANA, SAM, World


async def _dies(world: World, *, moved: bool) -> None:
    """A process that dies right before it moves the label, or right after."""
    await world.morning()
    await world.approve(await world.number("Payment"))

    class Dies(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "move_label" and not moved:
                raise KeyboardInterrupt

        async def after(self, call: str, prompt: str) -> None:
            if call == "move_label":
                raise KeyboardInterrupt

    ratchet = world.ratchet
    registry = Dies(ratchet.registry_of(AGENT))
    worker = Worker("in another process", ratchet.deployments, ratchet.audit, lambda _: registry, world.clock, 1)
    with pytest.raises(KeyboardInterrupt):
        await worker.work(AGENT)
    (deployment,) = await world.deployments()
    assert deployment.state.value == "verifying"


async def test_it_had_not_moved_and_does_not_move(world: World) -> None:
    await _dies(world, moved=False)
    answer = await world.chat(SAM).say("stop")
    assert "Halted before it went live: core; v1 stays." in answer
    assert (await world.live())["core"] == 1
    assert "(not live)" in await world.chat(DANA).open()
    assert await world.chain_holds()


async def test_it_had_moved_and_is_taken_back(world: World) -> None:
    await _dies(world, moved=True)
    assert (await world.live())["core"] == 2
    answer = await world.chat(SAM).say("wait")
    assert "Taken back: core runs v1 again; v2 was live" in answer
    assert (await world.live())["core"] == 1
    assert await world.chain_holds()


async def test_while_another_process_moves_it(world: World) -> None:
    """The other one finds out before its next call, and finishes what has to be finished."""
    await world.morning()
    await world.approve(await world.number("Payment"))
    sam = world.chat(SAM)
    answers: list[asyncio.Task[str]] = []

    class Meanwhile(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "move_label" and not answers:
                answers.append(asyncio.create_task(sam.say("undo")))
                for _ in range(1000):
                    (deployment,) = await world.deployments()
                    if deployment.rollback is not None:
                        return
                    await asyncio.sleep(0.01)

    ratchet = world.ratchet
    registry = Meanwhile(ratchet.registry_of(AGENT))
    await Worker("another", ratchet.deployments, ratchet.audit, lambda _: registry, world.clock).work(AGENT)
    assert "Taken back: core runs v1 again" in await answers[0]
    assert (await world.live())["core"] == 1
    assert await world.published() == 2
