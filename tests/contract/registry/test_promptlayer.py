"""What is sent to PromptLayer and read from it: templates, names, labels, metadata."""

from __future__ import annotations

import copy
import logging
from typing import Any
from uuid import uuid4

import pytest

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError, SettingsError
from optimizer.prompts.templates import new_template, text_of, with_text
from optimizer.registries.promptlayer.api import Api
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import PromptLayer
from tests.simulators.promptlayer_workspace import Version

TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {}}}}
CHAT: dict[str, Any] = {
    "type": "chat",
    "messages": [
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "Zoë serves {guest}.\r\n@@@rules@@@ \n"},
                {"type": "image_url", "image_url": {"url": "https://example.com/{photo}.png", "detail": "low"}},
                {"type": "text", "text": "{{literal}}", "cache_control": {"type": "ephemeral"}},
            ],
            "input_variables": ["guest", "photo"],
            "template_format": "f-string",
            "name": None,
        },
        {"role": "placeholder", "name": "history", "content": [], "input_variables": []},
        {
            "role": "user",
            "content": [{"type": "text", "text": '{% if x %}{"a": {{ x }}}{% endif %}'}],
            "input_variables": ["x"],
            "template_format": "jinja2",
        },
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "book"}},
    "functions": None,
    "function_call": None,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "input_variables": ["guest", "photo", "x"],
}
COMPLETION: dict[str, Any] = {
    "type": "completion",
    "content": [{"type": "text", "text": "Write of {topic}: @@@rules@@@"}],
    "input_variables": ["topic"],
    "template_format": "f-string",
}
MODEL = {"model": {"provider": "openai", "name": "gpt", "parameters": {"temperature": 0.7, "top_p": 1}}, "team": "web"}


def newest(api: PromptLayer, name: str) -> Version:
    return api.workspace.prompts[name].versions[-1]


async def published(api: PromptLayer, prompt: str, text: str, **named: Any) -> Version:
    fields: dict[str, Any] = {"commit_message": "m", "metadata": {}, "deployment_id": uuid4(), **named}
    await registry_on(api).publish(prompt, text, **fields)
    return newest(api, prompt)


@pytest.mark.parametrize("template", [CHAT, COMPLETION], ids=["chat", "completion"])
async def test_a_template_comes_back_as_it_was_except_for_the_edited_text(
    promptlayer_api: PromptLayer, template: dict[str, Any]
) -> None:
    api = promptlayer_api
    api.workspace.publish("rules", COMPLETION)  # a snippet, which is not to be written out
    api.workspace.publish("system", copy.deepcopy(template), metadata=MODEL, tags=["a", "b"], labels=("prod",))
    read = await registry_on(api).current("system", "prod")
    assert read.text == text_of(template)
    assert "@@@rules@@@" in read.text
    edited = read.text.replace("serves {guest}", "greets {guest} and {other}").replace("Write of", "Tell of")
    version = await published(api, "system", edited, base_version=1)
    assert version.template == with_text(template, edited)
    assert version.metadata is not None
    assert {key: value for key, value in version.metadata.items() if key != "ratchet"} == MODEL
    assert api.asked("publish")[-1].body["prompt_template"] == {"prompt_name": "system", "tags": ["a", "b"]}
    assert api.workspace.prompts["system"].labels["prod"].version == 1
    again = await registry_on(api).version("system", 2)
    assert again.text == edited
    assert again.frame_sha256 == read.frame_sha256


async def test_an_edit_addresses_a_message_and_the_text_shows_which(promptlayer_api: PromptLayer) -> None:
    promptlayer_api.workspace.publish("system", CHAT)
    read = await registry_on(promptlayer_api).current("system", None)
    assert [line for line in read.text.split("\n") if line.startswith("=== ")] == [
        "=== message 1 (system), block 1 ===",
        "=== message 1 (system), block 3 ===",
        "=== message 3 (user), block 1 ===",
    ]
    with pytest.raises(RegistryConflict, match="The text does not fit version 1 of 'system': The 3 lines that name"):
        await published(promptlayer_api, "system", "Be kind.")
    assert len(promptlayer_api.workspace.prompts["system"].versions) == 1


async def test_what_stands_beside_the_text_is_that_of_the_base(promptlayer_api: PromptLayer) -> None:
    api = promptlayer_api
    one = {**new_template("one"), "tools": [TOOL]}
    api.workspace.publish("system", one, metadata=MODEL)
    api.workspace.publish("system", new_template("a draft"))
    based = await published(api, "system", "two", base_version=1)
    assert (based.template["tools"], based.number) == ([TOOL], 3)
    assert "tools" not in (await published(api, "system", "three", base_version=2)).template
    frames = {(await registry_on(api).version("system", number)).frame_sha256 for number in (1, 3)}
    assert len(frames) == 1
    assert (await registry_on(api).version("system", 2)).frame_sha256 not in frames


async def test_a_message_that_is_too_long_is_cut_and_kept_whole_beside_it(promptlayer_api: PromptLayer) -> None:
    message = "Ratchet: 3 items, approved by console:dana because of what was measured in February"
    version = await published(promptlayer_api, "system", "one", commit_message=message)
    assert version.commit_message == f"{message[:71]}…"
    assert version.metadata is not None
    assert version.metadata["ratchet"]["published"]["commit_message"] == message


