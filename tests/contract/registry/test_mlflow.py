"""What is sent to MLflow and read from it: texts, chats, what stands beside them, names, tags, secrets."""

from __future__ import annotations

import importlib
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError, SettingsError
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptVersion
from optimizer.registries.port import Registry
from tests.contract.registry.on_mlflow import registry_in
from tests.plugins.mlflow import mlflow_client

pytestmark = pytest.mark.mlflow

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Zoë serves {{guest}}.\r\n"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            {"type": "text", "text": '{"a": {{ x }}} '},
        ],
    },
]
FORMAT = {"type": "object", "properties": {"zeta": {"type": "string"}, "a": {}}}
MODEL = {"model_name": "claude", "temperature": 0.2, "anthropic_version": "2023-06-01"}


@pytest.fixture
def owner(mlflow_store: str) -> Any:
    """MLflow's client in other hands."""
    return mlflow_client(mlflow_store)


@pytest.fixture
def registry(mlflow_store: str) -> Registry:
    return registry_in(mlflow_store)


async def published(registry: Registry, text: str, **named: Any) -> PromptVersion:
    fields: dict[str, Any] = {"commit_message": "m", "metadata": {}, "deployment_id": uuid4(), **named}
    return await registry.publish("system", text, **fields)


def create(owner: Any, template: str | list[dict[str, Any]] = "one", **named: Any) -> int:
    if not owner.search_prompts(filter_string="name = 'system'"):
        owner.create_prompt("system")
    return owner.create_prompt_version("system", template, **named).version


async def test_a_chat_comes_back_as_it_was_except_for_the_edited_text(owner: Any, registry: Registry) -> None:
    create(owner, CHAT, response_format=FORMAT, model_config=MODEL, tags={"team": "web"})
    read = await registry.version("system", 1)
    assert [line for line in read.text.split("\n") if line.startswith("=== ")] == [
        "=== message 1 (system), block 1 ===",
        "=== message 2 (user), block 1 ===",
        "=== message 2 (user), block 3 ===",
    ]
    edited = read.text.replace("serves {{guest}}", "greets {{guest}} 🚀").replace("Look:", "See:")
    two = await published(registry, edited, base_version=1)
    held = owner.get_prompt_version("system", 2)
    expected = json.loads(json.dumps(CHAT).replace("serves {{guest}}", "greets {{guest}} 🚀").replace("Look:", "See:"))
    assert held.template == expected
    assert (held.response_format, held.model_config, held.tags["team"]) == (FORMAT, MODEL, "web")
    assert (two.text, two.sha256, two.frame_sha256) == (edited, sha256_of(edited), read.frame_sha256)


async def test_a_chat_of_one_message_is_its_text(owner: Any, registry: Registry) -> None:
    create(owner, [{"role": "system", "content": "one"}])
    assert (await registry.current("system", None)).text == "one"
    await published(registry, "two")
    assert owner.get_prompt_version("system", 2).template == [{"role": "system", "content": "two"}]


async def test_a_text_whose_marker_lines_are_gone_is_refused(owner: Any, registry: Registry) -> None:
    create(owner, CHAT)
    with pytest.raises(RegistryConflict, match="The text does not fit version 1 of 'system': The 3 lines that name"):
        await published(registry, "Be kind.")
    assert len(await registry.history("system")) == 1


@pytest.mark.parametrize(
    "beside", [{"response_format": FORMAT}, {"model_config": MODEL}, {"tags": {"team": "web"}}], ids=str
)
async def test_what_stands_beside_the_text_is_that_of_the_base_and_is_told_apart(
    owner: Any, registry: Registry, beside: dict[str, Any]
) -> None:
    create(owner, "one", **beside)
    create(owner, "a draft")
    frames = [(await registry.version("system", number)).frame_sha256 for number in (1, 2)]
    assert len(set(frames)) == 2
    assert (await published(registry, "two", base_version=1)).frame_sha256 == frames[0]
    assert (await published(registry, "three", base_version=2)).frame_sha256 == frames[1]


