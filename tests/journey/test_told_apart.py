"""What a deployment did is said as surely as traces tell versions apart: by name, label, first appearance, or time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from optimizer.observe.ingest import import_file
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptRef
from optimizer.records.edits import Edit
from optimizer.records.verdict import Outcome, ToldBy, Verdict
from optimizer.records.window import Window
from tests.journey import hotel
from tests.journey.hotel import AGENT, TIRESOME
from tests.journey.world import DAY, Proposed, World

Names = Callable[[Mapping[str, Any]], dict[str, str]]  # the prompts that run -> what a trace says of them
INCLUDING = PromptRef(includes={"HOUSE_RULES": "house_rules"})


def _numbers(held: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(one.version) for name, one in held.items()}


def _label(held: Mapping[str, Any]) -> dict[str, str]:
    return dict.fromkeys(held, "prod")


def _short_hash(held: Mapping[str, Any]) -> dict[str, str]:
    return {"": sha256_of(hotel.composed({name: one.text for name, one in held.items()}))[:8]}


def _git_hash(held: Mapping[str, Any]) -> dict[str, str]:
    """What has nothing to do with the registry, but changes when the prompt does."""
    return {"": sha256_of("salt" + str(_numbers(held)))[:7]}


def _constant(held: Mapping[str, Any]) -> dict[str, str]:
    return {"core": "v3-final"}


def _nothing(held: Mapping[str, Any]) -> dict[str, str]:
    return {}


async def _day(world: World, names: Names, *, nameless: int = 0, seed: int = 1, sessions: int = 120) -> None:
    """24 hours of traffic that names its prompts in this way; `nameless` sessions do not at all."""
    held, since = await world.held(), world.clock.now()
    texts = {name: one.text for name, one in held.items()}
    lines = list(hotel.day_of_traffic(texts, {}, since, sessions=sessions, seed=seed))
    for number, line in enumerate(lines):
        line["prompts"] = {} if number < nameless else names(held)
        if "" in line["prompts"]:
            line["prompt_version"] = line.pop("prompts")[""]
    world.clock.advance(DAY)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
        file.flush()
        async for report in import_file(Path(file.name), world.ratchet.traces, world.clock, agent=AGENT):
            assert not report.refused, report.refused


async def _deploy(world: World, sentence: str = TIRESOME) -> str:
    """Something that makes things worse goes live; what the answer said."""
    await world.run()  # which counts the day
    edit = Edit(prompt="core", find="Be short and warm", replace=f"{sentence} Be short and warm")
    await world.propose(Proposed("Say one thing more", (edit,)))
    dana = world.chat()
    await dana.open()
    said = await dana.say("deploy 1")
    assert "Live: core v" in said
    return said


async def _told(world: World) -> tuple[str, Verdict]:
    """The next morning's message, and the newest verdict."""
    await world.run()
    dana = world.chat()
    await dana.open()
    newest = next(one for one in await world.deployments() if one.verdict is not None)
    assert newest.verdict is not None
    return " ".join(dana.told.split()), newest.verdict


@pytest.fixture
async def including(world: World) -> World:
    """The agent says that its core includes the house rules."""
    prompts = {"core": INCLUDING, "house_rules": PromptRef()}
    await world.ratchet.agents.register(AGENT, at=world.clock.now(), prompts=prompts)
    return world


@pytest.mark.parametrize(
    ("names", "told_by", "words"),
    [
        (_numbers, ToldBy.number, None),
        (_short_hash, ToldBy.composed, None),
        (_label, ToldBy.label, "versions told by where the label pointed"),
        (_git_hash, ToldBy.first_seen, "versions told by first appearance"),
    ],
)
async def test_versions_are_told_apart_by_what_traces_say(
    including: World, names: Names, told_by: ToldBy, words: str | None
) -> None:
    world = including
    await _day(world, names)
    said = await _deploy(world)
    # A git hash is not known before: that is said first.
    assert ("name no version of core that the registry knows" in said) is (told_by is ToldBy.first_seen)
    await _day(world, names, seed=2)
    message, verdict = await _told(world)
    assert (verdict.outcome, verdict.told_by) == (Outcome.worse, told_by)
    assert (verdict.sessions_before, verdict.sessions_after, verdict.sessions_unknown) == (120, 120, 0)
    assert "core v2 (deployed), worse: success 7" in message
    assert "left out" not in message
    assert (words or "") in message
    assert words is not None or "versions told" not in message
    (deployment,) = await world.deployments()
    assert deployment.state.value == "seen"
    assert deployment.seen_at is not None
    assert deployment.live_at is not None
    assert deployment.live_at <= deployment.seen_at < world.clock.now() - DAY / 2


