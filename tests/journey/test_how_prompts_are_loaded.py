"""Deploying and taking back where the agent does not follow a label."""

from __future__ import annotations

from optimizer.db.port import Database
from tests.journey.hotel import AGENT, PAYMENT, PROMPTS
from tests.journey.world import World


async def test_where_the_newest_version_runs_publishing_is_going_live(database: Database) -> None:
    world = await World.begin(database, "latest")
    dana = await world.morning()
    n = await world.number("Payment")
    assert f"Live: core v2 (was v1), item {n}." in await dana.say(f"deploy {n}")
    assert (await world.text()).count("## Payment") == 1
    # Going back publishes the old text again: the newest version is what runs.
    assert "Taken back: core runs the text of v1 again" in await dana.say("rollback")
    held = (await world.held())["core"]
    assert (held.version, held.text) == (3, PROMPTS["core"])
    assert await world.chain_holds()


async def test_where_the_newest_version_runs_its_effect_is_measured_too(database: Database) -> None:
    world = await World.begin(database, "latest")
    await (await world.morning()).say("deploy all")
    dana = await world.morning()
    assert "core v2 (deployed), better: cost per session -" in dana.told


async def test_a_pinned_prompt_is_for_a_person_to_change(database: Database) -> None:
    world = await World.begin(database, "pinned")
    dana = await world.morning()
    assert "Deployable" not in dana.told
    assert "For you to do: 1, 2, 3, 4." in dana.told
    n = await world.number("Payment")
    assert "The agent is pinned to a version of this prompt" in await dana.say(f"tell me more about {n}")
    for words in ("deploy all", f"deploy {n}"):
        await dana.say(words)
    assert await world.published() == 1
    assert f"Done: {n}." in await dana.say(f"done {n}")


async def test_what_a_person_changed_of_a_pinned_prompt_is_told_apart_and_not_proposed_again(
    database: Database,
) -> None:
    world = await World.begin(database, "pinned")
    dana = await world.morning()
    n = await world.number("Payment")
    await dana.say(f"done {n}")
    # The person publishes it and pins the agent to it: what runs now names version 2.
    await world.edit_prompts({"core": PROMPTS["core"].replace(PAYMENT, "", 1)})
    dana = await world.morning(seed=2)
    assert "Payment" not in dana.told.partition("Watching")[0]
    report = await world.run()
    ran = {fact.labels["prompt_version"] for fact in report.facts if "prompt_version" in fact.labels}
    assert "core@2" in ran
    # Nothing was deployed, so nothing is watched, measured or to be taken back.
    assert await world.deployments() == ()
    await world.ratchet.watching.watch(AGENT)
    assert "Nothing that I deployed is live." in await dana.say("status")


async def test_where_the_newest_version_runs_it_is_seen_and_so_is_its_way_back(database: Database) -> None:
    world = await World.begin(database, "latest")
    dana = await world.morning()
    n = await world.number("Payment")
    await dana.say(f"deploy {n}")
    await world.day(seed=2)
    await world.run()
    assert "Seen in traffic: core v2, " in await dana.say("status")
    await dana.say("rollback")
    await world.day(seed=3)
    await world.run()
    said = await dana.say("status")
    assert "Seen in traffic: core runs the text of v1 again, " in said
    assert "Somebody" not in said
