"""What a deployment did is said as it was measured: better, worse, no difference, or not enough to tell."""

from __future__ import annotations

from datetime import timedelta

from optimizer.records.edits import Edit
from optimizer.records.verdict import Outcome, Verdict
from tests.journey.hotel import CURT, TIRESOME
from tests.journey.world import Proposed, World


def _adding(sentence: str) -> Proposed:
    edit = Edit(prompt="core", find="Be short and warm", replace=f"{sentence} Be short and warm")
    return Proposed("Say one thing more", (edit,))


async def _deployed(world: World, proposed: Proposed, **traffic: float) -> None:
    await world.day(**traffic)
    await world.propose(proposed)
    dana = world.chat()
    await dana.open()
    assert "Live: core v2" in await dana.say("deploy 1")


async def _verdict(world: World) -> Verdict:
    (deployment,) = await world.deployments()
    assert deployment.verdict is not None
    return deployment.verdict


async def test_an_edit_that_makes_things_worse_is_told_as_worse(world: World) -> None:
    await _deployed(world, _adding(TIRESOME))
    dana = await world.morning()
    message = " ".join(dana.told.split())
    assert "core v2 (deployed), worse: success 7" in message
    assert "success 7" in message
    assert "-> 3" in message
    assert "better" not in message
    assert (await _verdict(world)).outcome is Outcome.worse
    assert "rollback" in (await dana.say("status")).partition("Reply:")[2]
    assert "Taken back: core runs v1 again" in await dana.say("rollback")


async def test_the_same_traffic_before_and_after_is_no_difference(world: World) -> None:
    await _deployed(world, _adding(CURT), sessions=300)
    dana = await world.morning(seed=2, sessions=300)
    message = " ".join(dana.told.split())
    assert "core v2 (deployed), no clear difference:" in message
    assert "better" not in message
    assert "worse" not in message


async def test_a_handful_of_sessions_is_not_enough_to_tell(world: World) -> None:
    await _deployed(world, _adding(CURT))
    dana = await world.morning(sessions=12)
    assert "core v2 (deployed): not enough data yet (12 sessions under v2)." in " ".join(dana.told.split())
    (deployment,) = await world.deployments()
    assert deployment.state.value == "seen"
    assert deployment.live_at is not None
    assert deployment.seen_at is not None
    # When its first trace began, not when the run looked.
    assert deployment.live_at <= deployment.seen_at < world.clock.now() - timedelta(hours=12)


async def test_not_enough_data_turns_into_a_verdict_with_the_days(world: World) -> None:
    dana = await world.morning(sessions=60)
    await dana.say("deploy all")
    outcomes: list[Outcome] = []
    for seed in range(2, 8):
        await world.morning(seed=seed, sessions=30)
        outcomes.append((await _verdict(world)).outcome)
    assert outcomes[0] is Outcome.not_enough_data
    assert outcomes[-1] is Outcome.better
    assert Outcome.worse not in outcomes
