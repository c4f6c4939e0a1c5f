"""The same stories where an owner gives nothing but the address of a Supabase project and its key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.db.supabase import SupabaseDatabase
from optimizer.records.states import DeploymentState
from tests.journey.cli.program import Ratchet, line, lines
from tests.journey.world import AGENT, World
from tests.plugins.supabase import SupabaseProject


async def told(world: World) -> tuple[str, ...]:
    """A day, a proposal, a yes, the next day, the verdict and a rollback: every word that a person reads."""
    await world.day()
    assert (await world.run()).status == "pending"
    dana = world.chat()
    said = [await dana.open()]
    n = await world.number("House_rules")
    said += [await dana.say(f"show {n}"), await dana.say(f"deploy {n}"), await dana.say("status")]
    assert await world.live() == {"house_rules": 1, "core": 2}
    dana = await world.morning()
    said.append(dana.told)
    (deployment,) = await world.ratchet.deployments.newest(AGENT)
    assert deployment.state is DeploymentState.seen
    assert deployment.verdict is not None
    said += [await dana.say("history"), await dana.say("rollback"), await dana.say("yes")]
    assert await world.live() == {"house_rules": 1, "core": 1}
    assert await world.chain_holds()
    return tuple(said)


async def test_one_proposal_from_trace_to_verdict_is_the_same_story(
    supabase: SupabaseDatabase, database: PostgresDatabase
) -> None:
    assert await told(await World.begin(supabase)) == await told(await World.begin(database))
