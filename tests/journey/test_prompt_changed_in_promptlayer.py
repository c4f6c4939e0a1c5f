"""Someone edits a prompt in PromptLayer's web page between the proposal and the deployment."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import SecretStr

from optimizer.db.port import Database
from optimizer.prompts.templates import text_of, with_text
from optimizer.records.states import DeploymentState
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from tests.journey.hotel import CORE, HOUSE_RULES, PAYMENT, TOOLS
from tests.journey.world import AGENT, START, World
from tests.simulators.promptlayer import PromptLayer
from tests.simulators.promptlayer_workspace import Prompt, Version

BOOK = {"type": "function", "function": {"name": "book_room", "parameters": {"type": "object"}}}
FIND = {"type": "function", "function": {"name": "find_guest", "parameters": {"type": "object"}}}
MODEL = {"model": {"provider": "anthropic", "name": "claude", "parameters": {"temperature": 0.2}}}
HERON = ("# Front desk", "# Front desk of the Heron")


def template(text: str) -> dict[str, Any]:
    message = {
        "role": "system",
        "content": [{"type": "text", "text": text}],
        "input_variables": ["HOUSE_RULES"] if "{{HOUSE_RULES}}" in text else [],
        "template_format": "jinja2",
    }
    return {"type": "chat", "messages": [message], "tools": [BOOK], "input_variables": message["input_variables"]}


class Desk:
    """The front desk, whose prompts somebody wrote in PromptLayer's web page."""

    def __init__(self, world: World, api: PromptLayer, follow: str) -> None:
        self.world = world
        self.api = api
        self.follow = follow

    @property
    def core(self) -> Prompt:
        return self.api.workspace.prompts["core"]

    @property
    def live(self) -> Version:
        version = self.core.version(self.core.labels["prod"].version) if self.follow == "label" else None
        return version or self.core.versions[-1]

    @property
    def text(self) -> str:
        return text_of(self.live.template)

    def edit(self, *changes: tuple[str, str], tools: list[dict[str, Any]] | None = None) -> Version:
        """In the web page, what is live is opened, changed, saved and, where the agent loads by label, released."""
        before, text = copy.deepcopy(self.live), self.text
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        changed = with_text(before.template, text)
        changed["tools"] = tools or changed["tools"]
        labels = ("prod",) if self.follow == "label" else ()
        # The page copies what stands beside the text, our own words about the version that was opened included.
        return self.api.workspace.publish("core", changed, metadata=before.metadata, labels=labels)

    def edit_while(self, route: str, *changes: tuple[str, str]) -> None:
        """Right before the next request of this kind is answered."""
        self.api.before(route, lambda: self.edit(*changes))


@pytest.fixture(params=["label", "latest"])
async def desk(request: pytest.FixtureRequest, database: Database, promptlayer_api: PromptLayer) -> Desk:
    follow: str = request.param
    prompts = {
        "core": PromptSettings.model_validate({"follow": follow, "includes": {"HOUSE_RULES": "house_rules"}}),
        "house_rules": PromptSettings.model_validate({"follow": follow}),
    }
    section = AgentSettings(registry="promptlayer", prompts=prompts)
    environment = Environment(
        promptlayer_api_key=SecretStr(promptlayer_api.key), promptlayer_base_url=promptlayer_api.url
    )
    for name, text in (("core", CORE), ("house_rules", HOUSE_RULES)):
        promptlayer_api.workspace.publish(name, template(text), metadata=MODEL, labels=("prod",))
    world = World(database, Settings(file=FileSettings(agents={AGENT: section}), environment=environment))
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=TOOLS)
    return Desk(world, promptlayer_api, follow)


async def test_it_is_shown_again_on_the_text_of_today_and_both_changes_go_live(desk: Desk) -> None:
    dana = await desk.world.morning()
    n = await desk.world.number("House_rules")
    theirs = desk.edit(HERON, ("Be short and warm", "Be short, warm and exact"))
    answer = await dana.say(f"deploy {n}")
    assert "The prompt changed since you saw this, so nothing was done." in answer
    assert "[-- Breakfast is served" in answer
    assert f'Reply "deploy {n}" if you still want it.' in answer
    assert desk.live.number == theirs.number == 2

    assert f"Live: core v3 (was v2), item {n}" in await dana.say(f"deploy {n}")
    assert desk.text.startswith("# Front desk of the Heron")
    assert "Be short, warm and exact" in desk.text
    assert HOUSE_RULES not in desk.text
    await dana.say("rollback")
    await dana.say("yes")
    assert desk.text == text_of(theirs.template)


