"""Every request of a deployment and of its way back, met by every trouble, ends once, or not at all and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from optimizer.db.postgres import PostgresDatabase
from tests.contract.deploy.matrix import COLUMNS, TROUBLES, Column, Step, Trouble, begin, disturbed, undisturbed
from tests.simulators.promptlayer import PromptLayer, serve

AT_ONCE = 12  # cells; most of the time they wait for a lease to end


@pytest.mark.timeout(300)  # on a machine that does much else beside it
@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_whatever_happens_at_any_request_it_is_done_once_or_not_and_told(
    dsn: str, database: PostgresDatabase, column: Column, record_property: Callable[[str, object], None]
) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def cell(step: Step, trouble: Trouble) -> str:
        async with places:
            with serve(PromptLayer()) as api:
                case = await begin(column, api, database, f"{step}: {trouble.name}")
                return await disturbed(case, dsn, step, trouble)

    with serve(PromptLayer()) as api:
        steps = await undisturbed(await begin(column, api, database, "undisturbed"))
    cells = [
        (step, trouble, asyncio.create_task(cell(step, trouble)))
        for step in steps
        for trouble in TROUBLES
        if trouble.meets(column, step)
    ]
    await asyncio.gather(*(task for _, _, task in cells))
    table = [(step, trouble, task.result()) for step, trouble, task in cells]
    record_property("crash matrix", [(str(column), str(step), trouble.name, found) for step, trouble, found in table])
    assert [(str(step), trouble.name, found) for step, trouble, found in table if found != trouble.expected] == []
