"""Policies on a real database: counted approvals, freeze, cap and quiet hours, also when two people act at once."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from optimizer.approve.door import Door
from optimizer.approve.machine import Kind, Order, Refusal
from optimizer.approve.people import People
from optimizer.approve.policy import Policy
from optimizer.approve.provenance import Confirmed
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import UsageError
from optimizer.loop.freezing import Freezing
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Follow, LeftOut, Plan
from optimizer.records.freeze import Freeze
from optimizer.records.session import Item, Session
from optimizer.records.states import DeploymentState, ItemState, SessionState
from optimizer.settings.policies import PolicySettings
from optimizer.stores.deployments import Stopped
from optimizer.stores.freezes import FreezeStore
from tests.builders import AGENT, DANA, RUI, SYSTEM, Office, approve, make_item, rule_line, said, shown_of
from tests.contract.deploy.interfered import Interfered

DANA_TOO, SAM, EVE = "slack:U1", "console:sam", "console:eve"
NAMES = {DANA: "dana", DANA_TOO: "dana", RUI: "rui", SAM: "sam"}
PEOPLE = People(frozenset(NAMES), frozenset({*NAMES, EVE}), NAMES)
HOUR = timedelta(hours=1)


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    opened = await Office(database).open()
    opened.people = PEOPLE
    opened.policy = PolicySettings(approvals_min=2)
    return opened


def freezing(office: Office) -> Freezing:
    return Freezing(FreezeStore(office.database), office.audit, lambda _: office.people, office.clock)


async def last_row(office: Office) -> dict[str, Any]:
    (row,) = await office.audit.newest(office.agent, 1)
    return json.loads(row["body"])


def remove(*items: Item) -> Order:
    return Order(Kind.remove, frozenset(item.id for item in items))


def restore(*items: Item) -> Order:
    return Order(Kind.restore, frozenset(item.id for item in items))


async def votes(office: Office, session: Session) -> dict[int, list[str]]:
    return {item.n: [vote.actor for vote in item.votes] for item in (await office.read(session.id)).items}


async def test_the_first_yes_is_noted_and_the_second_deploys(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    first, second = session.items
    noted = await office.decide(session, approve(first))
    assert (noted.refusal, noted.batch_id, noted.ruling.noted) == (None, None, {first.id})
    assert noted.tallies[first.id].people == ("dana",)
    row = await last_row(office)
    (vote,) = row["votes"]
    assert (row["kind"], row["items"], row["deployments"]) == ("decision", [], [])
    assert (vote["n"], vote["people"], vote["needed"]) == (1, ["dana"], 2)
    assert (vote["content_sha256"], vote["base_sha256"]) == (first.content_sha256, {"system": sha256_of(SYSTEM)})
    notice = (await office.notices.after(office.agent, 0))[-1]
    assert notice.body["votes"] == [{"n": 1, "people": 1, "needed": 2}]
    assert await office.worker().work() == 0

    fresh = await office.read(session.id)
    assert fresh.state is SessionState.pending
    live = await office.decide(fresh, approve(first, second), actor=RUI)
    assert live.batch_id is not None
    assert live.ruling.noted == {second.id}
    assert await office.item_states(session) == {1: ItemState.approved, 2: ItemState.open}
    (deployment,) = await office.deployments.batch(live.batch_id)
    assert deployment.items == (first.id,)
    assert [one.person for one in deployment.provenance.approvals] == ["dana", "rui"]
    assert "Rule 2: (always)" not in deployment.text


async def test_one_person_on_two_channels_is_one_yes(office: Office) -> None:
    session = await office.pending([make_item(1)])
    for actor in (DANA, DANA_TOO, DANA):
        decided = await office.decide(session, approve(*session.items), actor=actor)
        assert (decided.batch_id, decided.refusal) == (None, None)
    assert len((await office.read(session.id)).items[0].votes) == 1
    assert (await office.decide(session, approve(*session.items), actor=SAM)).batch_id is not None


async def test_a_no_outweighs_and_a_restored_item_begins_anew(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2, [rule_line(2, "playbooks")])])
    first, second = session.items
    await office.decide(session, approve(first, second))
    await office.decide(session, remove(second), actor=SAM)
    assert await votes(office, session) == {1: [DANA], 2: []}
    fresh = await office.read(session.id)
    decided = await office.decide(fresh, approve(first), actor=RUI)
    assert decided.plan is not None
    assert [one.prompt for one in decided.plan.deployments] == ["system"]

    session = await office.pending([make_item(3, [rule_line(3, "playbooks")])])
    (third,) = session.items
    await office.decide(session, approve(third))
    await office.decide(await office.read(session.id), remove(third), actor=RUI)
    await office.decide(await office.read(session.id), restore(third), approve(third), actor=SAM)
    assert await votes(office, session) == {3: [SAM]}
    assert await office.item_states(session) == {3: ItemState.open}


async def test_a_person_takes_their_own_yes_back_with_a_no(office: Office) -> None:
    session = await office.pending([make_item(1)])
    await office.decide(session, approve(*session.items))
    await office.decide(await office.read(session.id), remove(*session.items))
    await office.decide(await office.read(session.id), restore(*session.items))
    decided = await office.decide(await office.read(session.id), approve(*session.items), actor=RUI)
    assert decided.batch_id is None


async def test_two_people_at_once_are_both_counted_and_deploy_once(office: Office) -> None:
    session = await office.pending([make_item(1)])
    decided = await asyncio.gather(
        *(office.decide(session, approve(*session.items), actor=actor) for actor in (DANA, RUI, DANA_TOO, DANA))
    )
    assert len([one for one in decided if one.batch_id is not None]) == 1
    assert len(await office.deployments.newest(office.agent)) == 1
    assert {str(one.refusal) for one in decided} <= {"None", "decided"}


async def test_a_yes_and_a_no_at_once_never_deploy_what_was_taken_out(office: Office) -> None:
    for n in range(1, 6):
        session = await office.pending([make_item(n)])
        await office.decide(session, approve(*session.items))
        fresh = await office.read(session.id)
        yes, no = await asyncio.gather(
            office.decide(fresh, approve(*fresh.items), actor=RUI),
            office.decide(fresh, remove(*fresh.items), actor=SAM),
        )
        state = (await office.item_states(session))[n]
        assert (yes.batch_id is None) is (state is ItemState.removed)
        assert yes.refusal is None or no.refusal is None
        await office.worker().work()


async def test_a_vote_is_void_when_the_prompt_or_the_approvers_changed(office: Office) -> None:
    session = await office.pending([make_item(1)])
    await office.decide(session, approve(*session.items))
    office.people = People(PEOPLE.approvers - {DANA, DANA_TOO}, PEOPLE.listed, NAMES)
    decided = await office.decide(session, approve(*session.items), actor=RUI)
    assert (decided.batch_id, decided.tallies[session.items[0].id].people) == (None, ("rui",))

    text = SYSTEM + "By hand.\n"
    await office.publish("system", text)
    assert (await office.decide(session, approve(*session.items), actor=SAM)).refusal is Refusal.stale
    fresh = await office.read(session.id)
    moved = [{"id": str(fresh.items[0].id), "base_sha256": {"system": sha256_of(text)}}]
    assert await office.sessions.rebase(fresh, moved, '{"kind":"rebased"}', office.clock.now())
    fresh = await office.read(session.id)
    decided = await office.decide(fresh, approve(*fresh.items), actor=SAM)
    assert (decided.batch_id, decided.tallies[session.items[0].id].people) == (None, ("sam",))


async def test_votes_stay_with_an_item_that_the_next_run_finds_again(office: Office) -> None:
    item = make_item(1)
    session = await office.pending([item])
    await office.decide(session, approve(item))
    again = await office.pending([item, make_item(2)])
    assert again.id != session.id
    decided = await office.decide(again, approve(item), actor=RUI)
    assert decided.batch_id is not None


async def test_who_asked_for_the_run_is_told_who_can_approve_it(office: Office) -> None:
    office.policy = PolicySettings(requester_excluded=True)
    session = await office.pending([make_item(1)], requested_by=DANA)
    refused = await office.decide(session, approve(*session.items), actor=DANA_TOO)
    assert refused.refusal is Refusal.requester
    assert refused.block is not None
    assert refused.block.sentence.endswith("rui or sam can approve it")
    assert (await last_row(office))["reason"] == "requester"
    assert (await office.decide(session, remove(*session.items), actor=DANA)).refusal is None
    await office.decide(await office.read(session.id), restore(*session.items), actor=DANA)
    assert (await office.decide(await office.read(session.id), approve(*session.items), actor=RUI)).batch_id


# ---- what fails its checks


def planner(office: Office, left: LeftOut | None) -> Any:
    """What the office plans, and one item left out unless it was let through."""

    async def plan(session: Session, wanted: frozenset[UUID], confirmed: Confirmed) -> Plan:
        out = left is not None and left.item in wanted and not set(left.codes) <= confirmed.get(left.item, frozenset())
        kept = wanted - {left.item} if out and left is not None else wanted
        made = await office.plan(session, kept, confirmed)
        return made.model_copy(update={"left_out": (*made.left_out, *([left] if out and left else ()))})

    return plan


def door(office: Office, left: LeftOut | None = None) -> Door:
    policy = Policy(office.policy, office.people)
    return Door(
        office.sessions, FreezeStore(office.database), office.audit, policy, planner(office, left), office.clock
    )


def tainted(item: Item, *, may_confirm: bool = True) -> LeftOut:
    return LeftOut(
        item=item.id,
        n=item.n,
        reason="it stands in a trace",
        code="tainted",
        codes=("tainted",),
        may_confirm=may_confirm,
    )


async def test_an_item_that_needs_a_second_yes_never_goes_with_the_others(office: Office) -> None:
    office.policy = PolicySettings()
    session = await office.pending([make_item(1), make_item(2)])
    first, second = session.items
    way = door(office, tainted(second))
    decided = await way.decide(session, [approve(first, second)], said(), shown=shown_of(session))
    assert decided.batch_id is not None
    assert await office.item_states(session) == {1: ItemState.approved, 2: ItemState.open}
    await office.worker().work()


async def test_a_second_yes_is_kept_with_the_deployment_and_in_the_audit(office: Office) -> None:
    office.policy = PolicySettings()
    session = await office.pending([make_item(1)])
    (item,) = session.items
    way = door(office, tainted(item))
    refused = await way.decide(session, [approve(item)], said(), shown=shown_of(session))
    assert refused.refusal is Refusal.confirm
    confirmed = {item.id: frozenset({"tainted"})}
    decided = await way.decide(session, [approve(item)], said(), shown=shown_of(session), confirmed=confirmed)
    assert decided.batch_id is not None
    (deployment,) = await office.deployments.batch(decided.batch_id)
    assert deployment.provenance.items[0].confirmed == ("tainted",)
    assert (await last_row(office))["confirmed"] == {str(item.id): ["tainted"]}


async def test_every_voter_says_the_second_yes(office: Office) -> None:
    session = await office.pending([make_item(1)])
    (item,) = session.items
    way, confirmed = door(office, tainted(item)), {item.id: frozenset({"tainted"})}
    for actor, second, refusal, live in (
        (DANA, {}, Refusal.confirm, False),
        (DANA, confirmed, None, False),
        (RUI, {}, Refusal.confirm, False),
        (RUI, confirmed, None, True),
    ):
        decided = await way.decide(session, [approve(item)], said(actor), shown=shown_of(session), confirmed=second)
        assert (decided.refusal, decided.batch_id is not None) == (refusal, live)


async def test_a_yes_to_what_cannot_go_live_is_not_noted(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    first, second = session.items
    way = door(office, tainted(second, may_confirm=False))
    assert (await way.decide(session, [approve(second)], said(), shown=shown_of(session))).refusal is Refusal.unfit
    decided = await way.decide(session, [approve(first, second)], said(), shown=shown_of(session))
    assert decided.ruling.noted == {first.id}
    assert await votes(office, session) == {1: [DANA], 2: []}


# ---- freeze


async def test_a_freeze_halts_what_is_not_live_and_refuses_what_comes_after(office: Office) -> None:
    office.policy = PolicySettings()
    session = await office.pending([make_item(1), make_item(2, [rule_line(2, "playbooks")])])
    first, second = session.items
    decided = await office.decide(session, approve(first))
    assert decided.batch_id is not None
    assert await freezing(office).begin(AGENT, said(EVE, "freeze"), "demo\nat noon") == Stopped(1, 0)
    row = await last_row(office)
    assert (row["kind"], row["actor"], row["reason"]) == ("freeze", EVE, "demo at noon")
    (deployment,) = await office.deployments.batch(decided.batch_id)
    assert deployment.state is DeploymentState.halted
    assert await office.item_states(session) == {1: ItemState.failed, 2: ItemState.open}

    refused = await office.decide(await office.read(session.id), approve(second))
    assert refused.refusal is Refusal.frozen
    assert refused.block is not None
    assert "by console:eve (demo at noon); dana, rui or sam can say" in refused.block.sentence
    assert (await last_row(office))["blocked"] == refused.block.sentence
    assert await office.item_states(session) == {1: ItemState.failed, 2: ItemState.open}
    assert (await office.notices.after(office.agent, 0))[-1].kind == "frozen"

    again = await freezing(office).begin(AGENT, said(RUI, "freeze"), "another reason")
    assert isinstance(again, Freeze)
    assert (again.actor, again.reason) == (EVE, "demo at noon")
    assert await freezing(office).lift(AGENT, said(RUI, "unfreeze"))
    assert not await freezing(office).lift(AGENT, said(RUI, "unfreeze"))
    assert (await office.decide(await office.read(session.id), approve(second))).batch_id is not None
    assert (await office.audit.verify(office.agent)).problem is None


@pytest.mark.parametrize(("follow", "when"), [("label", "publish"), ("label", "move_label"), ("latest", "publish")])
async def test_a_freeze_while_a_worker_is_on_its_way_leaves_the_old_text(
    database: PostgresDatabase, follow: Follow, when: str
) -> None:
    office = await Office(database, follow=follow, people=PEOPLE).open()
    session = await office.pending([make_item(1)])
    decided = await office.decide(session, approve(*session.items))
    assert decided.batch_id is not None

    class Frozen(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            if call == when:
                await freezing(office).begin(AGENT, said(EVE, "freeze"), "")

    await office.worker(registry=Frozen).work()
    (deployment,) = await office.deployments.batch(decided.batch_id)
    assert deployment.state in (DeploymentState.halted, DeploymentState.rolled_back)
    assert (await office.current("system")).text == SYSTEM
    assert await office.item_states(session) == {1: ItemState.failed}


async def test_what_is_live_stays_and_is_taken_back_while_frozen(office: Office) -> None:
    office.policy = PolicySettings()
    (deployment,) = await office.deployed([make_item(1)])
    assert await freezing(office).begin(AGENT, said(EVE, "freeze"), "") == Stopped(0, 0)
    assert (await office.deployments.batch(deployment.batch_id))[0].state is DeploymentState.live
    assert await office.take_back(deployment, actor=EVE)
    await office.worker().work()
    assert (await office.current("system")).text == SYSTEM


async def test_a_vote_may_be_given_while_frozen_and_the_last_one_may_not(office: Office) -> None:
    session = await office.pending([make_item(1)])
    await freezing(office).begin(AGENT, said(EVE, "freeze"), "")
    assert (await office.decide(session, approve(*session.items))).refusal is None
    assert (await office.decide(session, approve(*session.items), actor=RUI)).refusal is Refusal.frozen
    assert await votes(office, session) == {1: [DANA]}


@pytest.mark.parametrize(
    ("actor", "may_freeze", "may_lift"), [(RUI, True, True), (EVE, True, False), ("x:y", False, False)]
)
async def test_whoever_is_listed_freezes_and_approvers_lift(
    office: Office, actor: str, may_freeze: bool, may_lift: bool
) -> None:
    for act, may in (
        (freezing(office).begin(AGENT, said(actor, "freeze"), ""), may_freeze),
        (freezing(office).lift(AGENT, said(actor, "unfreeze")), may_lift),
    ):
        if may:
            await act
        else:
            with pytest.raises(UsageError):
                await act
            assert (await last_row(office))["kind"] == "refused"


async def test_a_freeze_and_a_yes_at_once_leave_nothing_under_way(office: Office) -> None:
    office.policy = PolicySettings()
    for n in range(1, 7):
        session = await office.pending([make_item(n)])
        decided, _ = await asyncio.gather(
            office.decide(session, approve(*session.items)), freezing(office).begin(AGENT, said(EVE, "freeze"), "")
        )
        if decided.batch_id is None:
            assert decided.refusal is Refusal.frozen
            assert decided.block is not None
        else:
            (deployment,) = await office.deployments.batch(decided.batch_id)
            assert deployment.state is DeploymentState.halted
        assert await office.worker().work() == 0
        await freezing(office).lift(AGENT, said(RUI, "unfreeze"))


async def test_the_database_itself_lets_nothing_be_deployed_while_frozen(office: Office) -> None:
    session = await office.pending([make_item(1)])
    (item,) = session.items
    plan = await office.plan(session, frozenset({item.id}))
    await freezing(office).begin(AGENT, said(EVE, "freeze"), "")
    row = {"id": str(uuid4()), "batch_id": str(uuid4()), "ordinal": 0, "actor": DANA}
    answer = await office.sessions.decide(
        session,
        state=None,
        items=[{"id": str(item.id), "from": "open", "to": "approved"}],
        votes=[],
        deployments=[{**plan.deployments[0].model_dump(mode="json"), **row}],
        question=None,
        snoozed_until=None,
        notices=[],
        audit='{"kind":"decision"}',
        at=office.clock.now(),
    )
    assert answer == {"ok": False, "reason": "frozen"}
    assert await office.item_states(session) == {1: ItemState.open}


# ---- when, and how often


async def test_quiet_hours_refuse_what_would_deploy_and_nothing_else(office: Office) -> None:
    office.policy = PolicySettings.model_validate({"quiet_hours": {"start": "11:00", "end": "13:00"}})
    session = await office.pending([make_item(1), make_item(2)])
    refused = await office.decide(session, approve(*session.items))
    assert refused.refusal is Refusal.quiet
    assert refused.block is not None
    assert refused.block.sentence == "Nothing is deployed until 13:00 UTC (quiet hours)"
    assert (await office.decide(session, remove(session.items[1]))).refusal is None
    office.clock.advance(HOUR)
    assert (await office.decide(session, approve(session.items[0]))).batch_id is not None


async def test_a_day_has_so_many_deployments_and_one_that_was_taken_back_is_one(office: Office) -> None:
    office.policy = PolicySettings(deployments_per_day_max=2)
    (first,) = await office.deployed([make_item(1)])
    await office.take_back(first)
    await office.worker().work()
    office.clock.advance(HOUR)
    session = await office.pending([make_item(2)])
    halted = await office.decide(session, approve(*session.items))
    assert halted.batch_id is not None
    await office.halt()  # it never went live, so it does not count
    await office.deployed([make_item(3)])
    session = await office.pending([make_item(4, [rule_line(4, "playbooks")])])
    refused = await office.decide(session, approve(*session.items))
    assert refused.refusal is Refusal.capped
    assert refused.block is not None
    assert refused.block.sentence.endswith("the next is possible from 2026-03-03 12:00 UTC")
    office.clock.advance(23 * HOUR)
    assert (await office.decide(session, approve(*session.items))).batch_id is not None
