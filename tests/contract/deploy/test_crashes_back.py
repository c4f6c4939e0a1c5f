"""Ways back under workers that are killed with -9 at every point: the next one brings them to the same end, once."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.prompts.edits import compose
from optimizer.records.deployment import Deployment
from optimizer.records.states import ItemState
from tests.builders import PLAYBOOKS, SYSTEM, Office
from tests.contract.deploy.crashing_back import ALONE, BOTH, STORIES, Story
from tests.contract.deploy.killing import crash_everywhere, finish


def texts_after(story: Story) -> dict[str, str]:
    if story.taken_back:
        return {"system": compose(SYSTEM, [BOTH[0], *ALONE]), "playbooks": compose(PLAYBOOKS, [BOTH[1]])}
    return {"system": SYSTEM if story.to_version else compose(SYSTEM, ALONE), "playbooks": PLAYBOOKS}


def items_after(story: Story) -> list[ItemState]:
    gone = [ItemState.failed, ItemState.failed if story.to_version else ItemState.deployed]
    return [ItemState.deployed, ItemState.deployed] if story.taken_back else gone


@pytest.mark.parametrize("name", STORIES)
async def test_a_crash_on_the_way_back_is_resumed(dsn: str, database: PostgresDatabase, name: str) -> None:
    story = STORIES[name]
    batches = await crash_everywhere("tests.contract.deploy.crashing_back", dsn, name)
    assert len(batches) >= 10
    await finish(database)
    for agent, batch_id in batches.items():
        office = Office(database, agent=agent, follow=story.follow)
        batch = await office.deployments.batch(batch_id)
        assert {one.state.value for one in batch} == {"rolled_back" if story.taken_back else "live"}, agent
        assert {prompt: (await office.current(prompt)).text for prompt in texts_after(story)} == texts_after(story)
        session = await office.sessions.newest(agent)
        assert session is not None
        assert [item.state for item in session.items] == items_after(story), agent
        for one in batch:
            await was_published_once(office, one)
        await the_others_are_where_they_belong(office, story, batch_id)
        assert (await office.audit.verify(agent)).problem is None
        kinds = Counter(notice.kind for notice in await office.notices.after(agent, 0))
        assert kinds["deployment_live"] == 2 + len(batch), agent
        assert kinds["deployment_rolled_back"] == (len(batch) if story.taken_back else 0), agent
        assert kinds["deployment_failed"] == kinds["rollback_failed"] == 0, agent


async def was_published_once(office: Office, one: Deployment) -> None:
    """One version of it; none where a label went back to a version that was there."""
    history = await office.registry.history(one.prompt)
    ours = [held.version for held in history if held.metadata.get("deployment_id") == str(one.id)]
    if one.kind == "to_version" and one.follow == "label":
        assert (ours, one.new_version) == ([], one.target_version)
    else:
        assert ours == [one.new_version]


async def the_others_are_where_they_belong(office: Office, story: Story, batch_id: UUID) -> None:
    """What was deployed before is over where nothing of it is left, and back where all of it is."""
    before = {one.prompt: one for one in await office.deployments.newest(office.agent) if one.batch_id != batch_id}
    assert before["playbooks"].state.value == ("live" if story.taken_back else "rolled_back")
    over = story.to_version and not story.taken_back
    assert before["system"].state.value == ("rolled_back" if over else "live")
    assert before["playbooks"].was_passed is not story.taken_back
