"""Who works on a deployment: one worker, as long as it lives; then another, and never both."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.heartbeat import BEATS_PER_LEASE
from optimizer.records.states import DeploymentState
from tests.builders import Office
from tests.contract.deploy.interfered import Interfered
from tests.contract.deploy.single import approved, only

LEASE_SECONDS = 2
CALLS = ["current", "current", "publish", "version", "current", "current", "move_label", "current"]


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


async def let_it_end(office: Office, batch_id: UUID) -> None:
    """The lease of whoever has the batch is over at this moment."""
    holder = (await only(office, batch_id)).worker
    assert holder is not None
    assert await office.deployments.hold(batch_id, holder, 0)


async def test_a_call_that_is_slower_than_the_lease_does_not_lose_it(office: Office) -> None:
    batch_id = await approved(office)
    taken: list[int] = []

    class Slow(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "publish":
                for _ in range(2 * LEASE_SECONDS):
                    await asyncio.sleep(0.75)
                    taken.append(await office.worker("another").work())

    await office.worker(lease_seconds=LEASE_SECONDS, registry=Slow).work()
    assert set(taken) == {0}
    assert (await only(office, batch_id)).state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2


async def test_a_lease_that_is_over_does_not_come_back(office: Office) -> None:
    batch_id = await approved(office)

    class Sleeps(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "publish":
                await let_it_end(office, batch_id)
                await asyncio.sleep(1.5 * LEASE_SECONDS / BEATS_PER_LEASE)  # its heart beats meanwhile
                assert await office.worker("another").work() == 1

    await office.worker(lease_seconds=LEASE_SECONDS, registry=Sleeps).work()
    assert (await only(office, batch_id)).state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2


@pytest.mark.parametrize("number", range(1, len(CALLS)), ids=lambda number: f"{number} {CALLS[number - 1]}")
async def test_the_lease_is_asked_for_before_each_call(office: Office, number: int) -> None:
    """It ended, and another worker did the rest, during the call before."""
    batch_id = await approved(office)

    class Sleeps(Interfered):
        async def after(self, call: str, prompt: str) -> None:
            if len(self.calls) == number:
                await let_it_end(office, batch_id)
                assert await office.worker("another").work() == 1

    registry = Sleeps(office.registry)
    await office.worker(registry=lambda _: registry).work()
    assert registry.calls == CALLS[:number]
    assert (await only(office, batch_id)).state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2


async def test_two_turns_of_one_process_are_two_workers(office: Office) -> None:
    """The first slept through its lease; the second one must not lend it its own."""
    batch_id = await approved(office)
    first_is_over = asyncio.Event()
    second_has_it = asyncio.Event()
    turns: list[asyncio.Task[int]] = []

    class Sleeps(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == "publish" and not turns:
                await let_it_end(office, batch_id)
                turns.append(asyncio.create_task(worker.work()))
                await second_has_it.wait()
            elif call == "publish":
                second_has_it.set()
                await first_is_over.wait()

    registry = Sleeps(office.registry)
    worker = office.worker(registry=lambda _: registry)
    await worker.work()
    assert "version" not in registry.calls  # the first went no further than the call that it was in
    assert (await only(office, batch_id)).state is DeploymentState.publishing
    first_is_over.set()
    await turns[0]
    assert (await only(office, batch_id)).state is DeploymentState.live
    assert len(await office.registry.history("system")) == 2


async def test_nothing_beats_when_the_work_is_over(office: Office) -> None:
    await approved(office)
    before = asyncio.all_tasks()

    class Dies(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await office.worker(registry=Dies).work()
    assert asyncio.all_tasks() == before
    assert await office.worker().work() == 1
    assert asyncio.all_tasks() == before
