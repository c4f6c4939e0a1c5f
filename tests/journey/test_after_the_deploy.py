"""After a deployment: seen in traffic or not, moved elsewhere by somebody, and the same after it was taken back."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from optimizer.db.port import Database
from optimizer.loop.working import working
from optimizer.observe.ingest import import_file
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptRef
from optimizer.records.edits import Edit
from optimizer.stores.audit import Notice
from tests.journey import hotel
from tests.journey.hotel import AGENT, CORE
from tests.journey.world import DAY, Chat, Proposed, World

Names = Callable[[Mapping[str, str]], dict[str, Any]]  # the texts that run -> what a trace says of them
HOUR = timedelta(hours=1)
NEW = CORE.replace("Be short and warm", "Name the day of the week. Be short and warm")
_RULES = hotel.HOUSE_RULES


def _numbers(texts: Mapping[str, str]) -> dict[str, Any]:
    return {"prompts": {"core": {CORE: "1", NEW: "2"}[texts["core"]]}}


def _label(texts: Mapping[str, str]) -> dict[str, Any]:
    return {"prompts": {"core": "prod"}}


def _short_hash(texts: Mapping[str, str]) -> dict[str, Any]:
    return {"prompts": {"core": sha256_of(texts["core"])[:12]}}


def _composed(texts: Mapping[str, str]) -> dict[str, Any]:
    return {"prompt_version": sha256_of(hotel.composed(texts))}


def _git_hash(texts: Mapping[str, str]) -> dict[str, Any]:
    return {"prompts": {"core": sha256_of("salt" + texts["core"])[:7]}}


def _nothing(texts: Mapping[str, str]) -> dict[str, Any]:
    return {}


async def traffic(
    world: World, core: str, names: Names = _numbers, sessions: int = 12, lasts: timedelta = HOUR
) -> None:
    """Sessions that run this text, spread over the time, and say so in this way."""
    texts, since = {"core": core, "house_rules": _RULES}, world.clock.now()
    lines = list(hotel.day_of_traffic(texts, {}, since, sessions=sessions))
    for number, line in enumerate(lines):
        line.pop("prompts")
        line["session_id"] = str(uuid4())
        line["started_at"] = (since + lasts * ((number + 1) / (sessions + 1))).isoformat()
        line.update(names(texts))
    world.clock.advance(lasts)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
        file.flush()
        async for report in import_file(Path(file.name), world.ratchet.traces, world.clock, agent=AGENT):
            assert not report.refused, report.refused


async def decided(world: World, names: Names = _numbers) -> tuple[Chat, str]:
    """After a day under version 1 Dana says "deploy"; what the answer was."""
    await traffic(world, CORE, names, sessions=30, lasts=DAY)
    await world.run()  # which counts the day
    edit = Edit(prompt="core", find="Be short and warm", replace="Name the day of the week. Be short and warm")
    await world.propose(Proposed("Name the day", (edit,)))
    dana = world.chat()
    await dana.open()
    return dana, await dana.say("deploy 1")


async def deployed(world: World, names: Names = _numbers) -> Chat:
    """Version 2 is live, after a day under version 1."""
    dana, said = await decided(world, names)
    assert "Live: core v2 (was v1), item 1." in said
    return dana


async def notices(world: World, *kinds: str) -> list[Notice]:
    """All that were told, of these kinds."""
    return [one for one in await world.ratchet.notices.after(AGENT, 0) if one.kind in kinds]


async def watch(world: World) -> None:
    await world.ratchet.watching.watch(AGENT)


@pytest.fixture
async def including(world: World) -> World:
    prompts = {"core": PromptRef(includes={"HOUSE_RULES": "house_rules"}), "house_rules": PromptRef()}
    await world.ratchet.agents.register(AGENT, at=world.clock.now(), prompts=prompts)
    return world


@pytest.mark.parametrize("names", [_numbers, _label, _short_hash, _composed, _git_hash])
async def test_it_is_said_once_that_a_deployment_was_seen_and_how_long_after(including: World, names: Names) -> None:
    world = including
    dana = await deployed(world, names)
    assert "not seen in traffic yet" in await dana.say("status")
    await traffic(world, NEW, names, sessions=5)  # the first of them after ten minutes
    await watch(world)
    assert "Seen in traffic: core v2, 10 min after it went live, just now." in await dana.say("status")
    assert "seen in traffic." in await dana.say("status")
    await traffic(world, NEW, names, sessions=5)
    await watch(world)
    await world.run()
    assert len(await notices(world, "deployment_seen")) == 1
    assert await notices(world, "still_old") == []


@pytest.mark.parametrize("names", [_numbers, _short_hash, _composed])
async def test_an_agent_that_stays_on_the_old_version_is_told_of_once(including: World, names: Names) -> None:
    world = including
    dana = await deployed(world, names)
    await traffic(world, CORE, names, sessions=9)
    await watch(world)
    assert await notices(world, "still_old") == []  # nine may be chance
    await traffic(world, CORE, names, sessions=5)
    await watch(world)
    said = await dana.say("status")
    still = "Still on the old version of core: 14 sessions since v2 went live ran an older one, and none ran v2"
    assert said.count(still) == 2  # as news, and as how things stand
    assert "Restart the agent, or make it read core again" in said
    await traffic(world, CORE, names, sessions=20)
    await watch(world)
    await world.run()
    assert len(await notices(world, "still_old")) == 1
    # The end of it is told, too.
    await traffic(world, NEW, names, sessions=2)
    await watch(world)
    said = await dana.say("status")
    assert "Seen in traffic: core v2, 3 h after it went live" in said
    assert "Still on" not in said


@pytest.mark.parametrize("names", [_git_hash, _nothing])
async def test_where_traces_do_not_tell_versions_apart_nothing_is_said(world: World, names: Names) -> None:
    await deployed(world, names)
    await traffic(world, CORE, names, sessions=40)
    await watch(world)
    assert await notices(world, "still_old", "deployment_seen") == []


async def test_what_a_cache_still_serves_right_after_a_deployment_is_no_news(world: World) -> None:
    await deployed(world)
    await traffic(world, CORE, sessions=60, lasts=timedelta(minutes=5))
    await watch(world)
    assert await notices(world, "still_old") == []


async def test_a_session_that_began_before_the_deployment_says_nothing(world: World) -> None:
    await deployed(world)
    live_at = world.clock.now()
    lines = [
        {
            "trace_id": f"{n} {step}",
            "session_id": f"long-{n}",
            "started_at": (live_at + step).isoformat(),
            "prompts": {"core": "1"},
            "events": [],
        }
        for n in range(12)
        for step in (-HOUR, HOUR)
    ]
    world.clock.advance(2 * HOUR)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
        file.flush()
        async for _ in import_file(Path(file.name), world.ratchet.traces, world.clock, agent=AGENT):
            pass
    await watch(world)
    assert await notices(world, "still_old") == []


async def test_some_processes_that_stay_behind_are_told_of_although_others_run_it(world: World) -> None:
    await deployed(world)
    await traffic(world, NEW, sessions=2)
    await traffic(world, CORE, sessions=30)
    await watch(world)
    seen, old = await notices(world, "deployment_seen", "still_old")
    assert (seen.kind, old.kind) == ("deployment_seen", "still_old")
    assert (old.body["old"], old.body["new"]) == (30, 2)


async def test_the_same_is_said_after_it_was_taken_back(world: World) -> None:
    dana = await deployed(world)
    await traffic(world, NEW)
    assert "Taken back: core runs v1 again" in await dana.say("rollback")
    await traffic(world, NEW, sessions=12)  # the first of them so soon that it may be a cache's
    await watch(world)
    said = await dana.say("status")
    assert "Still on core v2: 11 sessions since it was taken back ran it, and none ran the version before" in said
    await traffic(world, CORE, sessions=2)
    await watch(world)
    said = await dana.say("status")
    assert "Seen in traffic: core runs v1 again, 1 h after v2 was taken back" in said
    assert "Still on" not in said
    await traffic(world, CORE, sessions=20)
    await watch(world)
    assert len(await notices(world, "still_old")) == 1
    assert len(await notices(world, "rollback_seen")) == 1
    assert await world.chain_holds()


async def test_two_processes_tell_each_thing_once(world: World, database: Database) -> None:
    await deployed(world)
    await traffic(world, CORE, sessions=20)
    await world.ratchet.registry_of(AGENT).move_label("core", "prod", 1, expected=2)
    others = [World(database, clock=world.clock) for _ in range(3)]
    await asyncio.gather(*(watch(one) for one in (world, *others) for _ in range(2)))
    told = [one.kind for one in await notices(world, "still_old", "label_moved", "deployment_seen")]
    assert sorted(told) == ["label_moved", "still_old"]
    await traffic(world, NEW, sessions=2)
    await asyncio.gather(*(watch(one) for one in (world, *others) for _ in range(2)))
    assert len(await notices(world, "deployment_seen")) == 1
    assert await world.chain_holds()


async def test_while_a_chat_is_open_what_is_live_is_watched(world: World) -> None:
    await deployed(world)
    await traffic(world, NEW, sessions=5)
    async with working(world.ratchet.decisions, AGENT, watching=world.ratchet.watching, watch_every_seconds=0.05):
        for _ in range(500):
            if await notices(world, "deployment_seen"):
                break
            await asyncio.sleep(0.02)
    assert len(await notices(world, "deployment_seen")) == 1
