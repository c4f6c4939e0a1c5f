"""What may happen to a label on its way."""

from __future__ import annotations

import asyncio

import pytest

from optimizer.errors import RegistryConflict, RegistryError
from optimizer.prompts.templates import new_template
from optimizer.registries.port import Registry
from tests.contract.registry.on_promptlayer import NO_ANSWER, held
from tests.simulators.promptlayer import Fault, PromptLayer


async def two_versions(api: PromptLayer) -> None:
    api.workspace.publish("system", new_template("two"))


@pytest.mark.parametrize("fault", [*NO_ANSWER, Fault.limited], ids=lambda one: one.name)
@pytest.mark.parametrize(("label", "route"), [("prod", "move_label"), ("canary", "create_label")])
async def test_a_move_whose_answer_is_lost_is_read_back(
    api: PromptLayer, registry: Registry, fault: Fault, label: str, route: str
) -> None:
    await two_versions(api)
    api.fail(route, fault)
    await registry.move_label("system", label, 2, expected=1 if label == "prod" else None)
    assert held(api).labels[label].version == 2
    assert len(api.asked(route)) == (2 if fault is Fault.limited else 1)


async def test_a_move_that_was_not_done_may_be_asked_for_again(api: PromptLayer, registry: Registry) -> None:
    await two_versions(api)
    api.fail("move_label", Fault.failed)
    with pytest.raises(RegistryError, match="failed at the label 'prod' of 'system'") as raised:
        await registry.move_label("system", "prod", 2, expected=1)
    assert not isinstance(raised.value, RegistryConflict)
    assert await registry.labels("system") == {"prod": 1}
    await registry.move_label("system", "prod", 2, expected=1)
    assert await registry.labels("system") == {"prod": 2}


async def test_a_label_that_is_protected_did_not_move_whatever_was_answered(
    api: PromptLayer, registry: Registry
) -> None:
    await two_versions(api)
    held(api).protected.add("prod")
    with pytest.raises(RegistryConflict, match=r"did not move \(it may be protected\): it stands at version 1 still"):
        await registry.move_label("system", "prod", 2, expected=1)
    assert len(api.asked("move_label")) == 1  # each one may ask somebody for their approval
    api.fail("move_label", Fault.unmoved)
    held(api).protected.clear()
    with pytest.raises(RegistryConflict, match="may be protected"):
        await registry.move_label("system", "prod", 2, expected=1)


async def test_a_label_that_is_read_late_has_moved(api: PromptLayer, registry: Registry) -> None:
    await two_versions(api)

    def next_reads_are_stale() -> None:
        api.fail("labels", Fault.stale, Fault.stale)

    api.before("move_label", next_reads_are_stale)
    await registry.move_label("system", "prod", 2, expected=1)
    assert await registry.labels("system") == {"prod": 2}


async def test_someone_else_who_moves_the_label_is_told_of(api: PromptLayer, registry: Registry) -> None:
    await two_versions(api)
    api.workspace.publish("system", new_template("three"))
    api.before("labels", lambda: api.workspace.put_label("system", "prod", 3))
    with pytest.raises(RegistryConflict, match="stands at version 3, not at 1"):
        await registry.move_label("system", "prod", 2, expected=1)
    assert api.asked("move_label") == []
    api.before("labels", lambda: None)
    api.before("labels", lambda: api.workspace.put_label("system", "prod", 1))
    with pytest.raises(RegistryConflict, match="stands at version 1, not at 2"):
        await registry.move_label("system", "prod", 2, expected=3)


async def test_of_many_movers_in_one_process_the_others_do_not_even_ask(api: PromptLayer, registry: Registry) -> None:
    for text in ("two", "three", "four"):
        api.workspace.publish("system", new_template(text))
    moves = (registry.move_label("system", "prod", version, expected=1) for version in (2, 3, 4))
    answers = await asyncio.gather(*moves, return_exceptions=True)
    assert [type(answer) for answer in answers].count(RegistryConflict) == 2
    assert len(api.asked("move_label")) == 1
