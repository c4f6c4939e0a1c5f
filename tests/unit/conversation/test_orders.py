"""From numbers to item ids, and which replies may be offered."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from bot.conversation.commands import PendingItem, Understood
from bot.conversation.grammar import parse
from bot.conversation.offers import Offers
from bot.conversation.orders import Orders, orders_of, pending_items, waiting_items
from optimizer.approve.machine import Kind
from optimizer.records.findings import ItemType
from optimizer.records.session import Session
from optimizer.records.states import ItemState, SessionState
from tests.builders import NOON, make_item, make_session

_STATES = {
    "o": ItemState.open,
    "r": ItemState.removed,
    "l": ItemState.deployed,
    "f": ItemState.failed,
    "s": ItemState.stale,
    "m": ItemState.muted,
    "d": ItemState.done,
}


def _session(shape: str, state: SessionState = SessionState.pending) -> Session:
    """ "po cr" is an open prompt change 1 and a removed code change 2."""
    items = [
        make_item(
            n,
            type_=ItemType.prompt_change if word[0] == "p" else ItemType.code_change,
            state=_STATES[word[1]],
        )
        for n, word in enumerate(shape.split(), 1)
    ]
    return make_session(items).model_copy(update={"state": state, "expires_at": NOON + timedelta(hours=1)})


def _ordered(text: str, session: Session) -> Orders:
    answer = parse(text, pending_items(session))
    assert isinstance(answer, Understood), text
    return orders_of(answer.commands, answer.deploys, session)


def _numbers(session: Session, ids: frozenset[UUID]) -> list[int]:
    return sorted(item.n for item in session.items if item.id in ids)


def _offers(session: Session | None, *, may: bool = True) -> Offers:
    return Offers(session, NOON, may_decide=may, may_take_back=may)


def test_numbers_become_the_ids_of_this_session() -> None:
    session = _session("po po po")
    (remove, approve) = _ordered("remove 2, deploy", session).orders
    assert (remove.kind, _numbers(session, remove.items)) == (Kind.remove, [2])
    assert (approve.kind, _numbers(session, approve.items)) == (Kind.approve, [1, 3])


def test_all_means_what_is_left_and_says_nothing_of_the_rest() -> None:
    session = _session("pl po pr pm")
    orders = _ordered("deploy all", session)
    assert [_numbers(session, order.items) for order in orders.orders] == [[2]]
    assert orders.notices == ()


def test_a_number_that_was_named_is_answered_for() -> None:
    session = _session("pl po pl pf")
    orders = _ordered("deploy 1, 2, 3 and 4", session)
    assert [_numbers(session, order.items) for order in orders.orders] == [[2]]
    assert orders.notices == (
        "1 and 3 are live already.",
        "4 is not open any more: left out, halted or taken back.",
    )


def test_all_of_nothing_says_why() -> None:
    assert _ordered("deploy all", _session("pl ps")).notices == (
        "1 is live already.",
        "2 is not possible any more: the prompt changed.",
    )


def test_what_is_put_back_in_the_same_breath_is_deployed() -> None:
    session = _session("po pr")
    restore, approve = _ordered("restore 2, deploy 2", session).orders
    assert (restore.kind, approve.kind) == (Kind.restore, Kind.approve)
    assert _numbers(session, approve.items) == [2]


def test_only_open_and_removed_items_wait() -> None:
    assert waiting_items(_session("po pr pl pf ps pm cd co")) == (
        PendingItem(1, "prompt_change"),
        PendingItem(2, "prompt_change", removed=True),
        PendingItem(8, "code_change"),
    )
    assert waiting_items(None) == ()


@pytest.mark.parametrize(
    ("shape", "reply"),
    [
        ("po po", "deploy all"),
        ("po po", "deploy 2"),
        ("po po", "remove 1, deploy"),
        ("po pr", "restore 2"),
        ("po pr", "restore 2, deploy 2"),
        ("po co", "done 2"),
        ("po pr", "never 2"),
        ("po", "skip"),
        ("po", "snooze 2h"),
        ("pl", "show 1"),
        ("pl", "rollback"),
        ("pl", "status"),
    ],
)
def test_what_works_is_offered(shape: str, reply: str) -> None:
    assert _offers(_session(shape)).works(reply)


@pytest.mark.parametrize(
    ("shape", "reply"),
    [
        ("pl pl", "deploy all"),
        ("pl po", "deploy 1"),
        ("pl po", "deploy 1 and 2"),
        ("pr po", "deploy 1"),
        ("po", "remove 1, deploy"),
        ("po", "restore 1"),
        ("pl", "remove 1"),
        ("po cd", "done 2"),
        ("po", "deploy 7"),
        ("po", "make it so"),
    ],
)
def test_what_comes_to_nothing_is_not_offered(shape: str, reply: str) -> None:
    assert not _offers(_session(shape)).works(reply)


@pytest.mark.parametrize("state", [SessionState.decided, SessionState.skipped, SessionState.expired])
def test_a_closed_list_offers_no_decision(state: SessionState) -> None:
    offers = _offers(_session("po po co", state))
    assert not any(offers.works(reply) for reply in ("deploy all", "deploy 1", "skip", "remove 1", "snooze 2h"))
    assert offers.works("done 3") is (state is not SessionState.expired)
    assert offers.waiting == ()


def test_a_list_whose_time_is_over_offers_no_decision() -> None:
    late = Offers(_session("po po"), NOON + timedelta(hours=1), may_decide=True, may_take_back=True)
    assert not late.works("deploy all")


def test_nobody_is_offered_what_they_may_not_do() -> None:
    offers = _offers(_session("po po"), may=False)
    assert offers.of(("deploy all", "skip", "show 1", "rollback", "run optimization")) == ("show 1",)
    assert offers.of(("deploy all", "skip")) == ("status", "help")


def test_where_nothing_that_was_meant_works_something_else_is_offered() -> None:
    assert _offers(_session("pl po")).of(("deploy 1",)) == ("deploy 2", "deploy all", "show 2", "skip")
    assert _offers(None).of(("make it so",)) == ("run optimization", "status", "help")
    assert _offers(_session("po")).of(()) == ()


def test_yes_and_no_are_offered_with_a_question() -> None:
    assert _offers(_session("po")).of(("yes", "no")) == ("yes", "no")
