"""What is live is never told as failed: a worker that cannot know it looks, or waits for an answer."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import pytest

from optimizer.db.postgres import PostgresDatabase
from optimizer.deploy.journal import TRIES_MAX
from optimizer.errors import RegistryError
from optimizer.records.deployment import Follow
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry
from tests.builders import SYSTEM, TEXTS, Office, approve, make_item
from tests.contract.deploy.interfered import MOVES_TEXT, Interfered, Silent, end_leases, states
from tests.contract.deploy.single import approved, only

BACK = {"playbooks": DeploymentState.rolled_back, "system": DeploymentState.rolled_back}


class Moment(NamedTuple):
    follow: Follow
    call: str  # of the worker, for the prompt `system`
    number: int
    done: bool  # whether the worker dies after it, or before

    def __str__(self) -> str:
        return f"{self.follow}, {'after' if self.done else 'before'} {self.call} {self.number}"


class DiesAt(Interfered):
    def __init__(self, inner: Registry, moment: Moment) -> None:
        super().__init__(inner)
        self._moment, self._number = moment, 0

    async def before(self, call: str, prompt: str) -> None:
        if (call, prompt) == (self._moment.call, "system"):
            self._number += 1
            self._die(done=False)

    async def after(self, call: str, prompt: str) -> None:
        if (call, prompt) == (self._moment.call, "system"):
            self._die(done=True)

    def _die(self, *, done: bool) -> None:
        if (self._number, done) == (self._moment.number, self._moment.done):
            raise KeyboardInterrupt


async def left_behind(office: Office, moment: Moment) -> UUID:
    """An item of two prompts: `playbooks` is live, the worker dies over `system`, and `playbooks` is taken back."""
    item = make_item(1, MOVES_TEXT)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    with pytest.raises(KeyboardInterrupt):
        await office.worker(registry=lambda inner: DiesAt(inner, moment)).work()
    await end_leases(office)
    first, _ = await office.deployments.batch(decided.batch_id)
    assert (first.prompt, first.state) == ("playbooks", DeploymentState.live)
    assert await office.take_back(first)
    return decided.batch_id


@pytest.mark.parametrize(
    "moment",
    [
        Moment("label", "move_label", 1, done=True),
        Moment("latest", "publish", 1, done=True),
        Moment("latest", "current", 3, done=False),  # published, and written down
        Moment("latest", "current", 4, done=False),  # about to be read back
    ],
    ids=str,
)
async def test_the_other_prompt_of_an_item_that_runs_unheard_of_goes_back_too(
    database: PostgresDatabase, moment: Moment
) -> None:
    office = await Office(database, follow=moment.follow).open()
    batch_id = await left_behind(office, moment)
    await office.worker("worker-2").work()
    assert states(await office.deployments.batch(batch_id)) == BACK
    assert {name: (await office.current(name)).text for name in TEXTS} == TEXTS
    kinds = [one.kind for one in await office.notices.after(office.agent, 0)]
    assert "deployment_failed" not in kinds
    assert await office.worker().work() == 0


@pytest.mark.parametrize(
    "moment",
    [Moment("label", "move_label", 1, done=False), Moment("latest", "publish", 1, done=False)],
    ids=str,
)
async def test_the_other_prompt_of_an_item_that_does_not_run_is_left_alone(
    database: PostgresDatabase, moment: Moment
) -> None:
    office = await Office(database, follow=moment.follow).open()
    batch_id = await left_behind(office, moment)
    watched: list[tuple[str, str]] = []

    class Noting(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            watched.append((call, prompt))

    await office.worker("worker-2", registry=Noting).work()
    _, second = await office.deployments.batch(batch_id)
    assert (second.state, second.reason) == (
        DeploymentState.failed,
        "'playbooks', which belongs to the same item, is not live: taken back by console:dana",
    )
    assert {call for call, prompt in watched if prompt == "system"} == {"current"}


class Away(Interfered):
    """A registry that goes away at a call, having done it or not, and stays away until it is back."""

    def __init__(self, inner: Registry, call: str, *, done: bool) -> None:
        super().__init__(inner)
        self._call, self._done, self.away, self._was_away = call, done, False, False

    def back(self) -> None:
        self.away = False

    async def before(self, call: str, prompt: str) -> None:
        if call == self._call and not self._done and not self._was_away:
            self.away = self._was_away = True
        if self.away:
            raise RegistryError("The registry cannot be reached; try again.")

    async def after(self, call: str, prompt: str) -> None:
        if call == self._call and self._done and not self._was_away:
            self.away = self._was_away = True
            raise RegistryError("The answer was lost; try again.")


async def turns(office: Office, registry: Registry, number: int = TRIES_MAX + 3) -> None:
    """So many turns of a worker, a lease apart."""
    for _ in range(number):
        await office.worker(registry=lambda _: registry).work()
        await end_leases(office)


FATAL = pytest.mark.parametrize(("follow", "call"), [("label", "move_label"), ("latest", "publish")])
DONE = pytest.mark.parametrize("done", [False, True], ids=["it was not done", "it was done"])


@FATAL
@DONE
async def test_a_registry_that_is_away_for_long_is_waited_for_where_it_may_have_gone_live(
    database: PostgresDatabase, follow: Follow, call: str, done: bool
) -> None:
    office = await Office(database, follow=follow).open()
    batch_id = await approved(office)
    away = Away(office.registry, call, done=done)
    await turns(office, away)
    waiting = await only(office, batch_id)
    assert waiting.state is (DeploymentState.verifying if follow == "label" else DeploymentState.publishing)
    assert sum(step.phase == "failed" for step in waiting.steps) == TRIES_MAX - 1  # and no more while it waits
    away.back()
    await turns(office, away, 2)
    deployment = await only(office, batch_id)
    assert deployment.state is DeploymentState.live
    assert (await office.current("system")).sha256 == deployment.sha256
    assert len(await office.registry.history("system")) == 2


@FATAL
@DONE
async def test_a_stop_waits_for_a_registry_that_is_away(
    database: PostgresDatabase, follow: Follow, call: str, done: bool
) -> None:
    office = await Office(database, follow=follow).open()
    batch_id = await approved(office)
    away = Away(office.registry, call, done=done)
    await turns(office, away, 1)
    assert (await office.stop()).decided == 1
    await turns(office, away)
    assert (await only(office, batch_id)).rollback is not None
    assert (await only(office, batch_id)).ended_at is None
    away.back()
    await turns(office, away, 2)
    deployment = await only(office, batch_id)
    assert deployment.state is (DeploymentState.rolled_back if done else DeploymentState.halted)
    assert (await office.current("system")).text == SYSTEM


@FATAL
async def test_where_the_registry_says_that_it_is_not_live_it_has_failed(
    database: PostgresDatabase, follow: Follow, call: str
) -> None:
    office = await Office(database, follow=follow).open()
    batch_id = await approved(office)
    await turns(office, Silent(office.registry, call, "system", times=1000))
    deployment = await only(office, batch_id)
    assert deployment.state is DeploymentState.failed
    assert "did not answer" in (deployment.reason or "")
    assert (await office.current("system")).text == SYSTEM


@FATAL
async def test_where_every_answer_is_lost_it_is_live_as_soon_as_one_is_heard(
    database: PostgresDatabase, follow: Follow, call: str
) -> None:
    """Done each time it is asked for, and never heard of: looked at, it runs."""
    office = await Office(database, follow=follow).open()
    batch_id = await approved(office)
    fatal, deaf = call, True

    class Deaf(Interfered):
        async def after(self, call: str, prompt: str) -> None:
            if call == fatal and deaf:
                raise RegistryError("The answer was lost; try again.")

    registry = Deaf(office.registry)
    await turns(office, registry)
    assert (await only(office, batch_id)).ended_at is None
    deaf = False
    await turns(office, registry, 1)
    assert (await only(office, batch_id)).state is DeploymentState.live
