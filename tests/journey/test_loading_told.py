"""How an agent loads its prompts is told from its traces, and said where deploying would not do what is believed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.commands.doctor_prompts import prompt_lines
from optimizer.db.port import Database
from tests.journey.hotel import AGENT, CORE
from tests.journey.test_after_the_deploy import HOUR, NEW, deployed, traffic
from tests.journey.test_label_moved import published, put
from tests.journey.world import DAY, World

LATER = CORE + "- One more line.\n"


async def doctor(world: World) -> str:
    agent = await world.ratchet.prompts.declared(AGENT)
    return "\n".join([line async for line in prompt_lines(world.ratchet, agent)])


async def newest_ran(world: World, days: int = 1) -> None:
    """Somebody publishes version 2 without a label, and the agent runs it."""
    await traffic(world, CORE, sessions=10)
    assert await published(world, NEW) == 2
    for _ in range(days):
        await traffic(world, NEW, sessions=120, lasts=DAY)


async def test_before_anything_can_tell_doctor_says_what_is_assumed(world: World) -> None:
    await traffic(world, CORE, sessions=30)
    assert await doctor(world) == (
        "prompt core of front-desk: `follow` is not set, its label prod is assumed; no trace shows yet how it is "
        "loaded\n"
        "prompt house_rules of front-desk: `follow` is not set, its label prod is assumed; no trace shows yet how it "
        "is loaded"
    )


async def test_an_agent_that_runs_the_newest_version_is_told_of_with_the_line_to_write(world: World) -> None:
    await newest_ran(world)
    told = await doctor(world)
    assert "it is assumed that front-desk loads core by the label prod, and its traces show otherwise (" in told
    assert " ran v2, the newest, while prod stood at v1): what is published runs at once" in told
    assert 'to say so, write in prompts.core of [agents.front-desk]: follow = "latest"' in told


async def test_the_list_says_it_before_anybody_answers_and_so_does_the_answer(world: World) -> None:
    await newest_ran(world)
    await world.run()
    dana = world.chat()
    opened = await dana.open()
    warned = "it is assumed that front-desk loads core by the label prod, and its traces show otherwise"
    assert f"Before you deploy: {warned}" in opened
    n = await world.number("House_rules")
    assert warned in await dana.say(f"deploy {n}")


@pytest.mark.parametrize("follow", ["label", "latest", "pinned"])
async def test_what_the_owner_said_is_confirmed_or_contradicted(database: Database, follow: str) -> None:
    settings = (await World.begin(database, "latest")).ratchet.settings
    core = settings.agent(AGENT).prompts["core"]
    said = core.model_validate({**core.model_dump(), "follow": follow})
    prompts = {**settings.agent(AGENT).prompts, "core": said}
    section = settings.agent(AGENT).model_copy(update={"prompts": prompts})
    file = settings.file.model_copy(update={"agents": {AGENT: section}})
    world = World(database, settings.model_copy(update={"file": file}))
    await newest_ran(world)
    (told,) = [line for line in (await doctor(world)).splitlines() if line.startswith("prompt core")]
    if follow == "latest":
        assert "its traces agree with `follow` (" in told
    else:
        assert (
            f"ratchet.toml says that front-desk loads core by {'the label prod' if follow == 'label' else follow}"
            in told
        )


async def test_an_agent_that_stays_where_the_label_went_back_to_confirms_the_label(world: World) -> None:
    dana = await deployed(world)
    await traffic(world, NEW, sessions=10)
    await dana.say("rollback")
    await traffic(world, CORE, sessions=20, lasts=2 * HOUR)
    told = await doctor(world)
    assert "prompt core of front-desk: `follow` is not set; its traces show label (" in told
    assert "sessions after 2026-02-27 07:05 UTC ran v1, where prod stood, and v2 was the newest)" in told
    assert 'to say so, write in prompts.core of [agents.front-desk]: follow = "label"' in told


async def test_an_agent_that_is_pinned_is_told_apart_from_one_that_caches(world: World) -> None:
    await deployed(world)
    await traffic(world, CORE, sessions=20, lasts=DAY)
    assert "show otherwise" not in await doctor(world)
    await traffic(world, CORE, sessions=20, lasts=DAY)
    told = await doctor(world)
    assert "ran v1, while prod stood at v2 and v2 was the newest): a deployment does not reach the agent" in told
    assert 'follow = "pinned"' in told
    assert "Still on the old version of core" not in told  # nobody looked meanwhile: doctor tells nothing new
    await world.ratchet.watching.watch(AGENT)
    assert "deployments of front-desk: Still on the old version of core: 40 sessions" in await doctor(world)


async def test_doctor_names_a_label_that_stands_elsewhere(world: World) -> None:
    await deployed(world)
    await put(world, await published(world, LATER), where=2)
    world.clock.advance(timedelta(minutes=1))
    await world.ratchet.watching.watch(AGENT)
    assert "deployments of front-desk: Somebody put prod of core on v3 at 06:00 UTC" in await doctor(world)
