"""Stories of ways back that are deployments of their own, for `killing`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from optimizer.db.port import Database
from optimizer.deploy.ways_back import NoWay
from optimizer.records.deployment import Follow
from optimizer.settings import AgentSettings, Environment, FileSettings, PromptSettings, Settings
from optimizer.wiring import Ratchet, wire
from tests.builders import DANA, TEXTS, Office, approve, make_item, rule_line, said
from tests.contract.deploy.killing import kill_everywhere, opened

BOTH = (rule_line(1), rule_line(2, "playbooks"))  # item 1 touches two prompts
ALONE = (rule_line(5),)  # item 2 touches one


@dataclass(frozen=True)
class Story:
    follow: Follow
    to_version: bool = False  # of the system prompt, to version 1; else without item 1
    taken_back: bool = False  # it is live already, and on its way back


STORIES = {
    "without": Story("label"),
    "to_version": Story("label", to_version=True),
    "to_version_latest": Story("latest", to_version=True),
    "without_taken_back": Story("label", taken_back=True),
    "to_version_taken_back": Story("label", to_version=True, taken_back=True),
}


def ratchet_of(office: Office) -> Ratchet:
    """Everything that is open, for the agent of the office."""
    prompts = {name: PromptSettings(follow=office.follow) for name in TEXTS}
    file = FileSettings(agents={office.agent: AgentSettings(prompts=prompts)})
    return wire(
        Settings(file=file, environment=Environment()), office.database, office.clock, lambda agent: office.people
    )


async def decided(office: Office, story: Story) -> UUID:
    """Two items live, and a way back from there decided."""
    ratchet = ratchet_of(office)
    items = [make_item(1, BOTH), make_item(2, ALONE)]
    session = await office.pending(items)
    assert (await office.decide(session, approve(*items))).batch_id is not None
    await office.worker().work(office.agent)
    ways = ratchet.ways_back
    way = await (
        ways.to_version(office.agent, "system", 1)
        if story.to_version
        else ways.without(office.agent, frozenset({items[0].id}))
    )
    assert not isinstance(way, NoWay), way
    batch_id = await ways.go(office.agent, way, said(DANA, "rollback"))
    assert batch_id is not None
    if story.taken_back:
        await office.worker().work(office.agent)
        assert await office.take_back(*await office.deployments.batch(batch_id))
    return batch_id


async def prepare(dsn: str, agents: Sequence[str], story: str) -> dict[str, UUID]:
    """Each agent right before the worker begins, with its batch."""
    async with opened(dsn) as database:
        return {agent: await decided(await opened_office(database, agent, story), STORIES[story]) for agent in agents}


async def opened_office(database: Database, agent: str, story: str) -> Office:
    return await Office(database, agent=agent, follow=STORIES[story].follow).open()


if __name__ == "__main__":
    kill_everywhere(prepare, STORIES[sys.argv[2]].follow, sys.argv[1], sys.argv[2])
