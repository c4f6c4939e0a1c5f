"""A worker killed with -9 at every point: the next one brings the story to the same end, once."""

from __future__ import annotations

from collections import Counter

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.deployment import Deployment
from optimizer.records.states import ItemState
from tests.builders import TEXTS, Office
from tests.contract.deploy.crashing import STORIES
from tests.contract.deploy.killing import crash_everywhere, finish

ENDS = {
    "deploy": ["live"],
    "deploy_latest": ["live"],
    "second_fails": ["rolled_back", "failed"],
    "roll_back": ["rolled_back", "rolled_back"],
    "roll_back_latest": ["rolled_back"],
}


def steps_of(deployment: Deployment) -> Counter[tuple[str, str]]:
    return Counter((step.step, step.phase) for step in deployment.steps)


@pytest.mark.parametrize("story", STORIES)
async def test_a_crash_at_any_point_is_resumed(dsn: str, database: PostgresDatabase, story: str) -> None:
    batches = await crash_everywhere("tests.contract.deploy.crashing", dsn, story)
    assert len(batches) >= 10
    await finish(database)
    for agent, batch_id in batches.items():
        office = Office(database, agent=agent, follow=STORIES[story])
        batch = await office.deployments.batch(batch_id)
        assert [one.state.value for one in batch] == ENDS[story], agent
        for deployment in batch:
            await has_one_version_in_its_place(office, deployment)
        session = await office.sessions.newest(agent)
        assert session is not None
        changed = ItemState.stale if story == "second_fails" else ItemState.failed
        state = ItemState.deployed if story.startswith("deploy") else changed
        assert [item.state for item in session.items] == [state], agent
        heads = frozenset(
            one.metadata["audit_head"] for one in await office.registry.history() if "audit_head" in one.metadata
        )
        assert (await office.audit.verify(agent, heads)).problem is None
        kinds = Counter(notice.kind for notice in await office.notices.after(agent, 0))
        told = {"live": "deployment_live", "failed": "deployment_failed", "rolled_back": "deployment_rolled_back"}
        for state, count in Counter(ENDS[story]).items():
            assert kinds[told[state]] == count, agent


async def has_one_version_in_its_place(office: Office, deployment: Deployment) -> None:
    versions = await office.registry.history(deployment.prompt)
    ours = [one for one in versions if one.metadata.get("deployment_id") == str(deployment.id)]
    current = await office.current(deployment.prompt)
    steps = steps_of(deployment)
    match deployment.state.value:
        case "live":
            assert [one.version for one in ours] == [deployment.new_version] == [current.version]
            assert current.sha256 == deployment.sha256
            assert set(steps.values()) == {1}
            assert set(steps) == {(step, phase) for step in ("publish", "move_label") for phase in ("before", "after")}
        case "rolled_back":
            assert [one.version for one in ours] == [deployment.new_version]
            assert current.text == TEXTS[deployment.prompt]
            assert current.version == (1 if office.follow == "label" else 3)
            assert len(versions) == current.version if office.follow == "latest" else 2
            assert steps["roll_back", "after"] == 1
        case _:
            assert not ours  # what was changed by hand before the publish is found before it
            assert current.text.endswith("By hand.\n")
