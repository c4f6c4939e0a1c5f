"""What the MLflow adapter decides without MLflow: what a version holds, what it says where the client is missing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import RegistryError, SettingsError
from optimizer.prompts.templates import TemplateError
from optimizer.records.base import sha256_of
from optimizer.registries.mlflow.client import Mlflow
from optimizer.registries.mlflow.versions import Held, held_of, new_version

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
BLOCKS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}) | st.just(
    {"type": "image_url", "image_url": {"url": "https://example.com/{{photo}}.png"}}
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool"]),
        "content": TEXTS | st.none() | st.lists(BLOCKS, max_size=3),
    },
    optional={"name": TEXTS, "tool_calls": st.just([{"id": "1", "function": {"name": "book", "arguments": "{}"}}])},
)
CHATS = st.lists(MESSAGES, min_size=1, max_size=4)


def held(template: Any, **beside: Any) -> Held:
    found = {"version": 1, "template": template, "tags": {}, "response_format": None, "model_config": None, **beside}
    return held_of(SimpleNamespace(**found, creation_timestamp=1_700_000_000_000), "system")


def made(text: str, base: Held | None) -> Any:
    return new_version(text, base, commit_message="m", metadata={}, deployment_id="d", after_version=1)


@given(template=TEXTS | CHATS)
def test_a_version_made_of_its_own_text_is_the_same(template: Any) -> None:
    before = json.dumps(template)
    base = held(template)
    new = made(base.text, base)
    assert new.template == template
    assert json.dumps(template) == before
    assert held(new.template, tags=new.tags).frame == base.frame


@given(chat=CHATS, text=TEXTS)
def test_an_edit_of_a_chat_changes_that_text_alone(chat: list[dict[str, Any]], text: str) -> None:
    before = held([{"role": "system", "content": "the only RULE"}, *chat])
    edited = before.text.replace("the only RULE", text)
    try:
        template = made(edited, before).template
    except TemplateError:
        return  # the text, or one of the chat's own, stands for lines that name messages
    if before.text.count("the only RULE") == 1:
        assert template == [{"role": "system", "content": text}, *chat]
    after = held(template)
    assert (after.text, after.frame) == (edited, before.frame)


@pytest.mark.parametrize(
    "other",
    [
        held([{"role": "user", "content": "text"}]),
        held([{"role": "system", "content": [{"type": "text", "text": "text"}]}]),
        held("text"),
        held([{"role": "system", "content": "text"}], response_format={"a": 1}),
        held([{"role": "system", "content": "text"}], model_config={"model_name": "m"}),
        held([{"role": "system", "content": "text"}], tags={"team": "web"}),
    ],
)
def test_what_differs_beside_the_text_is_told_apart(other: Held) -> None:
    one = held([{"role": "system", "content": "text"}])
    assert one.as_record("system").sha256 == other.as_record("system").sha256
    assert one.as_record("system").frame_sha256 != other.as_record("system").frame_sha256


@pytest.mark.parametrize("tag", ["", "no JSON", "[]", "{}", '{"published": 1}', '{"published": {"sha256": "another"}}'])
def test_a_tag_that_is_none_of_ours_says_nothing(tag: str) -> None:
    version = held("text", tags={"ratchet": tag})
    assert version.published == {}
    assert version.as_record("system").metadata == {}


def test_what_a_publish_wrote_down_is_read_again() -> None:
    new = new_version("text", None, commit_message="m", metadata={"n": [1]}, deployment_id="d", after_version=3)
    version = held(new.template, tags=new.tags)
    assert version.published == {"deployment_id": "d", "sha256": sha256_of("text"), "after_version": 3}
    assert version.as_record("system").metadata == {"n": [1]}


@pytest.mark.parametrize("found", [None, SimpleNamespace(version=1), SimpleNamespace(version=1, template="\ud800")])
def test_what_cannot_be_read_is_named(found: object) -> None:
    with pytest.raises(RegistryError, match="MLflow holds 'system' in a form that cannot be read"):
        held_of(found, "system")


@pytest.mark.parametrize(
    "uri", ["", "mlruns", "localhost:5000", "file:///mlruns", "databricks", "databricks://team", "http://[", "s3://b"]
)
def test_what_is_no_server_and_no_database_is_refused_unseen(uri: str) -> None:
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI is not the address of an MLflow server") as raised:
        Mlflow(uri)
    assert not uri or uri not in str(raised.value).replace("http://host:5000", "").replace("mlflow.db", "")


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed here")
@pytest.mark.parametrize(
    ("uri", "package"), [("https://mlflow.example.com", "mlflow-skinny"), ("sqlite:////x/mlflow.db", "mlflow")]
)
async def test_where_the_client_is_missing_the_command_that_installs_it_is_named(uri: str, package: str) -> None:
    with pytest.raises(SettingsError, match=rf"run `pip install '{package}>=3\.11,<4'`"):
        async with Mlflow(uri).session():
            pass
