"""Stories of deployments and of plain rollbacks, for `killing`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from uuid import UUID

from optimizer.records.deployment import Follow
from tests.builders import PLAYBOOKS, SYSTEM, Office, approve, make_item, rule_line
from tests.contract.deploy.killing import kill_everywhere, opened

TWO_PROMPTS = [rule_line(1), rule_line(2, "playbooks")]
STORIES: dict[str, Follow] = {
    "deploy": "label",
    "deploy_latest": "latest",
    "second_fails": "label",
    "roll_back": "label",
    "roll_back_latest": "latest",
}


async def prepare(dsn: str, agents: Sequence[str], story: str) -> dict[str, UUID]:
    """Each agent right before the worker begins, with its batch."""
    async with opened(dsn) as database:
        return {agent: await prepared(Office(database, agent=agent, follow=STORIES[story]), story) for agent in agents}


async def prepared(office: Office, story: str) -> UUID:
    await office.open()
    edits = TWO_PROMPTS if story in ("second_fails", "roll_back") else TWO_PROMPTS[:1]
    session = await office.pending([make_item(1, edits)])
    decided = await office.decide(session, approve(*session.items))
    assert decided.batch_id is not None
    if story == "second_fails":
        changed = (await office.deployments.batch(decided.batch_id))[1].prompt
        text = {"system": SYSTEM, "playbooks": PLAYBOOKS}[changed]
        await office.publish(changed, text + "By hand.\n")
    if story.startswith("roll_back"):
        await office.worker().work(office.agent)
        assert await office.take_back(*await office.deployments.batch(decided.batch_id))
    return decided.batch_id


if __name__ == "__main__":
    kill_everywhere(prepare, STORIES[sys.argv[2]], sys.argv[1], sys.argv[2])