async def test_what_mlflow_notes_on_a_version_is_not_the_owners(owner: Any, registry: Registry) -> None:
    """MLflow writes down which runs loaded a version: that does not change it, nor belong to the next one."""
    create(owner)
    before = await registry.version("system", 1)
    for key in ("mlflow.prompt.associatedRunIds", "_mlflow_experiment_ids"):
        owner.set_prompt_version_tag("system", 1, key, "a,b")
    assert await registry.version("system", 1) == before
    await published(registry, "two")
    assert set(owner.get_prompt_version("system", 2).tags) == {"ratchet"}


async def test_who_looks_at_a_version_there_finds_where_it_came_from(owner: Any, registry: Registry) -> None:
    deployment, message = uuid4(), "Ratchet: 1 item(s), approved by console:dana " * 200
    await published(registry, "two", deployment_id=deployment, commit_message=message, metadata={"items": ["a"]})
    held = owner.get_prompt_version("system", 1)
    assert held.commit_message == f"{message[:4999]}…"
    said = json.loads(held.tags["ratchet"])
    assert (said["items"], said["published"]["deployment_id"]) == (["a"], str(deployment))
    assert said["published"]["sha256"] == sha256_of("two")


async def test_a_copied_tag_is_no_word_of_ours(owner: Any, registry: Registry) -> None:
    deployment = uuid4()
    await published(registry, "two", deployment_id=deployment, metadata={"why": "test"})
    copied = owner.get_prompt_version("system", 1).tags
    create(owner, "theirs", tags=copied)
    assert (await registry.version("system", 2)).metadata == {}
    assert (await published(registry, "two", deployment_id=deployment)).version == 1
    assert len(await registry.history("system")) == 2


async def test_what_somebody_else_moves_is_seen_past_the_cache_of_the_client(mlflow_server: str) -> None:
    registry, mlflow = registry_in(mlflow_server), importlib.import_module("mlflow")
    owner = mlflow_client(mlflow_server)
    for text in ("one", "two"):
        create(owner, text)
    owner.set_prompt_alias("system", "prod", 1)
    mlflow.set_tracking_uri(mlflow_server)
    assert mlflow.genai.load_prompt("prompts:/system@prod").template == "one"
    async with httpx.AsyncClient(base_url=mlflow_server) as somebody:
        moved = {"name": "system", "alias": "prod", "version": "2"}
        await somebody.post("/api/2.0/mlflow/registered-models/alias", json=moved)
    assert mlflow.genai.load_prompt("prompts:/system@prod").template == "one"
    assert (await registry.current("system", "prod")).text == "two"


async def test_an_alias_that_mlflow_would_take_for_a_version_is_an_alias(owner: Any, registry: Registry) -> None:
    create(owner)
    for label in ("latest", "1", "v1"):
        with pytest.raises(PromptNotFound, match=f"under the alias '{label}'"):
            await registry.current("system", label)
    with pytest.raises(RegistryError, match=r"'latest' alias name .* is reserved"):
        await registry.move_label("system", "latest", 1, expected=None)


@pytest.mark.parametrize("name", ["folder/p", "x' OR name != 'x", "größe", "", "a\n"])
async def test_a_name_that_mlflow_cannot_hold_is_refused_before_it_is_asked(registry: Registry, name: str) -> None:
    for asked in (registry.current(name, None), registry.labels(name), registry.history(name)):
        with pytest.raises(RegistryError, match="cannot hold a prompt named"):
            await asked


async def test_a_model_is_no_prompt(owner: Any, registry: Registry) -> None:
    owner.create_registered_model("system")
    try:
        assert await registry.labels("system") == {}
        with pytest.raises(RegistryError, match=r"registered as a .*, not a prompt"):
            await published(registry, "one")
    finally:
        owner.delete_registered_model("system")


async def test_a_text_that_is_too_long_is_refused_with_the_reason(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="exceeds max length of 100000 characters"):
        await published(registry, "x" * 100_001)


async def test_a_login_in_the_address_is_never_shown() -> None:
    registry = registry_in("http://ann:hunter2@127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"did not answer the aliases of 'system' .*MLFLOW_TRACKING_URI") as raised:
        await registry.labels("system")
    assert "hunter2" not in str(raised.value)
    assert "ann" not in str(raised.value)


async def test_a_store_that_cannot_be_opened_is_named() -> None:
    with pytest.raises((RegistryError, SettingsError), match=r"MLflow.*MLFLOW_TRACKING_URI"):
        await registry_in("sqlite:////proc/nothing/mlflow.db").labels("system")
