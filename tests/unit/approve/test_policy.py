"""Policies before a deploy: who counts, what stands against it, and who or what could lift it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from optimizer.approve.machine import Refusal
from optimizer.approve.people import People, either
from optimizer.approve.policy import Policy, Tally
from optimizer.records.base import sha256_of
from optimizer.records.freeze import Freeze, Standing
from optimizer.records.session import Item, Session, Vote
from optimizer.records.states import ItemState
from optimizer.settings.policies import PolicySettings
from tests.builders import AGENT, NOON, make_item, make_session

NAMES = {"slack:U1": "dana", "console:dana": "dana", "console:rui": "rui", "console:sam": "sam"}
PEOPLE = People(frozenset(NAMES), frozenset({*NAMES, "console:eve"}), NAMES)
DANA, DANA_TOO, RUI, SAM, EVE = "console:dana", "slack:U1", "console:rui", "console:sam", "console:eve"
HOUR = timedelta(hours=1)


def policy(people: People = PEOPLE, **settings: Any) -> Policy:
    return Policy(PolicySettings.model_validate({"approvals_min": 2} | settings), people)


def voted(item: Item, *actors: str, **changes: Any) -> Item:
    votes = [
        Vote(
            person=NAMES.get(actor, actor),
            actor=actor,
            content_sha256=item.content_sha256,
            base_sha256=item.base_sha256,
            words="deploy",
            voted_at=NOON,
        ).model_copy(update=changes)
        for actor in actors
    ]
    return item.model_copy(update={"votes": (*item.votes, *votes)})


def requested(session: Session, actor: str) -> Session:
    return session.model_copy(update={"header": session.header.model_copy(update={"requested_by": actor})})


def tally(item: Item, yes: str | None = None, who: Policy | None = None) -> Tally:
    return (who or policy()).tally(make_session([item]), item, yes)


def test_one_person_on_two_channels_is_one_person() -> None:
    assert tally(voted(make_item(1), DANA), DANA_TOO) == Tally(("dana",), 2, ("rui", "sam"))
    assert tally(voted(make_item(1), DANA), RUI) == Tally(("dana", "rui"), 2, ("sam",))


def test_two_identities_that_turn_out_to_be_one_person_are_one_from_then_on() -> None:
    before = voted(make_item(1), DANA, person="console:dana")
    both = voted(before, DANA_TOO, person="slack:U1")
    assert tally(both).people == ("dana",)


@pytest.mark.parametrize(
    "changes",
    [
        {"content_sha256": sha256_of("other")},
        {"base_sha256": {"system": sha256_of("other")}},
        {"base_sha256": {}},
        {"actor": EVE},
        {"actor": "console:gone"},
    ],
)
def test_a_vote_on_something_else_or_by_no_approver_does_not_count(changes: dict[str, Any]) -> None:
    assert tally(voted(make_item(1), DANA, **changes)).people == ()
    assert not tally(voted(make_item(1), DANA, **changes), RUI).reached


def test_an_item_that_is_not_open_has_no_votes() -> None:
    removed = voted(make_item(1, state=ItemState.removed), DANA, RUI)
    assert tally(removed, SAM).people == ("sam",)


def test_who_asked_for_the_run_does_not_count_where_that_is_set() -> None:
    item = voted(make_item(1), DANA_TOO)
    session = requested(make_session([item]), DANA)
    strict, plain = policy(requester_excluded=True), policy()
    assert strict.tally(session, item) == Tally((), 2, ("rui", "sam"))
    assert plain.tally(session, item).people == ("dana",)
    block = strict.asked_for_it(session, DANA_TOO)
    assert block is not None
    assert block.refusal is Refusal.requester
    assert block.sentence == ("You asked for this run, so your own yes does not count here; rui or sam can approve it")
    assert strict.asked_for_it(session, RUI) is None
    assert strict.asked_for_it(make_session([item]), DANA) is None  # the schedule asked
    assert plain.asked_for_it(session, DANA) is None


def test_some_items_are_ready_and_others_wait() -> None:
    items = [voted(make_item(1), DANA), make_item(2), voted(make_item(3), RUI)]
    session = make_session(items)
    ballot = policy().ballot(session, frozenset(item.id for item in items), RUI)
    assert ballot.ready == {items[0].id}
    assert ballot.waiting == {items[1].id, items[2].id}
    assert policy().ballot(session, frozenset({uuid4()}), RUI).tallies == {}


def test_an_item_waits_with_the_one_that_it_needs() -> None:
    first = make_item(1)
    second = voted(make_item(2, requires=[first.id]), DANA)
    third = voted(make_item(3, requires=[second.id]), DANA)
    ballot = policy().ballot(make_session([first, second, third]), frozenset({first.id, second.id, third.id}), RUI)
    assert ballot.ready == frozenset()
    assert ballot.tallies[third.id].reached


def test_one_approval_is_enough_where_nothing_else_is_set() -> None:
    item = make_item(1)
    ballot = Policy(PolicySettings(), PEOPLE).ballot(make_session([item]), frozenset({item.id}), DANA)
    assert ballot.ready == {item.id}


# ---- what stands against every deployment


def frozen(reason: str = "demo at noon") -> Standing:
    return Standing(freeze=Freeze(agent=AGENT, actor=EVE, reason=reason, frozen_at=NOON))


def test_a_freeze_says_who_froze_when_why_and_who_lifts_it() -> None:
    block = policy().blocked(frozen(), NOON)
    assert block is not None
    assert block.refusal is Refusal.frozen
    assert block.sentence == (
        "Deployments are frozen since 2026-03-02 12:00 UTC by console:eve (demo at noon);"
        ' dana, rui or sam can say "unfreeze"'
    )
    nobody = policy(People(frozenset(), frozenset())).blocked(frozen(""), NOON)
    assert nobody is not None
    assert nobody.sentence.endswith('by console:eve; an approver, when ratchet.toml names one, can say "unfreeze"')


def test_quiet_hours_say_until_when_and_the_day_where_it_is_not_near() -> None:
    night = {"start": "22:00", "end": "07:00", "timezone": "Europe/Paris"}
    block = policy(quiet_hours=night).blocked(Standing(), NOON.replace(hour=23))
    assert block is not None
    assert (block.refusal, block.sentence) == (
        Refusal.quiet,
        "Nothing is deployed until 07:00 Europe/Paris (quiet hours)",
    )
    assert policy(quiet_hours=night).blocked(Standing(), NOON) is None
    weekend = policy(quiet_hours={"days": ["sat", "sun"]}).blocked(Standing(), NOON - timedelta(days=2, hours=1))
    assert weekend is not None
    assert weekend.sentence == "Nothing is deployed until Monday 2026-03-02 00:00 UTC (quiet hours)"


def test_the_cap_of_a_day_says_when_the_next_is_possible() -> None:
    made = Standing(deployed_at=(NOON - 25 * HOUR, NOON - 20 * HOUR, NOON - 3 * HOUR, NOON - HOUR))
    block = policy(deployments_per_day_max=2).blocked(made, NOON)
    assert block is not None
    assert block.refusal is Refusal.capped
    assert block.sentence == (
        "More than 2 deployments in 24 hours is not allowed; the next is possible from 2026-03-03 09:00 UTC"
    )
    assert policy(deployments_per_day_max=2).blocked(made, NOON + 21 * HOUR) is None
    assert policy(deployments_per_day_max=4).blocked(made, NOON) is None
    assert policy().blocked(made, NOON) is None


def test_the_freeze_is_told_first() -> None:
    strict = policy(deployments_per_day_max=1, quiet_hours={"start": "00:00", "end": "23:59"})
    standing = frozen().model_copy(update={"deployed_at": (NOON,)})
    refusals = [
        block.refusal
        for one in (standing, Standing(deployed_at=(NOON,)))
        if (block := strict.blocked(one, NOON)) is not None
    ]
    assert refusals == [Refusal.frozen, Refusal.quiet]


def test_who_looks_is_told_how_it_stands() -> None:
    item, work = voted(make_item(1), DANA), make_item(2, state=ItemState.removed)
    session = make_session([item, work])
    gate = policy().gate(session, Standing(), RUI, NOON)
    assert gate.may_approve
    assert gate.tallies == {item.id: Tally(("dana",), 2, ("rui", "sam"))}
    assert not policy().gate(session, frozen(), RUI, NOON).may_approve
    assert not policy().gate(session, Standing(), EVE, NOON).may_approve
    assert not policy(requester_excluded=True).gate(requested(session, RUI), Standing(), RUI, NOON).may_approve
    assert policy().gate(None, frozen(), RUI, NOON).block is not None


def test_names_are_joined_as_one_says_them() -> None:
    assert [either(names) for names in ([], ["dana"], ["dana", "rui"], ["dana", "rui", "sam"])] == [
        "",
        "dana",
        "dana or rui",
        "dana, rui or sam",
    ]
