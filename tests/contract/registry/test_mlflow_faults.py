"""What may happen to a call on its way to MLflow, and what becomes of it: done once, or not and said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from optimizer.deploy.worker import LEASE_SECONDS
from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError
from optimizer.records.deployment import PromptVersion
from optimizer.registries.mlflow.client import CALL_SECONDS, REQUEST_SECONDS
from optimizer.registries.port import Registry
from tests.contract.registry.on_mlflow import registry_in
from tests.plugins.mlflow import mlflow_client
from tests.simulators.before_mlflow import BeforeMlflow, Fault, before_mlflow

pytestmark = pytest.mark.mlflow

CREATE, ALIAS, SEARCH = "model-versions/create", "registered-models/alias", "model-versions/search"
SOON_SECONDS = 2
NO_ANSWER = [Fault.failed_after, Fault.dropped_after, Fault.slow]  # though it was done


@pytest.fixture
def way(mlflow_server: str) -> Iterator[BeforeMlflow]:
    """The way to a server with one prompt, whose alias stands at version 1."""
    owner = mlflow_client(mlflow_server)
    owner.create_prompt("system")
    owner.create_prompt_version("system", "one")
    owner.set_prompt_alias("system", "prod", 1)
    with before_mlflow(mlflow_server) as between:
        yield between


@pytest.fixture
def registry(way: BeforeMlflow, request: pytest.FixtureRequest) -> Registry:
    """Impatient where the answer does not come."""
    spec = getattr(request.node, "callspec", None)
    never = spec is not None and spec.params.get("fault") is Fault.slow
    return registry_in(way.url, request_seconds=SOON_SECONDS if never else REQUEST_SECONDS)


@pytest.fixture
def owner(way: BeforeMlflow) -> Any:
    return mlflow_client(way.behind)


async def publish(registry: Registry, deployment_id: UUID | None = None) -> PromptVersion:
    return await registry.publish(
        "system", "two", commit_message="m", metadata={}, deployment_id=deployment_id or uuid4(), base_version=1
    )


def texts(owner: Any) -> list[str]:
    return [one.template for one in reversed(owner.search_prompt_versions("system"))]


@pytest.mark.parametrize("fault", [Fault.failed, Fault.dropped_after], ids=lambda one: one.name)
async def test_a_read_is_tried_again(way: BeforeMlflow, registry: Registry, fault: Fault) -> None:
    way.fail(SEARCH, fault, fault)
    assert (await registry.current("system", None)).text == "one"
    assert way.count(SEARCH) == 3


async def test_a_read_ends_with_an_error_that_may_be_tried_again(way: BeforeMlflow, registry: Registry) -> None:
    way.fail(SEARCH, *[Fault.failed] * 5)
    with pytest.raises(RegistryError, match=r"did not answer the prompt 'system'.*try again") as raised:
        await registry.current("system", None)
    assert not isinstance(raised.value, RegistryConflict | PromptNotFound)
    assert way.count(SEARCH) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.unauthorized, "refused the login"),
        (Fault.forbidden, "refused the login"),
        (Fault.page, "did not answer .*check that it runs where MLFLOW_TRACKING_URI says"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
async def test_who_is_not_let_in_is_told(way: BeforeMlflow, registry: Registry, fault: Fault, said: str) -> None:
    way.fail(SEARCH, *[fault] * 3)
    with pytest.raises(RegistryError, match=said):
        await registry.current("system", None)


@pytest.mark.parametrize("fault", NO_ANSWER, ids=lambda one: one.name)
async def test_a_publish_whose_answer_is_lost_is_recognised(
    way: BeforeMlflow, registry: Registry, owner: Any, fault: Fault
) -> None:
    way.fail(CREATE, fault)
    deployment = uuid4()
    assert (await publish(registry, deployment)).version == 2
    assert (await publish(registry_in(way.url), deployment)).version == 2
    assert way.count(CREATE) == 1
    assert texts(owner) == ["one", "two"]


async def test_a_publish_that_failed_is_not_sent_again_and_may_be_asked_for_again(
    way: BeforeMlflow, registry: Registry, owner: Any
) -> None:
    way.fail(CREATE, Fault.failed)
    deployment = uuid4()
    with pytest.raises(RegistryError, match="not there yet; should it come, it is recognised"):
        await publish(registry, deployment)
    assert way.count(CREATE) == 1
    assert (await publish(registry, deployment)).version == 2
    assert texts(owner) == ["one", "two"]


async def test_somebody_who_publishes_in_between_loses_nothing(
    way: BeforeMlflow, registry: Registry, owner: Any
) -> None:
    way.before(CREATE, lambda: owner.create_prompt_version("system", "theirs"))
    deployment = uuid4()
    with pytest.raises(RegistryConflict, match="Someone else published version 2 of 'system' while version 3"):
        await publish(registry, deployment)
    with pytest.raises(RegistryConflict, match="Someone else published version 2"):
        await publish(registry_in(way.url), deployment)
    assert texts(owner) == ["one", "theirs", "two"]
    assert await registry.labels("system") == {"prod": 1}


@pytest.mark.parametrize("fault", NO_ANSWER, ids=lambda one: one.name)
async def test_a_move_whose_answer_is_lost_is_looked_up(way: BeforeMlflow, registry: Registry, fault: Fault) -> None:
    await publish(registry)
    way.fail(ALIAS, fault)
    await registry.move_label("system", "prod", 2, expected=1)
    assert way.count(ALIAS) == 1
    assert await registry.labels("system") == {"prod": 2}


async def test_a_move_that_failed_may_be_asked_for_again(way: BeforeMlflow, registry: Registry) -> None:
    await publish(registry)
    way.fail(ALIAS, Fault.failed)
    with pytest.raises(RegistryError, match="try again") as raised:
        await registry.move_label("system", "prod", 2, expected=1)
    assert not isinstance(raised.value, RegistryConflict)
    await registry.move_label("system", "prod", 2, expected=1)
    assert await registry.labels("system") == {"prod": 2}


async def test_a_move_that_is_said_to_be_done_and_is_not_is_a_conflict(way: BeforeMlflow, registry: Registry) -> None:
    await publish(registry)
    way.fail(ALIAS, Fault.ignored)
    with pytest.raises(RegistryConflict, match="did not move, though MLflow said so: it stands at version 1"):
        await registry.move_label("system", "prod", 2, expected=1)


async def test_somebody_who_moves_the_alias_after_us_is_seen(way: BeforeMlflow, registry: Registry, owner: Any) -> None:
    await publish(registry)
    owner.create_prompt_version("system", "theirs")
    way.fail(ALIAS, Fault.ignored)
    way.before(ALIAS, lambda: owner.set_prompt_alias("system", "prod", 3))
    with pytest.raises(RegistryConflict, match="stands at version 3, not at 2: someone else moved it"):
        await registry.move_label("system", "prod", 2, expected=1)


async def test_a_call_ends_before_the_lease_of_a_deployment(way: BeforeMlflow) -> None:
    assert CALL_SECONDS < LEASE_SECONDS
    way.fail(SEARCH, *[Fault.slow] * 3)
    with pytest.raises(RegistryError, match=r"did not answer within 0\.2 s"):
        await registry_in(way.url, call_seconds=0.2, request_seconds=1).current("system", None)
