"""One run per slot, one pending session per agent, and what a new session takes over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from optimizer.approve.machine import Kind, Order
from optimizer.db.postgres import PostgresDatabase
from optimizer.records.findings import ItemType
from optimizer.records.states import ItemState, SessionState
from tests.builders import NOON, Office, approve, make_item, rule_line

SLOT = "2026-03-02T06:00"


@pytest.fixture
async def office(database: PostgresDatabase) -> Office:
    return await Office(database).open()


async def finish(office: Office, run_id: UUID, state: str = "done", worker: str = "runner") -> bool:
    return await office.sessions.finish_run(
        run_id, worker, state, {"status": "quiet"}, [], '{"kind":"run"}', office.clock.now()
    )


@pytest.mark.parametrize("slot", [SLOT, None])
async def test_of_ten_starters_at_once_one_runs(office: Office, slot: str | None) -> None:
    answers = await asyncio.gather(*(office.start_run(f"runner-{n}", slot) for n in range(10)))
    started = [run_id for run_id, answer in answers if answer["started"]]
    assert len(started) == 1
    reasons = {(answer["reason"], answer["run"]["id"]) for _, answer in answers if not answer["started"]}
    assert reasons == {("slot" if slot else "busy", str(started[0]))}


async def test_a_slot_runs_once(office: Office) -> None:
    run_id, _ = await office.start_run(slot=SLOT)
    assert await finish(office, run_id)
    _, again = await office.start_run(slot=SLOT)
    assert (again["started"], again["reason"], again["run"]["state"]) == (False, "slot", "done")
    _, next_day = await office.start_run(slot="2026-03-03T06:00")
    assert next_day["started"]


async def test_starters_who_meet_the_end_of_a_run_get_an_answer(office: Office) -> None:
    for _ in range(20):
        run_id, answer = await office.start_run()
        assert answer["started"]
        _, (other_id, other) = await asyncio.gather(finish(office, run_id), office.start_run("other"))
        if other["started"]:
            assert await finish(office, other_id, worker="other")
        else:
            assert other["run"]["id"] == str(run_id)


async def test_a_failed_slot_may_be_tried_again(office: Office) -> None:
    run_id, _ = await office.start_run(slot=SLOT)
    assert await finish(office, run_id, "failed")
    _, again = await office.start_run(slot=SLOT)
    assert again["started"]


async def test_a_run_whose_worker_went_away_is_taken_over(office: Office) -> None:
    lost, _ = await office.start_run("runner-1", SLOT, lease_seconds=0)
    taken, answer = await office.start_run("runner-2", SLOT)
    assert answer["started"]
    run = await office.sessions.run(lost)
    assert run is not None
    assert (run["state"], run["slot"]) == ("failed", None)
    # The first one comes back and finds the door shut: neither a session nor an end of the run.
    assert await office.save([make_item(1)], run_id=lost, worker="runner-1") is None
    assert not await finish(office, lost, worker="runner-1")
    assert await office.sessions.newest(office.agent) is None
    assert await office.save([make_item(1)], run_id=taken, worker="runner-1") is None
    assert await office.save([make_item(1)], run_id=taken, worker="runner-2")


async def test_runs_of_two_agents_do_not_meet(office: Office) -> None:
    other = Office(office.database, agent="other")
    answers = [(await one.start_run(slot=SLOT))[1] for one in (office, other)]
    assert all(answer["started"] for answer in answers)


async def test_a_saved_session_reads_back_as_it_was(office: Office) -> None:
    items = [make_item(1), make_item(2, type_=ItemType.code_change), make_item(5, [rule_line(3, "playbooks")])]
    session = await office.pending(items)
    assert list(session.items) == items
    assert (session.state, session.revision) == (SessionState.pending, 1)
    assert (session.since, session.until) == (NOON - timedelta(days=1), NOON)
    newest = await office.sessions.newest(office.agent)
    assert newest == session


async def test_a_new_session_supersedes_the_old_and_takes_over_what_is_undecided(office: Office) -> None:
    kept, gone, answered = make_item(1), make_item(2), make_item(3)
    old = await office.pending([kept, gone, answered])
    await office.decide(old, Order(Kind.remove, frozenset({answered.id})))
    office.clock.advance(timedelta(days=1))
    new = await office.pending([kept.model_copy(update={"n": 1, "title": "Worse"}), make_item(4)])

    assert (await office.read(old.id)).state is SessionState.superseded
    assert new.items[0].id == kept.id
    assert (new.items[0].first_seen_at, new.items[0].title) == (NOON, "Worse")
    assert new.items[1].first_seen_at == NOON + timedelta(days=1)
    assert await office.item_states(old) == {1: ItemState.open, 2: ItemState.stale, 3: ItemState.removed}
    pending = await office.sessions.newest(office.agent)
    assert pending is not None
    assert pending.id == new.id


async def test_many_savers_leave_one_pending_session(office: Office) -> None:
    async def once(worker: str) -> bool:
        run_id, answer = await office.start_run(worker)
        if not answer["started"]:
            return False
        return await office.save([make_item(1)], run_id=run_id, worker=worker) is not None

    saved = 0
    for _ in range(4):
        saved += sum(await asyncio.gather(*(once(f"runner-{n}") for n in range(4))))
    assert saved >= 4
    session = await office.sessions.newest(office.agent)
    assert session is not None
    assert session.state is SessionState.pending


async def test_an_item_decided_while_the_run_was_under_way_is_not_shown_again(office: Office) -> None:
    first, second = make_item(1), make_item(2, [rule_line(2, "playbooks")])
    old = await office.pending([first, second])
    run_id, _ = await office.start_run()
    await office.decide(old, approve(first))
    changed = first.model_copy(update={"title": "Other words"})
    id_ = await office.save([changed, second], run_id=run_id)
    assert id_ is not None
    new = await office.read(id_)
    assert [item.id for item in new.items] == [second.id]
    assert (await office.read(old.id)).items[0].title == first.title
    await office.worker().work()
    assert (await office.item_states(old))[1] is ItemState.deployed


async def test_a_quiet_run_leaves_what_waits(office: Office) -> None:
    session = await office.pending([make_item(1)])
    run_id, _ = await office.start_run()
    assert await finish(office, run_id)
    assert (await office.read(session.id)) == session
    assert (await office.decide(session, approve(*session.items))).refusal is None


async def test_a_session_expires_once_and_not_early(office: Office) -> None:
    session = await office.pending([make_item(1)])
    audit = '{"kind":"expired"}'
    assert not await office.sessions.expire(office.agent, audit, session.expires_at - timedelta(seconds=1))
    answers = await asyncio.gather(*(office.sessions.expire(office.agent, audit, session.expires_at) for _ in range(5)))
    assert sorted(answers) == [False, False, False, False, True]
    assert (await office.read(session.id)).state is SessionState.expired


async def test_undecided_items_of_an_expired_session_come_again_as_the_same(office: Office) -> None:
    item = make_item(1)
    await office.pending([item])
    office.clock.advance(timedelta(days=4))
    await office.sessions.expire(office.agent, '{"kind":"expired"}', office.clock.now())
    answered = (await office.sessions.answered(office.agent))[item.key]
    assert (answered.id, answered.state) == (item.id, ItemState.open)
    new = await office.pending([item])
    assert new.items[0].id == item.id
    assert (await office.decide(new, approve(*new.items))).refusal is None


async def test_the_last_answer_to_each_key_is_known(office: Office) -> None:
    first = make_item(1, key="a")
    session = await office.pending([first, make_item(2, key="b")])
    await office.decide(session, Order(Kind.mute, frozenset({first.id})))
    office.clock.advance(timedelta(days=1))
    worse = make_item(1, [rule_line(4)], key="a")
    await office.pending([worse.model_copy(update={"severity": 9.0})])
    answered = await office.sessions.answered(office.agent)
    assert (answered["a"].id, answered["a"].state) == (worse.id, ItemState.open)
    assert "b" not in answered  # gone stale: nobody answered it
    second = await office.sessions.newest(office.agent)
    assert second is not None
    await office.decide(second, approve(*second.items))
    await office.worker().work()
    answered = await office.sessions.answered(office.agent)
    assert (answered["a"].state, answered["a"].answered_severity) == (ItemState.deployed, 9.0)
