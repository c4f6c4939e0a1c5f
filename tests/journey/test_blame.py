"""Who brought which sentence of a prompt: after days of deployments, by hand, and back again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from bot.cards.blame import blame_card
from bot.cards.layout import as_text
from bot.cards.words import Reader
from bot.demo import traffic
from optimizer.db.port import Database
from optimizer.errors import NotFoundError, PromptNotFound
from optimizer.loop.blame import VERSIONS_MAX
from optimizer.records.blame import Blamed, Brought
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.demo_days import DemoDays
from tests.journey.hotel import CORE, PROMPTS, TOOLS
from tests.journey.world import AGENT, DANA, START, Proposed, World
from tests.simulators.promptlayer import PromptLayer

RULE = "Before you call `find_guest`"  # how the edit of that item begins
LOOK = "- When nobody is found, ask for the name in the booking, and look once more."
DOGS = "- Dogs are welcome on the ground floor"
ANOTHER = "night-desk"  # another agent, of which this database knows nothing
WIDTH = 80


def told(blamed: Blamed, words: str) -> Brought:
    """What brought the sentence with these words, which stands once."""
    (sentence,) = [one for one in blamed.sentences if words in one.text]
    return next(one for one in blamed.versions if one.version == sentence.version)


def shown(blamed: Blamed, world: World | DemoDays) -> str:
    return as_text(blame_card(blamed, "prod", Reader(world.clock.now(), DANA)), WIDTH)


async def blamed_core(world: World, version: int | None = None) -> Blamed:
    blamed = await world.ratchet.blaming.blame(AGENT, "core", version)
    held = await world.ratchet.registry_of(AGENT).version("core", blamed.version)
    assert "".join(one.text for one in blamed.sentences) == held.text
    return blamed


async def test_the_demos_prompt_after_two_days_of_deployments(database: Database, tmp_path: Path) -> None:
    demo = DemoDays(database, tmp_path, DANA)
    await demo.begin()
    assert "Live: master_system_core v2 (was v1), item 2." in await demo.say("remove 3, deploy 2")
    demo.clock.advance(timedelta(days=7))  # what was removed comes back after a week
    assert "[2] Publishing to Ghost block stands twice" in await demo.morning()
    assert "Live: master_system_core v3 (was v2), item 2." in await demo.say("deploy 2")

    blamed = await demo.ratchet.blaming.blame(traffic.AGENT, "master_system_core")
    assert [(one.version, one.by) for one in blamed.versions] == [(3, "ratchet"), (2, "ratchet"), (1, "base")]
    assert {one.version for one in blamed.sentences} == {1}
    assert [(one.version, one.text.split("\n")[0]) for one in blamed.gone] == [
        (2, "## Playbooks"),
        (3, "## Publishing to Ghost"),
    ]
    card = shown(blamed, demo)
    lines = card.splitlines()
    assert lines[0] == "blog-writer (prod): master_system_core v3, which runs (label prod)"
    assert lines[1].startswith("71 sentences: 71 stood there before Ratchet. Ratchet took something out in 2")
    assert "v1     | # Blog writer of Kettle & Crumb" in lines
    assert 'v2 [2] | (taken out here: 39 sentences, 2,469 characters, from "## Playbooks" to' in lines
    whole = " ".join(card.split())
    assert 'v3: by Ratchet, live since 06:00 UTC, approved by you (console, "deploy 2").' in whole
    assert (
        'live since 2026-02-26 06:00 UTC, approved by you (console, "remove 3, deploy 2"). [2] Playbooks text' in whole
    )
    assert "tokens stand twice in master_system_core v2 in traffic" in whole
    assert "v1: base, not by Ratchet, published 2026-02-26 06:00 UTC." in whole
    assert not [line for line in lines if len(line) > WIDTH + 8]  # a title that is only a little longer stays whole

    playbooks = await demo.ratchet.blaming.blame(traffic.AGENT, "playbooks")
    assert [(one.version, one.by) for one in playbooks.versions] == [(1, "base")]


async def test_each_sentence_names_who_brought_it(world: World) -> None:
    dana = await world.morning()
    n = await world.number("find_guest")
    await dana.say(f"deploy {n}")
    blamed = await blamed_core(world)
    brought = told(blamed, RULE)
    assert (brought.version, brought.by, brought.provenance.session_id) == (2, "ratchet", (await world.session()).id)
    (item,) = brought.provenance.items
    assert (item.n, item.id) == (n, (await world.item(n)).id)
    assert "tool.error_rate" in {fact.name for fact in item.facts}
    (approval,) = brought.provenance.approvals
    assert (approval.actor, approval.words) == (DANA, f"deploy {n}")
    assert told(blamed, "Be short and warm").by == "base"

    # Somebody publishes by hand, and the next deployment goes on from there.
    await world.edit_prompts({"core": (await world.text()).replace("Be short and warm", "Be short, warm and exact")})
    dana = await world.morning()
    n = await world.number("House_rules")
    await dana.say(f"deploy {n}")
    blamed = await blamed_core(world)
    assert (blamed.version, blamed.is_running, blamed.labels) == (4, True, ("prod",))
    by_hand = told(blamed, "Be short, warm and exact")
    assert (by_hand.version, by_hand.by) == (3, "hand")
    assert told(blamed, RULE).version == 2
    assert told(blamed, "You are the front desk").by == "base"
    (mark,) = blamed.gone
    assert (mark.version, DOGS in mark.text) == (4, True)
    card = shown(blamed, world)
    assert "v3: by hand, published 2026-02-27 06:00 UTC." in card
    assert "\nv2 [" in card

    # Older versions are told as they were; a version that never was is told, too.
    assert (await blamed_core(world, 1)).versions[0].by == "base"
    assert {one.version for one in (await blamed_core(world, 2)).versions} == {1, 2}
    assert not (await blamed_core(world, 2)).is_running
    with pytest.raises(PromptNotFound, match="no version 9 of 'core'"):
        await blamed_core(world, 9)
    with pytest.raises(
        NotFoundError, match="has no prompt 'cor'; name one of those that it has: 'core', 'house_rules'"
    ):
        await world.ratchet.blaming.blame(AGENT, "cor")


async def test_after_a_rollback_the_old_sentence_names_its_old_origin(world: World) -> None:
    await world.propose(Proposed("Look with care", (World.edit(LOOK, 0),)))
    await world.approve(1)
    await world.ratchet.decisions.work(AGENT)
    dana = world.chat()
    await dana.open()
    await dana.say("rollback")
    await dana.say("yes")
    blamed = await blamed_core(world)
    assert (blamed.version, [one.by for one in blamed.versions]) == (1, ["base"])

    # Of the version that was taken back it is told; and what goes on from the one before owes it nothing.
    card = shown(await blamed_core(world, 2), world)
    assert "core v2, which does not run" in card
    assert "taken back" in card
    await world.edit_prompts({"core": (await world.text()).replace("Be short and warm", "Be short")})
    blamed = await blamed_core(world)
    assert blamed.version == 3
    assert told(blamed, "When nobody is found").by == "base"


async def test_where_the_newest_version_runs_a_rollback_carries_the_origins_back(database: Database) -> None:
    world = await World.begin(database, "latest")
    dana = await world.morning()
    await dana.say(f"deploy {await world.number('find_guest')}")
    assert told(await blamed_core(world), RULE).version == 2
    await dana.say("rollback")
    blamed = await blamed_core(world)
    assert (blamed.version, blamed.text_of, blamed.is_running) == (3, 1, True)
    assert {one.version for one in blamed.sentences} == {1}
    assert "It has the text of v1." in shown(blamed, world)
    # What is deployed after that owes nothing to what was taken back.
    await dana.say(f"deploy {await world.number('House_rules')}")
    blamed = await blamed_core(world)
    assert [one.version for one in blamed.versions] == [4, 1]
    assert {one.version for one in blamed.sentences} == {1}
    assert [mark.version for mark in blamed.gone] == [4]


async def on_promptlayer(database: Database, promptlayer_api: PromptLayer) -> World:
    """The front desk, with a template of two messages that somebody wrote in PromptLayer."""
    texts = {"system": CORE, "user": "Guest: {{guest}}"}
    messages: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": text}], "template_format": "jinja2"}
        for role, text in texts.items()
    ]
    promptlayer_api.workspace.publish("core", {"type": "chat", "messages": messages}, labels=("prod",))
    core = PromptSettings.model_validate({"includes": {"HOUSE_RULES": "house_rules"}})
    section = AgentSettings(registry="promptlayer", prompts={"core": core, "house_rules": PromptSettings()})
    environment = Environment(
        promptlayer_api_key=SecretStr(promptlayer_api.key), promptlayer_base_url=promptlayer_api.url
    )
    file = FileSettings(agents={AGENT: section, ANOTHER: section})
    world = World(database, Settings(file=file, environment=environment))
    for agent in (AGENT, ANOTHER):
        await world.ratchet.agents.register(agent, at=START, environment="prod", tools=TOOLS)
    await world.edit_prompts({"house_rules": PROMPTS["house_rules"]})
    return world


async def test_where_the_database_knows_nothing_the_registry_tells(
    database: Database, promptlayer_api: PromptLayer
) -> None:
    world = await on_promptlayer(database, promptlayer_api)
    dana = await world.morning()
    n = await world.number("find_guest")
    await dana.say(f"deploy {n}")

    blamed = await world.ratchet.blaming.blame(ANOTHER, "core")
    brought = told(blamed, RULE)
    assert (brought.by, brought.state) == ("ratchet", None)
    known = told(await blamed_core(world), RULE)
    assert brought.deployment_id == known.deployment_id
    (item,), (expected,) = brought.provenance.items, known.provenance.items
    assert (item.id, item.n, item.title) == (expected.id, expected.n, expected.title)
    assert {fact.name for fact in item.facts} < {fact.name for fact in expected.facts}  # not the words of traces
    card = shown(blamed, world)
    assert "message 1 (system), block 1\n" in card
    assert "message 2 (user), block 1\n" in card
    assert "v1     | Guest: {{guest}}" in card
    assert "approved by dana (console)" in " ".join(card.split())
    assert "this database does not know the deployment" in " ".join(card.split())


async def test_where_the_registry_keeps_no_word_of_ours_the_database_tells(
    database: Database, promptlayer_api: PromptLayer
) -> None:
    promptlayer_api.workspace.keeps_metadata = False
    world = await on_promptlayer(database, promptlayer_api)
    dana = await world.morning()
    await dana.say(f"deploy {await world.number('find_guest')}")
    assert told(await blamed_core(world), RULE).by == "ratchet"
    assert told(await world.ratchet.blaming.blame(ANOTHER, "core"), RULE).by == "base"


async def test_an_item_that_is_taken_back_gives_its_sentences_back(world: World) -> None:
    dana = await world.morning()
    rule, rules = await world.number("find_guest"), await world.number("House_rules")
    await dana.say(f"deploy {rule} and {rules}")
    assert [mark.version for mark in (await blamed_core(world)).gone] == [2]
    await dana.say(f"take back only {rules}")
    await dana.say("yes")
    blamed = await blamed_core(world)
    assert blamed.version == 3
    assert told(blamed, RULE).version == 2
    assert told(blamed, DOGS).by == "base"
    assert not blamed.gone
    # Of an item that brought sentences, these are what is gone then.
    await dana.say(f"take back only {rule}")
    await dana.say("yes")
    blamed = await blamed_core(world)
    assert {one.version for one in blamed.sentences} == {1}


async def test_the_walk_back_is_bounded_and_says_so(world: World) -> None:
    registry = world.ratchet.registry_of(AGENT)
    for number in range(VERSIONS_MAX):
        text = CORE.replace("Be short and warm", f"Be {number} times as warm")
        await registry.publish("core", text, commit_message="", metadata={}, deployment_id=uuid4())
    blamed = await blamed_core(world, VERSIONS_MAX + 1)
    assert (blamed.oldest, blamed.has_older) == (2, True)
    assert "v2 or before: base, not by Ratchet" in shown(blamed, world)
    assert not (await blamed_core(world, VERSIONS_MAX)).has_older
