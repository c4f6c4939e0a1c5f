"""Every request of a deployment and of its way back, met by every trouble, ends once, or not at all and told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from optimizer.db.postgres import PostgresDatabase
from tests.contract.deploy.matrix import COLUMNS, TROUBLES, Column, Step, Trouble, begin, disturbed, undisturbed
from tests.simulators.promptlayer import PromptLayer, serve

ATTEMPTS_MAX = 4
AT_ONCE = 12  # cells; most of the time they wait for a lease to end


@pytest.mark.timeout(300)  # on a machine that does much else beside it
@pytest.mark.parametrize("column", COLUMNS, ids=str)
@pytest.mark.parametrize("kind", TROUBLES)
async def test_whatever_happens_at_any_request_it_is_done_once_or_not_and_told(
    dsn: str,
    database: PostgresDatabase,
    column: Column,
    kind: str,
    record_property: Callable[[str, object], None],
) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def cell(step: Step, trouble: Trouble) -> str:
        async with places:
            for attempt in range(ATTEMPTS_MAX):
                with serve(PromptLayer()) as api:
                    case = await begin(column, api, database, f"{step}: {trouble.name} {attempt}")
                    found = await disturbed(case, dsn, step, trouble)
                if found is not None:
                    return found
        return "never met"

    with serve(PromptLayer()) as api:
        steps = await undisturbed(await begin(column, api, database, "undisturbed"))
    cells = [
        (position, step, trouble)
        for position, step in enumerate(steps)
        for trouble in TROUBLES[kind]
        if trouble.meets(column, step)
    ]
    outcomes = await asyncio.gather(*(cell(step, trouble) for _, step, trouble in cells))
    table = [
        (str(column), position, str(step), trouble.name, found, found == trouble.expected)
        for (position, step, trouble), found in zip(cells, outcomes, strict=True)
    ]
    record_property("crash matrix", [row[:-1] for row in table])
    assert [row for row in table if not row[-1]] == []
