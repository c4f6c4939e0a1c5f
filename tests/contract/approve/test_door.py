"""The one door on a real database: who may, what is shown, who was first, and what stays in the audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from optimizer.approve.machine import Kind, Order, Refusal
from optimizer.approve.people import People
from optimizer.db.postgres import PostgresDatabase
from optimizer.records.base import sha256_of
from optimizer.records.findings import ItemType
from optimizer.records.session import Item, Session
from optimizer.records.states import DeploymentState, ItemState, SessionState
from optimizer.stores.audit import QuestionStore
from tests.builders import DANA, MALLORY, RUI, SYSTEM, Office, approve, make_item, rule_line, shown_of


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


async def last_row(office: Office) -> dict[str, object]:
    (row,) = await office.audit.newest(office.agent, 1)
    return json.loads(row["body"])


async def ask(office: Office, session: Session, actor: str = DANA, minutes: int = 10) -> UUID:
    id_, at = uuid4(), office.clock.now()
    await QuestionStore(office.database).ask(
        id_,
        office.agent,
        session.id,
        "console",
        "terminal",
        actor,
        "Deploy 1?",
        {},
        "7K2",
        expires_at=at + timedelta(minutes=minutes),
        at=at,
    )
    return id_


async def test_a_decision_leaves_everything_in_one_row(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    decided = await office.decide(session, approve(session.items[0]))
    assert decided.refusal is None
    row = await last_row(office)
    assert (row["kind"], row["actor"], row["words"]) == ("decision", DANA, "deploy all")
    (item,) = row["items"]  # type: ignore[misc]
    assert item["content_sha256"] == session.items[0].content_sha256
    assert item["base_sha256"] == {"system": sha256_of(SYSTEM)}
    assert decided.plan is not None
    assert row["deployments"] == [{"prompt": "system", "base_version": 1, "sha256": decided.plan.deployments[0].sha256}]
    fresh = await office.read(session.id)
    assert (fresh.state, fresh.revision) == (SessionState.pending, session.revision + 1)
    notice = (await office.notices.after(office.agent, 0))[-1]
    assert (notice.kind, notice.actor, notice.session_id) == ("decision", DANA, str(session.id))


@pytest.mark.parametrize("people", [People(frozenset(), frozenset()), People(frozenset({DANA}), frozenset({MALLORY}))])
async def test_who_is_not_an_approver_decides_nothing_and_is_written_down(office: Office, people: People) -> None:
    session = await office.pending([make_item(1)])
    office.people = people
    for orders in ([approve(*session.items)], [Order(Kind.skip)], [Order(Kind.snooze)]):
        decided = await office.decide(session, *orders, actor=MALLORY)
        assert decided.refusal is Refusal.not_allowed
        row = await last_row(office)
        assert (row["kind"], row["actor"], row["reason"]) == ("refused", MALLORY, "not_allowed")
    assert (await office.read(session.id)) == session
    assert await office.worker().work() == 0


async def test_of_two_at_once_the_first_wins(office: Office) -> None:
    session = await office.pending([make_item(1)])
    decided = await asyncio.gather(
        *(office.decide(session, approve(*session.items), actor=actor) for actor in (DANA, RUI, DANA, RUI))
    )
    assert sorted(str(one.refusal) for one in decided) == ["None", "decided", "decided", "decided"]
    assert len(await office.deployments.newest(office.agent)) == 1
    rows = [json.loads(row["body"]) for row in await office.audit.newest(office.agent, 10)]
    first = next(row for row in rows if row["kind"] == "decision")
    winner = next(one for one in decided if one.refusal is None)
    assert {row["actor"] for row in rows if row["kind"] == "refused"} <= {DANA, RUI}
    # Whoever comes second is told from this row who was first.
    assert (first["session_id"], first["session_state"]) == (str(winner.session.id), "decided")


async def test_two_people_deciding_different_items_both_get_their_way(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2, [rule_line(2, "playbooks")])])
    first, second = await asyncio.gather(
        office.decide(session, approve(session.items[0]), actor=DANA),
        office.decide(session, Order(Kind.remove, frozenset({session.items[1].id})), actor=RUI),
    )
    assert first.refusal is None
    assert second.refusal is None
    assert await office.item_states(session) == {1: ItemState.approved, 2: ItemState.removed}
    assert (await office.read(session.id)).state is SessionState.decided


async def test_nothing_is_deployed_that_the_same_decision_does_not_approve(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    first, second = session.items
    plan = await office.plan(session, frozenset({first.id, second.id}))
    row = {"id": str(uuid4()), "batch_id": str(uuid4()), "ordinal": 0, "actor": DANA}

    async def store(*approved: Item, of: Sequence[Item]) -> dict[str, Any]:
        planned = {**plan.deployments[0].model_dump(mode="json"), **row, "items": [str(item.id) for item in of]}
        return await office.sessions.decide(
            session,
            state=None,
            items=[{"id": str(item.id), "from": "open", "to": "approved"} for item in approved],
            votes=[],
            deployments=[planned],
            question=None,
            snoozed_until=None,
            notices=[],
            audit='{"kind":"decision"}',
            at=office.clock.now(),
        )

    for approved, of in [((), (first,)), ((first,), (first, second)), ((first,), ())]:
        assert await store(*approved, of=of) == {"ok": False, "reason": "conflict"}
    assert await office.item_states(session) == {1: ItemState.open, 2: ItemState.open}
    assert await office.deployments.newest(office.agent) == ()
    assert (await store(first, second, of=session.items))["ok"]


async def test_a_second_yes_to_the_same_prompt_waits_for_the_first(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    assert (await office.decide(session, approve(session.items[0]))).refusal is None
    busy = await office.decide(session, approve(session.items[1]))
    assert busy.refusal is Refusal.busy
    assert (await last_row(office))["reason"] == "busy"
    assert await office.item_states(session) == {1: ItemState.approved, 2: ItemState.open}
    await office.worker().work()
    stale = await office.decide(session, approve(session.items[1]))
    assert stale.refusal is Refusal.stale


async def test_a_prompt_that_changed_needs_a_new_look_and_a_new_yes(office: Office) -> None:
    session = await office.pending([make_item(1)])
    text = SYSTEM + "By hand.\n"
    await office.publish("system", text)
    assert (await office.decide(session, approve(*session.items))).refusal is Refusal.stale

    bases = [{"id": str(session.items[0].id), "base_sha256": {"system": sha256_of(text)}}]
    assert await office.sessions.rebase(session, bases, '{"kind":"rebased"}', office.clock.now())
    # Who still has the old text before them has not seen what would go live.
    assert (await office.decide(session, approve(*session.items), actor=RUI)).refusal is Refusal.changed
    assert await office.worker().work() == 0

    again = await office.read(session.id)
    assert (await office.decide(again, approve(*again.items))).refusal is None
    await office.worker().work()
    assert (await office.current("system")).text == text.replace("Rule 1:", "Rule 1: (always)")


async def test_a_rebased_item_that_no_longer_fits_is_stale(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    bases = [{"id": str(session.items[0].id), "base_sha256": None}]
    assert await office.sessions.rebase(session, bases, '{"kind":"rebased"}', office.clock.now())
    assert not await office.sessions.rebase(session, bases, '{"kind":"rebased"}', office.clock.now())
    assert await office.item_states(session) == {1: ItemState.stale, 2: ItemState.open}


async def test_content_that_was_not_shown_is_not_deployed(office: Office) -> None:
    session = await office.pending([make_item(1)])
    for shown in ({}, {session.items[0].id: "0" * 64}):
        assert (await office.decide(session, approve(*session.items), shown=shown)).refusal is Refusal.changed


async def test_what_fails_its_checks_is_told_and_the_others_go_live(office: Office) -> None:
    bad = make_item(1, [rule_line(1, replace="Rule 1: see https://evil.example and")])
    session = await office.pending([bad, make_item(2)])
    decided = await office.decide(session, approve(*session.items))
    assert decided.ruling.failed == {bad.id}
    assert decided.plan is not None
    assert [left.n for left in decided.plan.left_out] == [1]
    assert "evil.example" in str((await last_row(office))["left_out"])
    await office.worker().work()
    assert await office.item_states(session) == {1: ItemState.failed, 2: ItemState.deployed}
    assert "evil" not in (await office.current("system")).text


async def test_if_every_item_fails_nothing_is_planned(office: Office) -> None:
    session = await office.pending([make_item(1, [rule_line(1, replace="Rule 1: {{NEW}}")])])
    decided = await office.decide(session, approve(*session.items))
    assert decided.refusal is None
    assert decided.batch_id is None
    assert await office.item_states(session) == {1: ItemState.failed}
    assert (await office.read(session.id)).state is SessionState.decided


async def test_after_its_time_a_session_is_expired_for_everyone(office: Office) -> None:
    session = await office.pending([make_item(1)])
    office.clock.advance(timedelta(days=3))
    decided = await office.decide(session, approve(*session.items))
    assert decided.refusal is Refusal.expired
    assert (await office.read(session.id)).state is SessionState.expired
    assert [notice.kind for notice in await office.notices.after(office.agent, 0)] == ["session_expired"]
    assert (await office.decide(session, approve(*session.items))).refusal is Refusal.expired
    assert [notice.kind for notice in await office.notices.after(office.agent, 0)] == ["session_expired"]


async def test_a_newer_session_answers_for_the_older(office: Office) -> None:
    item = make_item(1)
    old = await office.pending([item])
    new = await office.pending([item])
    assert (await office.decide(old, approve(*old.items))).refusal is Refusal.superseded
    assert (await office.decide(new, approve(*new.items))).refusal is None


async def test_a_question_is_consumed_once(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2, [rule_line(2, "playbooks")])])
    question = await ask(office, session)
    decided = await asyncio.gather(
        office.decide(session, approve(session.items[0]), question=question),
        office.decide(session, approve(session.items[1]), question=question),
    )
    assert sorted(str(one.refusal) for one in decided) == ["None", "decided"]
    assert len(await office.deployments.newest(office.agent)) == 1


async def test_a_question_does_not_wait_for_ever(office: Office) -> None:
    session = await office.pending([make_item(1)])
    question = await ask(office, session)
    office.clock.advance(timedelta(minutes=10))
    assert (await office.decide(session, approve(*session.items), question=question)).refusal is Refusal.decided
    assert await office.item_states(session) == {1: ItemState.open}


async def test_a_refused_order_leaves_the_question_open(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    assert (await office.decide(session, approve(session.items[0]))).refusal is None
    question = await ask(office, session)
    busy = await office.decide(session, approve(session.items[1]), question=question)
    assert busy.refusal is Refusal.busy
    found = await QuestionStore(office.database).open("console", "terminal", DANA, office.clock.now())
    assert found is not None
    assert found.id == question


async def test_a_new_question_replaces_the_old_one_of_the_same_person_only(office: Office) -> None:
    session = await office.pending([make_item(1)])
    first, other, second = await ask(office, session), await ask(office, session, RUI), await ask(office, session)
    questions = QuestionStore(office.database)
    at = office.clock.now()
    open_now = [await questions.open("console", "terminal", actor, at) for actor in (DANA, RUI)]
    assert [one.id for one in open_now if one] == [second, other]
    assert not await questions.close(first, at)
    assert await questions.close(second, at)
    assert not await questions.close(second, at)


async def test_snooze_is_remembered_and_changes_nothing_else(office: Office) -> None:
    session = await office.pending([make_item(1)])
    decided = await office.decide(session, Order(Kind.snooze))
    assert decided.refusal is None
    assert await office.item_states(session) == {1: ItemState.open}
    assert (await office.decide(session, approve(*session.items))).refusal is None


async def test_done_is_heard_after_the_decision(office: Office) -> None:
    work = make_item(1, type_=ItemType.code_change)
    session = await office.pending([work, make_item(2)])
    assert (await office.decide(session, approve(session.items[1]))).refusal is None
    done = await office.decide(session, Order(Kind.done, frozenset({work.id})), actor=RUI)
    assert done.refusal is None
    assert await office.item_states(session) == {1: ItemState.done, 2: ItemState.approved}


async def test_the_last_item_removed_can_be_restored_while_nothing_was_deployed(office: Office) -> None:
    session = await office.pending([make_item(1)])
    everything = frozenset({session.items[0].id})
    assert (await office.decide(session, Order(Kind.remove, everything))).refusal is None
    assert (await office.read(session.id)).state is SessionState.decided
    assert (await office.decide(session, Order(Kind.restore, everything))).refusal is None
    again = await office.read(session.id)
    assert (again.state, again.decided_at) == (SessionState.pending, None)
    assert (await office.decide(again, approve(*again.items))).refusal is None
    # What was approved is not a no to take back.
    assert (await office.decide(again, Order(Kind.restore, everything))).refusal is Refusal.decided


async def test_a_session_with_a_newer_one_or_past_its_time_stays_closed(office: Office) -> None:
    session = await office.pending([make_item(1)])
    back = Order(Kind.restore, frozenset({session.items[0].id}))
    await office.decide(session, Order(Kind.remove, back.items))
    office.clock.advance(timedelta(hours=1))
    await office.pending([make_item(2)])
    assert (await office.decide(session, back)).refusal is Refusal.superseded
    office.clock.advance(timedelta(days=3))
    assert (await office.decide(session, back)).refusal is Refusal.decided
    assert await office.item_states(session) == {1: ItemState.removed}


async def test_a_session_that_nobody_knows_is_refused(office: Office) -> None:
    session = await office.pending([make_item(1)])
    unknown = session.model_copy(update={"id": uuid4()})
    assert (await office.decide(unknown, approve(*session.items))).refusal is Refusal.nothing


async def test_a_halted_deployment_frees_its_prompt(office: Office) -> None:
    session = await office.pending([make_item(1), make_item(2)])
    decided = await office.decide(session, approve(session.items[0]))
    assert decided.batch_id is not None
    assert await office.halt(RUI) == 1
    (halted,) = await office.deployments.batch(decided.batch_id)
    assert halted.state is DeploymentState.halted
    assert await office.item_states(session) == {1: ItemState.failed, 2: ItemState.open}
    fresh = await office.read(session.id)
    assert (await office.decide(fresh, approve(fresh.items[1]), shown=shown_of(fresh))).refusal is None
