"""What every prompt registry promises. A further adapter joins as one more param of `registry`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import PromptNotFound, RegistryConflict
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptVersion
from optimizer.registries.local import LocalRegistry
from optimizer.registries.port import Registry
from tests.contract.registry.on_mlflow import registry_in
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import PromptLayer


@pytest.fixture(
    params=[
        "local",
        "promptlayer",
        pytest.param("mlflow_in_process", marks=pytest.mark.mlflow),
        pytest.param("mlflow_over_http", marks=pytest.mark.mlflow),
    ]
)
def registry(request: pytest.FixtureRequest) -> Registry:
    """An empty registry of one agent."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def local(database: PostgresDatabase) -> Registry:
    return LocalRegistry(database, "blog-writer", ManualClock(datetime(2026, 3, 2, tzinfo=UTC)))


@pytest.fixture
def promptlayer(promptlayer_api: PromptLayer) -> Registry:
    return registry_on(promptlayer_api)


@pytest.fixture
def mlflow_in_process(mlflow_store: str) -> Registry:
    return registry_in(mlflow_store)


@pytest.fixture
def mlflow_over_http(mlflow_server: str) -> Registry:
    return registry_in(mlflow_server)


async def publish(
    registry: Registry, text: str = "You write.", *, prompt: str = "system", deployment_id: UUID | None = None
) -> PromptVersion:
    return await registry.publish(
        prompt, text, commit_message="test", metadata={"why": "test"}, deployment_id=deployment_id or uuid4()
    )


async def test_versions_count_from_one_and_keep_text_hash_and_metadata(registry: Registry) -> None:
    first = await publish(registry, "one")
    second = await publish(registry, "two")
    assert (first.version, second.version) == (1, 2)
    read = await registry.version("system", 1)
    assert (read.text, read.sha256, read.metadata) == ("one", sha256_of("one"), {"why": "test"})


async def test_a_deployment_publishes_once_however_often_it_asks(registry: Registry) -> None:
    deployment = uuid4()
    answers = await asyncio.gather(*(publish(registry, "once", deployment_id=deployment) for _ in range(8)))
    again = await publish(registry, "once", deployment_id=deployment)
    assert {one.version for one in [*answers, again]} == {1}
    assert len(await registry.history("system")) == 1


async def test_publishers_at_the_same_time_get_versions_of_their_own(registry: Registry) -> None:
    published = await asyncio.gather(*(publish(registry, f"text {number}") for number in range(8)))
    assert sorted(one.version for one in published) == list(range(1, 9))
    for one in published:
        assert (await registry.version("system", one.version)).text == one.text


async def test_a_published_version_carries_no_label(registry: Registry) -> None:
    await publish(registry)
    assert await registry.labels("system") == {}
    with pytest.raises(PromptNotFound):
        await registry.current("system", "prod")


async def test_a_label_moves_from_where_it_is_expected(registry: Registry) -> None:
    await publish(registry, "one")
    await publish(registry, "two")
    await registry.move_label("system", "prod", 1, expected=None)
    assert (await registry.current("system", "prod")).text == "one"
    await registry.move_label("system", "prod", 2, expected=1)
    assert (await registry.current("system", "prod")).text == "two"
    assert await registry.labels("system") == {"prod": 2}


@pytest.mark.parametrize("expected", [1, 3, None])
async def test_a_label_that_stands_elsewhere_is_left_there(registry: Registry, expected: int | None) -> None:
    for text in ("one", "two", "three"):
        await publish(registry, text)
    await registry.move_label("system", "prod", 2, expected=None)
    target = 1 if expected == 3 else 3
    with pytest.raises(RegistryConflict, match="stands at version 2"):
        await registry.move_label("system", "prod", target, expected=expected)
    assert await registry.labels("system") == {"prod": 2}


async def test_moving_a_label_that_does_not_exist_yet_from_somewhere_is_a_conflict(registry: Registry) -> None:
    await publish(registry)
    with pytest.raises(RegistryConflict, match="stands at no version"):
        await registry.move_label("system", "prod", 1, expected=4)