@pytest.mark.parametrize("prompt", ["folder/p 1", "größe?&=#%2F", "日本語", "a.b", "{x}"])
async def test_names_are_what_they_are(promptlayer_api: PromptLayer, prompt: str) -> None:
    registry = registry_on(promptlayer_api, prefix="team/")
    one = await registry.publish(prompt, "one", commit_message="", metadata={}, deployment_id=uuid4())
    await registry.move_label(prompt, "prod", 1, expected=None)
    assert (await registry.current(prompt, "prod")).prompt == one.prompt == prompt
    assert await registry.labels(prompt) == {"prod": 1}
    assert list(promptlayer_api.workspace.prompts) == [f"team/{prompt}"]


async def test_a_name_that_is_taken_for_a_number_is_refused(promptlayer_api: PromptLayer) -> None:
    other = promptlayer_api.workspace.prompts
    promptlayer_api.workspace.publish("other", new_template("other"))
    with pytest.raises(RegistryError, match=f"takes '{other['other'].id}' for the number of 'other'"):
        await registry_on(promptlayer_api).current(str(other["other"].id), None)


async def test_what_a_label_splits_is_read_by_where_the_label_stands(promptlayer_api: PromptLayer) -> None:
    """A label that PromptLayer shares out between versions answers with any of them: it is never asked by label."""
    promptlayer_api.workspace.publish("system", new_template("one"), labels=("prod",))
    await registry_on(promptlayer_api).current("system", "prod")
    (asked,) = promptlayer_api.asked("get")
    assert "version=1" in asked.path
    assert "label=" not in asked.path
    assert "resolve_snippets=false" in asked.path


async def test_the_history_leaves_out_what_was_removed_and_asks_for_each_version_once(
    promptlayer_api: PromptLayer,
) -> None:
    api, registry = promptlayer_api, registry_on(promptlayer_api)
    for number in range(1, 6):
        api.workspace.publish("system", new_template(f"text {number}"))
    del api.workspace.prompts["system"].versions[2]
    assert [one.version for one in await registry.history()] == [5, 4, 2, 1]
    asked = len(api.asked("get"))
    assert [one.version for one in await registry.history("system")] == [5, 4, 2, 1]
    assert len(api.asked("get")) == asked + 2  # the newest, and the one that is missing


async def test_a_prompt_that_was_removed_and_made_anew_is_another(promptlayer_api: PromptLayer) -> None:
    registry = registry_on(promptlayer_api)
    promptlayer_api.workspace.publish("system", new_template("old"))
    (old,) = await registry.history("system")
    del promptlayer_api.workspace.prompts["system"]
    with pytest.raises(PromptNotFound):
        await registry.current("system", None)
    assert await registry.history("system") == ()
    promptlayer_api.workspace.publish("system", new_template("new"))
    (new,) = await registry.history("system")
    assert new.sha256 != old.sha256


@pytest.mark.parametrize("template", [{"type": "chat", "messages": "none"}, {}])
async def test_a_template_without_text_has_none(promptlayer_api: PromptLayer, template: dict[str, Any]) -> None:
    promptlayer_api.workspace.publish("system", template)
    assert (await registry_on(promptlayer_api).current("system", None)).text == ""
    with pytest.raises(RegistryConflict, match="no text block"):
        await published(promptlayer_api, "system", "text")


async def test_what_cannot_be_read_is_named(promptlayer_api: PromptLayer) -> None:
    promptlayer_api.workspace.publish("system", new_template("half \ud800"))
    with pytest.raises(RegistryError, match="holds 'system' in a form that cannot be read"):
        await registry_on(promptlayer_api).current("system", None)


async def test_the_key_goes_into_the_header_and_nowhere_else(
    promptlayer_api: PromptLayer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await published(promptlayer_api, "system", "one")
    assert promptlayer_api.key not in caplog.text
    for one in promptlayer_api.requests:
        assert one.headers["x-api-key"] == promptlayer_api.key
        assert promptlayer_api.key not in f"{one.path} {one.body}"
    with pytest.raises(RegistryError, match="refused the key") as raised:
        await registry_on(PromptLayer(key="pl_another", url=promptlayer_api.url)).labels("system")
    assert "pl_another" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "address", "said"),
    [
        ("", None, "PROMPTLAYER_API_KEY is not a key"),
        ("pl_1\npl_2", None, "PROMPTLAYER_API_KEY is not a key"),
        ("clé", None, "PROMPTLAYER_API_KEY is not a key"),
        ("pl_1", "api.promptlayer.com", "PROMPTLAYER_BASE_URL is not an address"),
        ("pl_1", "https://pl_1@host", "PROMPTLAYER_BASE_URL is not an address"),
        ("pl_1", "https://host:port", "PROMPTLAYER_BASE_URL is not an address"),
    ],
)
def test_a_key_or_an_address_that_cannot_be_one_is_refused_unseen(key: str, address: str | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        Api(key, address)
    assert "pl_1" not in str(raised.value)
