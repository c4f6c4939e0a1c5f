"""What was decided and not carried out - its process died, or left - is carried out by the next one that is there."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from optimizer.db.port import Database
from optimizer.loop import Decisions
from optimizer.loop.working import working
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.cli.program import Ratchet
from tests.journey.hotel import AGENT
from tests.journey.world import World

SOON_SECONDS = 0.02


@pytest.fixture
def ratchet(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ratchet:
    return Ratchet(tmp_path, dsn, monkeypatch, capsys)


async def _left_behind(world: World) -> None:
    await world.morning()
    await world.approve(await world.number("Payment"))
    assert (await world.live())["core"] == 1


async def _state(world: World) -> str:
    (deployment,) = await world.deployments()
    return deployment.state.value


@pytest.mark.parametrize(
    ("command", "state"),
    [("chat", "live"), ("optimize", "live"), ("optimize --dry-run", "planned"), ("rollback", "rolled_back")],
)
async def test_every_command_that_works_with_prompts_finishes_it_first(
    ratchet: Ratchet, world: World, command: str, state: str
) -> None:
    await _left_behind(world)
    ratchet.approve(AGENT)
    said = await asyncio.to_thread(ratchet.process, *command.split(), "--agent", AGENT, replies="")
    assert said.code == 0, said
    assert await _state(world) == state


async def test_it_is_finished_while_somebody_sits_there(world: World) -> None:
    async with working(world.ratchet.decisions, AGENT, SOON_SECONDS):
        await _left_behind(world)
        for _ in range(1000):
            if await _state(world) == "live":
                break
            await asyncio.sleep(SOON_SECONDS)
    sam = world.chat("console:sam")
    assert "(live as v2)" in await sam.open()


async def test_what_stands_in_the_way_is_told_once_and_ends_nothing(
    database: Database, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await _left_behind(world)
    section = AgentSettings(registry="promptlayer", prompts={"core": PromptSettings()})
    keyless = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=Environment()))
    third = asyncio.Event()

    class Counting(Decisions):
        tries = 0

        async def work(self, agent: str | None = None) -> int:
            type(self).tries += 1
            if self.tries == 3:
                third.set()
            return await super().work(agent)

    decisions = Counting(**vars(keyless.ratchet.decisions))
    with caplog.at_level(logging.WARNING):
        async with working(decisions, AGENT, SOON_SECONDS):
            await third.wait()
    assert len(caplog.records) == 1
    assert "PROMPTLAYER_API_KEY is not set" in caplog.records[0].getMessage()
    # Nobody holds what could not be done.
    await world.ratchet.decisions.work()
    assert await _state(world) == "live"


async def test_nothing_goes_on_when_the_chat_is_over(world: World) -> None:
    before = asyncio.all_tasks()
    async with working(world.ratchet.decisions, AGENT, SOON_SECONDS):
        assert asyncio.all_tasks() != before
    assert asyncio.all_tasks() == before
    with pytest.raises(KeyError):
        async with working(world.ratchet.decisions, AGENT, SOON_SECONDS):
            raise KeyError
    assert asyncio.all_tasks() == before