async def test_what_does_not_fit_any_more_is_named_and_the_others_go_on(desk: Desk) -> None:
    dana = await desk.world.morning()
    rules, payment = await desk.world.number("House_rules"), await desk.world.number("Payment")
    theirs = desk.edit(HERON, (f"{HOUSE_RULES}\n", ""))  # somebody took the copy out by hand
    answer = await dana.say(f"deploy {rules} and {payment}")
    assert f"Item {rules} is not possible any more: The text" in answer
    assert "is not in 'core'" in answer
    assert f'Reply "deploy {payment}" if you still want it.' in answer
    assert desk.live.number == theirs.number

    assert f"{rules} is not possible any more: the prompt changed." in await dana.say(f"deploy {rules}")
    assert f"Live: core v3 (was v2), item {payment}." in await dana.say(f"deploy {payment}")
    assert desk.text.startswith("# Front desk of the Heron")
    assert desk.text.count(PAYMENT) == 1
    assert HOUSE_RULES not in desk.text


async def test_what_changes_again_before_the_second_yes_is_shown_once_more(desk: Desk) -> None:
    dana = await desk.world.morning()
    n = await desk.world.number("House_rules")
    desk.edit(HERON)
    await dana.say(f"deploy {n}")
    desk.edit(("Be short and warm", "Be short, warm and exact"))
    answer = await dana.say(f"deploy {n}")
    assert "The prompt changed since you saw this, so nothing was done." in answer
    assert "Live: core v4 (was v3)" in await dana.say(f"deploy {n}")
    assert "of the Heron" in desk.text
    assert "Be short, warm and exact" in desk.text


async def test_a_change_of_the_tools_alone_goes_live_with_the_edit(desk: Desk) -> None:
    """The words that were shown are the words that go live: nobody is asked again."""
    dana = await desk.world.morning()
    n = await desk.world.number("House_rules")
    desk.edit(tools=[BOOK, FIND])
    assert "Live: core v3 (was v2)" in await dana.say(f"deploy {n}")
    assert desk.live.template["tools"] == [BOOK, FIND]
    assert HOUSE_RULES not in desk.text


async def test_a_change_between_the_yes_and_the_publish_is_not_overwritten(desk: Desk) -> None:
    world = desk.world
    await world.morning()
    await world.approve(await world.number("House_rules"))
    theirs = desk.edit(HERON)
    await world.ratchet.decisions.work()
    assert desk.live.number == theirs.number == len(desk.core.versions)
    (deployment,) = await world.deployments()
    assert deployment.state is DeploymentState.failed
    assert "was changed in the registry after the approval (now version 2)" in (deployment.reason or "")
    dana = world.chat()
    await dana.open()
    assert "did not go live" in await dana.say("history")
    # It is proposed again, on the text of today.
    dana = await world.morning()
    assert "Live: core v3 (was v2)" in await dana.say(f"deploy {await world.number('House_rules')}")
    assert desk.text.startswith("# Front desk of the Heron")


@pytest.mark.parametrize("place", range(12))
async def test_a_change_in_the_middle_of_a_deployment_is_never_lost(desk: Desk, place: int) -> None:
    """Somebody saves between any two requests of the deployment: theirs runs, and whoever approved hears of it."""
    world, api = desk.world, desk.api
    dana = await world.morning()
    await world.approve(await world.number("House_rules"))
    begun = len(api.requests)

    def saves() -> None:
        if len(api.requests) == begun + place + 1 and len(theirs) == 0:
            theirs.append(desk.edit(HERON))
        for route in ("get", "labels", "publish", "move_label"):
            api.before(route, saves)

    theirs: list[Version] = []
    for route in ("get", "labels", "publish", "move_label"):
        api.before(route, saves)
    await world.ratchet.decisions.work()
    (deployment,) = await world.deployments()
    if not theirs:  # the deployment was over before
        assert deployment.state is DeploymentState.live
        return
    assert "of the Heron" in desk.text
    if deployment.state is DeploymentState.failed:
        assert "run the optimization again" in (deployment.reason or "")
        assert "did not go live" in await dana.say("history")
        assert "v1 stays" not in dana.told  # theirs runs
    else:
        assert "deployed item" in await dana.say("history")
    # What was wanted is proposed again where the text of today does not hold it.
    dana = await world.morning()
    proposed = [item.title for item in (await world.session()).items]
    assert any("House_rules" in title for title in proposed) == (HOUSE_RULES in desk.text)


async def test_a_draft_that_nobody_released_is_left_alone(desk: Desk) -> None:
    """Where the agent loads by label, the newest version is a draft: its text is neither shown nor made live."""
    if desk.follow == "latest":
        return
    dana = await desk.world.morning()
    n = await desk.world.number("House_rules")
    draft = desk.edit(HERON)
    desk.core.labels["prod"].version = 1
    assert "Live: core v3 (was v1)" in await dana.say(f"deploy {n}")
    assert "of the Heron" not in desk.text
    assert desk.core.version(draft.number) == draft
