"""What PromptLayer may do to a call, and what becomes of it: done once, or not and said so."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from optimizer.deploy.worker import LEASE_SECONDS
from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError
from optimizer.prompts.templates import new_template, text_of
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptVersion
from optimizer.registries.port import Registry
from optimizer.registries.promptlayer.api import CALL_SECONDS
from tests.contract.registry.on_promptlayer import NO_ANSWER, held, registry_on
from tests.simulators.promptlayer import Fault, PromptLayer


async def publish(registry: Registry, text: str = "two", deployment_id: UUID | None = None) -> PromptVersion:
    return await registry.publish(
        "system", text, commit_message="m", metadata={}, deployment_id=deployment_id or uuid4(), base_version=1
    )


async def until(api: PromptLayer, versions: int) -> None:
    """The simulator has done what it was late with."""
    for _ in range(500):
        with api.lock:
            if len(held(api).versions) == versions:
                return
        await asyncio.sleep(0.01)
    raise AssertionError(f"there are {len(held(api).versions)} versions, not {versions}")


# ---- reading


@pytest.mark.parametrize(
    "fault",
    [Fault.failed, Fault.dropped, Fault.slow, Fault.limited, Fault.limited_for_a_while],
    ids=lambda one: one.name,
)
async def test_a_read_is_tried_again(api: PromptLayer, registry: Registry, fault: Fault) -> None:
    api.fail("get", fault, fault)
    assert (await registry.current("system", None)).text == "one"
    assert len(api.asked("get")) == 3


@pytest.mark.parametrize("fault", [Fault.failed, Fault.dropped, Fault.limited], ids=lambda one: one.name)
async def test_a_read_ends_with_an_error_that_may_be_tried_again(
    api: PromptLayer, registry: Registry, fault: Fault
) -> None:
    api.fail("get", *[fault] * 5)
    with pytest.raises(RegistryError, match=r"the prompt 'system'.*try again") as raised:
        await registry.current("system", None)
    assert not isinstance(raised.value, RegistryConflict | PromptNotFound)
    assert len(api.asked("get")) == 3


async def test_a_pause_that_is_too_long_is_for_the_caller(api: PromptLayer, registry: Registry) -> None:
    api.retry_after = "60"
    api.fail("get", Fault.limited_for_a_while)
    with pytest.raises(RegistryError, match="too many requests"):
        await registry.current("system", None)
    assert len(api.asked("get")) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.unauthorized, r"refused the key \(401 Invalid API key\).*check that PROMPTLAYER_API_KEY"),
        (Fault.forbidden, r"refused the key \(403 Not allowed\).*check that PROMPTLAYER_API_KEY"),
        (Fault.invalid, r"refused the prompt 'system' \(422 body: field required\)"),
        (Fault.not_found, r"does not have the prompt 'system' \(404 Not found\)"),
        (Fault.page, r"did not answer the prompt 'system' as PromptLayer does \(200\); check PROMPTLAYER_BASE_URL"),
        (Fault.huge, r"more than 10 MB"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
async def test_what_cannot_get_better_is_asked_once_and_named(
    api: PromptLayer, registry: Registry, fault: Fault, said: str
) -> None:
    api.fail("get", fault)
    with pytest.raises(RegistryError, match=said) as raised:
        await registry.current("system", None)
    assert len(api.asked("get")) == 1
    assert api.key not in str(raised.value)


async def test_where_nobody_listens_is_said(api: PromptLayer) -> None:
    gone = PromptLayer(key=api.key, url="http://127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"cannot be reached .*PROMPTLAYER_BASE_URL"):
        await registry_on(gone).current("system", None)


async def test_a_call_ends_before_the_lease_of_a_deployment(api: PromptLayer) -> None:
    assert CALL_SECONDS < LEASE_SECONDS
    api.fail("get", *[Fault.slow] * 3)
    with pytest.raises(RegistryError, match=r"did not answer within 0\.2 s"):
        await registry_on(api, request_seconds=5.0, call_seconds=0.2).current("system", None)


async def test_what_is_cached_there_is_not_read(api: PromptLayer, registry: Registry) -> None:
    version = await registry.version("system", 1)
    api.fail("get", Fault.stale)
    with pytest.raises(PromptNotFound):  # the simulator can answer from before
        await registry.current("system", None)
    api.workspace.publish("system", new_template("newer"))
    assert (await registry.current("system", None)).text == "newer"
    assert version.text == "one"
    assert {one.headers.get("cache-control") for one in api.asked("get")} == {"no-cache"}


# ---- publishing


@pytest.mark.parametrize("fault", [*NO_ANSWER, Fault.no_number, Fault.limited], ids=lambda one: one.name)
async def test_a_publish_whose_answer_is_lost_is_recognised(api: PromptLayer, registry: Registry, fault: Fault) -> None:
    api.fail("publish", fault)
    deployment = uuid4()
    published = await publish(registry, deployment_id=deployment)
    assert (published.version, published.sha256) == (2, sha256_of("two"))
    assert (await publish(registry, deployment_id=deployment)).version == 2
    assert len(held(api).versions) == 2
    assert len(api.asked("publish")) == (2 if fault is Fault.limited else 1)


@pytest.mark.parametrize("fault", [Fault.failed, Fault.dropped], ids=lambda one: one.name)
async def test_a_publish_that_was_not_done_may_be_asked_for_again(
    api: PromptLayer, registry: Registry, fault: Fault
) -> None:
    api.fail("publish", fault)
    deployment = uuid4()
    with pytest.raises(RegistryError, match="not there yet; should it come, it is recognised"):
        await publish(registry, deployment_id=deployment)
    assert len(api.asked("publish")) == 1
    assert (await publish(registry, deployment_id=deployment)).version == 2
    assert len(held(api).versions) == 2


async def test_a_publish_that_is_done_after_we_gave_up_is_recognised(api: PromptLayer, impatient: Registry) -> None:
    api.fail("publish", Fault.late)
    deployment = uuid4()
    with pytest.raises(RegistryError, match="not there yet"):
        await publish(impatient, deployment_id=deployment)
    api.over.set()
    await until(api, versions=2)
    assert (await publish(impatient, deployment_id=deployment)).version == 2
    assert (await publish(registry_on(api), deployment_id=deployment)).version == 2  # also by another process
    assert len(api.asked("publish")) == 1


async def test_a_publish_that_comes_twice_is_one_version_for_us(api: PromptLayer, impatient: Registry) -> None:
    """The answer is lost, we ask again, and only then the first one is done as well."""
    api.fail("publish", Fault.late)
    deployment = uuid4()
    with pytest.raises(RegistryError):
        await publish(impatient, deployment_id=deployment)
    assert (await publish(impatient, deployment_id=deployment)).version == 2
    api.over.set()
    await until(api, versions=3)
    assert (await publish(impatient, deployment_id=deployment)).version == 2
    assert (await publish(registry_on(api), deployment_id=deployment)).version == 2


@pytest.mark.parametrize(
    ("fault", "said", "kind"),
    [
        (Fault.unauthorized, "check that PROMPTLAYER_API_KEY", RegistryError),
        (Fault.invalid, "422 body: field required", RegistryError),
        (Fault.conflict, "someone else is at it", RegistryConflict),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
async def test_a_publish_that_is_refused_is_never_taken_for_done(
    api: PromptLayer, registry: Registry, fault: Fault, said: str, kind: type[RegistryError]
) -> None:
    api.fail("publish", fault)
    with pytest.raises(kind, match=said):
        await publish(registry)
    assert len(api.asked("publish")) == 1
    assert len(held(api).versions) == 1


async def test_someone_else_who_publishes_in_between_is_told_of_and_loses_nothing(
    api: PromptLayer, registry: Registry
) -> None:
    api.before("publish", lambda: api.workspace.publish("system", new_template("theirs")))
    deployment = uuid4()
    for _ in range(2):
        with pytest.raises(RegistryConflict, match="Someone else published version 2 of 'system' while version 3 was"):
            await publish(registry, deployment_id=deployment)
    assert [one.template["messages"][0]["content"][0]["text"] for one in held(api).versions] == ["one", "theirs", "two"]
    assert await registry.labels("system") == {"prod": 1}


async def test_someone_else_who_publishes_right_after_changes_nothing_for_us(
    api: PromptLayer, registry: Registry
) -> None:
    api.before("get", lambda: None)  # what is newest, before
    api.before("get", lambda: None)  # the base
    api.before("get", lambda: api.workspace.publish("system", new_template("theirs")))
    assert (await publish(registry)).version == 2
    assert (await registry.current("system", None)).text == "theirs"


async def test_what_the_web_page_copies_from_our_version_is_not_ours(api: PromptLayer, registry: Registry) -> None:
    """Somebody edits our version there, and the page keeps its metadata."""
    deployment = uuid4()
    published = await registry.publish(
        "system", "two", commit_message="", metadata={"deployment_id": str(deployment)}, deployment_id=deployment
    )
    ours = held(api).version(published.version)
    assert ours is not None
    api.workspace.publish("system", new_template("two, edited"), metadata=ours.metadata)
    assert (await registry.current("system", None)).metadata == {}
    assert (await publish(registry, deployment_id=deployment)).version == 2
    assert (await registry.version("system", 2)).metadata == {"deployment_id": str(deployment)}


async def test_where_our_metadata_is_dropped_the_answer_counts(api: PromptLayer, registry: Registry) -> None:
    api.workspace.keeps_metadata = False
    published = await publish(registry)
    assert (published.version, published.text, published.metadata) == (2, "two", {})
    api.before("publish", lambda: api.workspace.publish("system", new_template("theirs")))
    with pytest.raises(RegistryConflict, match="Someone else published version 3"):
        await publish(registry, "three")


async def test_a_text_that_is_altered_there_is_published_once_and_told(api: PromptLayer, registry: Registry) -> None:
    api.workspace.stores = lambda template: new_template(text_of(template).strip())
    with pytest.raises(RegistryConflict, match="holds version 2 of 'system' with another text than was sent"):
        await publish(registry, "two \n")
    assert len(held(api).versions) == 2


async def test_a_version_that_cannot_be_read_yet_may_be_asked_for_again(api: PromptLayer, registry: Registry) -> None:
    deployment = uuid4()
    api.before("publish", lambda: api.fail("get", Fault.stale))
    with pytest.raises(RegistryError, match="holds no version of it") as raised:
        await publish(registry, deployment_id=deployment)
    assert not isinstance(raised.value, RegistryConflict)
    assert (await publish(registry, deployment_id=deployment)).version == 2
    assert len(held(api).versions) == 2
