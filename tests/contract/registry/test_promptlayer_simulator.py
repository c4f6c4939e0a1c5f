"""The simulator answers in the shapes that PromptLayer's documentation and recorded answers have."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from optimizer.prompts.templates import new_template
from tests.simulators.promptlayer import Fault, PromptLayer

NO_CACHE = {"Cache-Control": "no-cache"}


@pytest.fixture
def api(promptlayer_api: PromptLayer) -> PromptLayer:
    promptlayer_api.workspace.publish("a/b c", new_template("one @@@s@@@"), labels=("prod",))
    promptlayer_api.workspace.publish("s", {"type": "completion", "content": [{"type": "text", "text": "snippet"}]})
    return promptlayer_api


@pytest.fixture
def client(api: PromptLayer):
    with httpx.Client(base_url=api.url, headers={"X-API-KEY": api.key}) as client:
        yield client


def body(name: str = "a/b c", **version: Any) -> dict[str, Any]:
    return {
        "prompt_template": {"prompt_name": name},
        "prompt_version": {"prompt_template": new_template("two"), **version},
        "release_labels": ["staging"],
    }


def test_one_connection_carries_every_verb_and_head_has_no_body(client: httpx.Client) -> None:
    assert client.head("/prompt-templates").content == b""
    read = client.get("/prompt-templates/a%2Fb%20c")
    assert read.status_code == 200
    assert read.headers["content-type"] == "application/json"
    assert client.get("/nothing").status_code == 404


def test_reading(client: httpx.Client, api: PromptLayer) -> None:
    read = client.get("/prompt-templates/a%2Fb%20c", params={"label": "prod"}).json()
    assert (read["success"], read["prompt_name"], read["version"]) == (True, "a/b c", 1)
    assert read["prompt_template"]["messages"][0]["content"][0]["text"] == "one snippet"
    raw = client.get("/prompt-templates/a%2Fb%20c", params={"resolve_snippets": "false"}).json()
    assert raw["prompt_template"]["messages"][0]["content"][0]["text"] == "one @@@s@@@"
    by_id = client.get(f"/prompt-templates/{read['id']}").json()
    assert by_id["prompt_name"] == "a/b c"
    rendered = client.post("/prompt-templates/a%2Fb%20c", json={"api_key": api.key, "version": 1})
    assert rendered.json()["version"] == 1
    listed = client.get("/prompt-templates", params={"per_page": 1}).json()
    assert (len(listed["items"]), listed["has_next"], listed["pages"], listed["total"]) == (1, True, 2, 2)
    for query in ({"version": 9}, {"label": "nobody"}):
        assert client.get("/prompt-templates/a%2Fb%20c", params=query).status_code == 404
    for query in ({"version": "x"}, {"version": 1, "label": "prod"}):
        assert client.get("/prompt-templates/a%2Fb%20c", params=query).status_code == 422


def test_a_raw_read_is_cached_unless_it_says_no_cache(client: httpx.Client, api: PromptLayer) -> None:
    path = "/prompt-templates/a%2Fb%20c?label=prod"
    assert client.get(path).json()["version"] == 1
    api.workspace.publish("a/b c", new_template("two"), labels=("prod",))
    assert client.get(path).json()["version"] == 1
    assert client.get(path, headers=NO_CACHE).json()["version"] == 2
    assert client.get(path).json()["version"] == 2


def test_publishing(client: httpx.Client, api: PromptLayer) -> None:
    answer = client.post("/rest/prompt-templates", json=body(commit_message="x" * 72))
    assert answer.status_code == 201
    assert (answer.json()["version_number"], answer.json()["release_labels"]) == (2, ["staging"])
    assert api.workspace.prompts["a/b c"].labels["staging"].version == 2
    for wrong in (body(commit_message="x" * 73), body(""), body("n" * 513), body(prompt_template={"type": "other"})):
        refused = client.post("/rest/prompt-templates", json=wrong)
        assert refused.status_code == 422
        assert {"loc", "msg", "type"} == refused.json()["detail"][0].keys()
    assert len(api.workspace.prompts["a/b c"].versions) == 2
    patched = client.patch(
        "/rest/prompt-templates/a%2Fb%20c",
        json={"label": "prod", "tools": [], "model_parameters": {"top_p": 1}, "release_labels": ["prod"]},
    )
    assert (patched.status_code, patched.json()["version_number"]) == (201, 3)
    assert patched.json()["prompt_template"]["tools"] == []
    assert api.workspace.prompts["a/b c"].labels["prod"].version == 3


def test_labels(client: httpx.Client, api: PromptLayer) -> None:
    api.workspace.publish("a/b c", new_template("two"))
    (label,) = client.get("/prompt-templates/a%2Fb%20c/labels").json()["release_labels"]
    assert (label["release_label"], label["prompt_version_number"]) == ("prod", 1)
    path = f"/prompt-labels/{label['release_label_id']}"
    assert client.patch(path, json={"prompt_version_number": 2}).json()["name"] == "prod"
    assert api.workspace.prompts["a/b c"].labels["prod"].version == 2
    assert client.patch(path, json={"prompt_version_number": 9}).status_code == 422
    prompt_id = api.workspace.prompts["a/b c"].id
    made = client.post(f"/prompts/{prompt_id}/label", json={"prompt_version_number": 1, "name": "canary"})
    assert (made.status_code, made.json()["prompt_id"]) == (201, prompt_id)
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 422
    assert list(api.workspace.prompts["a/b c"].labels) == ["canary"]


def test_a_request_is_logged_and_the_key_is_asked_for(client: httpx.Client, api: PromptLayer) -> None:
    assert client.post("/log-request", json={"provider": "openai"}).status_code == 201
    assert api.workspace.logged == [{"provider": "openai"}]
    assert httpx.get(f"{api.url}/prompt-templates").status_code == 401


def test_a_fault_is_for_one_request_of_its_route(client: httpx.Client, api: PromptLayer) -> None:
    api.fail("publish", Fault.failed, Fault.failed_after, Fault.limited_for_a_while)
    api.fail("labels", Fault.not_found)
    assert client.get("/prompt-templates").status_code == 200
    assert [client.post("/rest/prompt-templates", json=body()).status_code for _ in range(4)] == [500, 500, 429, 201]
    assert len(api.workspace.prompts["a/b c"].versions) == 3
    api.fail("publish", Fault.dropped_after)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/rest/prompt-templates", json=body())
    assert len(api.workspace.prompts["a/b c"].versions) == 4