async def test_the_versions_of_facts_are_those_of_the_registry(including: World) -> None:
    await _day(including, _short_hash)
    report = await including.run()
    split = {fact.labels["prompt_version"] for fact in report.facts if "prompt_version" in fact.labels}
    assert split == {"core@1", "house_rules@1"}


async def test_a_label_that_went_back_means_the_old_version_again(world: World) -> None:
    await _day(world, _label)
    await _deploy(world)
    await _day(world, _label, seed=2)
    await _told(world)
    assert "Taken back" in await world.chat().say("rollback")
    await _day(world, _label, seed=3)
    await _deploy(world, "Name the day of the week.")
    await _day(world, _label, seed=4)
    _, verdict = await _told(world)
    # Two of the three days before ran the base; the one between ran what was taken back.
    assert (verdict.base_version, verdict.new_version) == (1, 3)
    assert (verdict.sessions_before, verdict.sessions_after, verdict.sessions_unknown) == (240, 120, 0)
    assert verdict.outcome is Outcome.no_difference


async def test_sessions_without_a_known_version_are_counted_and_said(world: World) -> None:
    await _day(world, _numbers, nameless=20)
    said = await _deploy(world)
    assert (
        "only part of front-desk's traces name a known version of core (100 of 120 sessions in 7 days): a comparison "
        "leaves the others out." in said
    )
    await _day(world, _numbers, nameless=18, seed=2)
    message, verdict = await _told(world)
    assert (verdict.sessions_before, verdict.sessions_after) == (100, 102)
    assert "38 of 240 sessions did not name a known version and are left out." in message


@pytest.mark.parametrize("names", [_nothing, _constant])
async def test_where_nothing_is_told_apart_time_is_and_both_are_said(world: World, names: Names) -> None:
    await _day(world, names)
    said = await _deploy(world)
    what = (
        "do not say which version of core they run under"
        if names is _nothing
        else "name no version of core that the registry knows"
    )
    untold = f"front-desk's traces {what} (0 of {{}} sessions in 7 days): the effect cannot be told apart, only"
    assert f"{untold.format(120)} compared by time." in said
    await _day(world, names, seed=2)
    message, verdict = await _told(world)
    assert (verdict.told_by, verdict.outcome) == (ToldBy.time, Outcome.worse)
    assert "core v2 (deployed), worse since then: success 7" in message
    assert "compared by time only: traces name no known version." in message
    # The new list says it before anybody answers.
    assert f"Before you deploy: {untold.format(240)} compared by time." in message
    # Live is not seen: no trace showed the version.
    (deployment,) = await world.deployments()
    assert (deployment.state.value, deployment.seen_at) == ("live", None)
    # Told once: the next run has nothing new to say.
    rows = len(await world.ratchet.audit.newest(AGENT, 200))
    await world.run()
    kinds = [json.loads(row["body"])["kind"] for row in await world.ratchet.audit.newest(AGENT, 200)]
    assert len(kinds) == rows + 1
    assert kinds[0] == "run"


async def test_an_agent_that_stays_on_the_old_version_is_not_compared_by_time(world: World) -> None:
    await _day(world, _numbers)
    await _deploy(world)
    await _day(world, lambda held: {"core": "1", "house_rules": "1"}, seed=2)
    await world.run()
    (deployment,) = await world.deployments()
    assert (deployment.state.value, deployment.verdict) == ("live", None)


async def test_by_time_another_deployment_ends_the_comparison(world: World) -> None:
    await _day(world, _nothing)
    await _deploy(world)
    await _day(world, _nothing, seed=2)
    edit = Edit(prompt="house_rules", find="Dogs are welcome", replace="Well-behaved dogs are welcome")
    await world.propose(Proposed("Say which dogs", (edit,)))
    dana = world.chat()
    await dana.open()
    assert "Live: house_rules v2" in await dana.say("deploy 1")
    await _day(world, _nothing, seed=3)
    await world.run()
    verdicts = {one.prompt: one.verdict for one in await world.deployments()}
    sides = {name: (one.sessions_before, one.sessions_after) for name, one in verdicts.items() if one is not None}
    assert sides == {"core": (120, 120), "house_rules": (120, 120)}


async def test_facts_are_split_by_the_versions_that_a_moved_label_meant(including: World) -> None:
    """Of a window that the move lies in, the snapshot tells each part by what the label meant then."""
    world = including
    await _day(world, _label)
    await _deploy(world)
    await _day(world, _label, seed=2, sessions=60)
    now = world.clock.now()
    report = await world.ratchet.runs.optimize(AGENT, Window(since=now - 2 * DAY, until=now))
    ran = {
        fact.labels["prompt_version"]: fact.n
        for fact in report.facts
        if fact.name == "sessions" and "prompt_version" in fact.labels
    }
    assert {version: n for version, n in ran.items() if version.startswith("core@")} == {"core@1": 120, "core@2": 60}