async def test_moving_a_label_again_after_a_lost_answer_is_success(registry: Registry) -> None:
    await publish(registry, "one")
    await publish(registry, "two")
    await registry.move_label("system", "prod", 1, expected=None)
    await registry.move_label("system", "prod", 2, expected=1)
    await registry.move_label("system", "prod", 2, expected=1)
    await registry.move_label("system", "prod", 2, expected=None)
    assert await registry.labels("system") == {"prod": 2}


async def test_of_many_movers_from_one_place_one_wins(registry: Registry) -> None:
    for number in range(6):
        await publish(registry, f"text {number}")
    await registry.move_label("system", "prod", 1, expected=None)
    answers = await asyncio.gather(
        *(registry.move_label("system", "prod", version, expected=1) for version in range(2, 7)),
        return_exceptions=True,
    )
    assert sum(answer is None for answer in answers) == 1
    assert all(isinstance(answer, RegistryConflict) for answer in answers if answer is not None)


async def test_current_is_read_past_every_cache(registry: Registry) -> None:
    await publish(registry, "one")
    await registry.move_label("system", "prod", 1, expected=None)
    for number in range(2, 6):
        await publish(registry, f"text {number}")
        assert (await registry.current("system", None)).version == number
        await registry.move_label("system", "prod", number, expected=number - 1)
        assert (await registry.current("system", "prod")).version == number


async def test_what_does_not_exist_is_named(registry: Registry) -> None:
    await publish(registry)
    with pytest.raises(PromptNotFound, match="'nothing'"):
        await registry.current("nothing", None)
    with pytest.raises(PromptNotFound, match="'staging'"):
        await registry.current("system", "staging")
    with pytest.raises(PromptNotFound, match="version 9 of 'system'"):
        await registry.version("system", 9)
    with pytest.raises(PromptNotFound, match="version 9 of 'system'"):
        await registry.move_label("system", "prod", 9, expected=None)
    assert await registry.labels("nothing") == {}


async def test_the_history_is_newest_first_and_has_no_texts(registry: Registry) -> None:
    for text in ("one", "two", "three"):
        await publish(registry, text)
    await publish(registry, "other", prompt="playbooks")
    history = await registry.history("system")
    assert [one.version for one in history] == [3, 2, 1]
    assert [one.sha256 for one in history] == [sha256_of(text) for text in ("three", "two", "one")]
    assert {one.text for one in history} == {""}
    assert {(one.prompt, one.version) for one in await registry.history()} == {
        ("system", 1),
        ("system", 2),
        ("system", 3),
        ("playbooks", 1),
    }


@pytest.mark.parametrize(
    "text",
    [
        "  leading and trailing \n\n",
        "tabs\tand\r\nWindows lines\r\n",
        "Zoë writes 日本語 and 🚀 and e\u0301 beside \u00e9",
        "\ufeffa mark\u2028a separator\u200bnothing",
        "{{PLAYBOOKS}} and {% if x %}'quotes' \"and\" \\ $1 %s{% endif %}",
        "",
    ],
)
async def test_texts_come_back_byte_for_byte(registry: Registry, text: str) -> None:
    published = await publish(registry, text)
    read = await registry.version("system", published.version)
    assert read.text == text
    assert read.sha256 == sha256_of(text)
    assert (await registry.current("system", None)).text == text


async def test_where_moves_are_counted_a_label_that_left_and_came_back_is_not_where_it_was_read(
    local: Registry,
) -> None:
    registry = local
    for text in ("one", "two", "three"):
        await registry.publish("system", text, commit_message="", metadata={}, deployment_id=uuid4())
    await registry.move_label("system", "prod", 1, expected=None)
    read = await registry.current("system", "prod")
    await registry.move_label("system", "prod", 2, expected=1)
    await registry.move_label("system", "prod", 1, expected=2)
    with pytest.raises(RegistryConflict):
        await registry.move_label("system", "prod", 3, expected=1, after_moves=read.label_moves)
    again = await registry.current("system", "prod")
    assert again.version == 1
    await registry.move_label("system", "prod", 3, expected=1, after_moves=again.label_moves)
    assert (await registry.current("system", "prod")).version == 3
