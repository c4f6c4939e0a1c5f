"""Who else gets a change of a prompt."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.approve.people import People
from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.loop.sharing import served_too
from optimizer.records.deployment import PromptRef
from optimizer.settings import AgentSettings, Environment, FileSettings, Settings
from optimizer.wiring import wire
from tests.builders import NOON, held

OURS = "blog-writer"


async def told(
    database: Database, others: dict[str, dict[str, Any]], *, ours: dict[str, Any] | None = None, system: str = ""
) -> dict[str, tuple[str, ...]]:
    """What is said of our prompts; `others` are sections of other agents."""
    own = {"registry": "promptlayer", "prompts": {"system": {}, "playbooks": {}}} | (ours or {})
    agents = {slug: AgentSettings.model_validate(section) for slug, section in {OURS: own, **others}.items()}
    environment = Environment(promptlayer_prompt_prefix="acme/")
    settings = Settings(file=FileSettings(agents=agents), environment=environment)
    prompts = wire(settings, database, ManualClock(NOON), lambda _: People(frozenset(), frozenset())).prompts
    await prompts.agents.register("registered", at=NOON, prompts={"playbooks": PromptRef()})
    refs = prompts.configured(OURS)
    current = {"system": held("system", system or None), "playbooks": held("playbooks")}
    return await served_too(prompts, OURS, ["system", "playbooks"], current, refs)


def other(registry: str = "promptlayer", **prompt: Any) -> dict[str, Any]:
    return {"registry": registry, "prompts": {"system": prompt}}


async def test_agents_of_the_same_registry_that_the_change_reaches_are_named(database: Database) -> None:
    found = await told(database, {"support": other(), "sales": other(follow="latest")})
    assert found == {"system": ("system also serves the agents sales, support",)}


@pytest.mark.parametrize(
    "section",
    [other("local"), other("mlflow"), other(label="staging"), other(follow="pinned"), {"registry": "promptlayer"}],
)
async def test_who_does_not_get_it_is_not_named(database: Database, section: dict[str, Any]) -> None:
    assert await told(database, {"support": section}) == {}


async def test_a_local_registry_is_an_agents_own(database: Database) -> None:
    assert await told(database, {"support": other("local")}, ours={"registry": "local"}) == {}


async def test_an_agent_that_was_registered_by_its_import_is_named(database: Database) -> None:
    found = await told(database, {"registered": {"registry": "promptlayer"}})
    assert found == {"playbooks": ("playbooks also serves the agent registered",)}


@pytest.mark.parametrize("written", ["@@@playbooks@@@", "@@@ acme/playbooks @@@", "@@@playbooks@label:prod@@@"])
async def test_a_prompt_that_holds_it_as_a_snippet_is_named(database: Database, written: str) -> None:
    found = await told(database, {}, system=f"Be kind. {written}")
    assert found == {"playbooks": ("playbooks also serves the prompt system, where it is included",)}
    assert await told(database, {}, system="Be kind. @@@playbooks2@@@ @@@other@@@ playbooks") == {}


async def test_a_prompt_that_includes_it_is_named(database: Database) -> None:
    ours = {"prompts": {"system": {"includes": {"PLAYBOOKS": "playbooks"}}, "playbooks": {}}}
    found = await told(database, {"support": {"registry": "promptlayer", "prompts": {"playbooks": {}}}}, ours=ours)
    assert found == {
        "playbooks": ("playbooks also serves the agent support and the prompt system, where it is included",)
    }
