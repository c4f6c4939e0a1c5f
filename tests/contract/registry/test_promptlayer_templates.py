"""Whatever a template holds, an edit that goes through PromptLayer changes the edited text and nothing else."""

from __future__ import annotations

import asyncio
import copy
import itertools
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from optimizer.prompts.edits import compose, problems
from optimizer.prompts.messages import messages_of
from optimizer.prompts.templates import text_of
from optimizer.records.edits import Edit
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import PromptLayer
from tests.unit.prompts.drawn_templates import editable, templates, texts

MODEL = {
    "model": {"provider": "openai", "name": "gpt", "parameters": {"temperature": 0.7, "stop": ["\n"]}},
    "team": "a",
}
_numbers = itertools.count()


def without_lists(template: dict[str, Any]) -> dict[str, Any]:
    """All but the lists of variables, which follow the texts."""
    bare = copy.deepcopy(template)
    for holder in (bare, *bare.get("messages", [])):
        holder.pop("input_variables", None)
    return bare


# One workspace for all examples, each with a prompt of its own.
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(template=templates, data=st.data())
def test_a_template_comes_back_byte_for_byte_but_for_the_edited_text(
    promptlayer_api: PromptLayer, template: dict[str, Any], data: st.DataObject
) -> None:
    blocks = [number for number, block in enumerate(editable(template)) if block["text"]]
    assume(blocks)
    text = text_of(template)
    wanted = copy.deepcopy(template)
    # An edit of one block: its whole text, or what of it stands nowhere else.
    place = data.draw(st.sampled_from(blocks))
    before = editable(template)[place]["text"]
    start = data.draw(st.integers(0, len(before) - 1))
    find = before[start : data.draw(st.integers(start + 1, len(before)))]
    edit = Edit(prompt="core", find=find, replace=data.draw(texts))
    assume(not any(problem.kind in ("missing", "ambiguous", "message") for problem in problems(text, [edit])))
    editable(wanted)[place]["text"] = before.replace(find, edit.replace)

    name = f"core-{next(_numbers)}"
    promptlayer_api.workspace.publish(name, template, metadata=MODEL, tags=["a"], labels=("prod",))
    asyncio.run(_published(promptlayer_api, name, text, compose(text, [edit])))

    held = promptlayer_api.workspace.prompts[name]
    new = held.versions[-1]
    assert (new.number, held.tags, held.labels["prod"].version) == (2, ["a"], 1)
    assert without_lists(new.template) == without_lists(wanted)
    assert held.versions[0].template == template
    assert {key: value for key, value in (new.metadata or {}).items() if key != "ratchet"} == MODEL
    assert [one.name for one in messages_of(text_of(new.template))] == [one.name for one in messages_of(text)]


async def _published(api: PromptLayer, name: str, text: str, changed: str) -> None:
    registry = registry_on(api)
    read = await registry.current(name, "prod")
    assert read.text == text
    new = await registry.publish(
        name, changed, commit_message="m", metadata={}, deployment_id=uuid4(), base_version=read.version
    )
    assert new.text == (await registry.version(name, new.version)).text == changed
    assert new.frame_sha256 == read.frame_sha256


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(template=templates)
def test_a_text_that_nobody_changed_is_published_as_the_same_template(
    promptlayer_api: PromptLayer, template: dict[str, Any]
) -> None:
    assume(editable(template))
    name = f"core-{next(_numbers)}"
    promptlayer_api.workspace.publish(name, template, labels=("prod",))
    asyncio.run(_published(promptlayer_api, name, text_of(template), text_of(template)))
    assert promptlayer_api.workspace.prompts[name].versions[-1].template == template
