"""What cards say about policies: how votes stand, what stands against a deployment, and who lifts it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.cards.answers import decided_card
from bot.cards.card import Card
from bot.cards.history import history_card
from bot.cards.layout import as_text
from bot.cards.notices import notice_card
from bot.cards.refusals import refused_card
from bot.cards.session import session_card
from bot.cards.status import status_card
from bot.commands.doctor_policies import policy_line
from optimizer.approve.machine import Refusal
from optimizer.approve.policy import Block, Gate, Tally
from optimizer.clock import iso
from optimizer.records.deployment import LeftOut
from optimizer.settings import AgentSettings
from optimizer.settings.policies import PolicySettings
from optimizer.stores.audit import Notice
from tests.unit.cards.samples import NOW, READER, decided, item, plan, refused, session, uuid

FROZEN = Block(Refusal.frozen, 'Deployments are frozen by sam (demo); dana can say "unfreeze"')


def body(card: Card) -> str:
    return " ".join(as_text(Card(card.header, card.blocks)).split())


def noted(*numbers: int, tally: Tally) -> str:
    result = decided([], plan=plan(left_out=()))
    ids = frozenset(one.id for one in result.session.items if one.n in numbers)
    ruling = replace(result.ruling, noted=ids)
    return body(decided_card(replace(result, ruling=ruling, tallies=dict.fromkeys(ids, tally)), READER))


@pytest.mark.parametrize(
    ("tally", "told"),
    [
        (Tally(("dana",), 2, ("rui", "sam")), "is 1 of 2; one more person has to approve: rui or sam."),
        (Tally(("dana",), 4, ("eve", "rui", "sam")), "is 1 of 4; 3 more people have to approve, of eve, rui, sam."),
        (Tally(("dana",), 3, ("rui",)), "is 1 of 3; there are not enough approvers for it; ratchet.toml has to name"),
        (Tally(("dana", "rui"), 2, ()), "is 2 of 2; it waits for an item that it needs; deploy both together."),
    ],
)
def test_a_noted_yes_says_who_is_missing(tally: Tally, told: str) -> None:
    assert f"Noted: your yes to 3 {told}" in noted(3, tally=tally)


def test_items_that_stand_alike_share_a_line() -> None:
    assert "Noted: your yes to 3 and 4 is 1 of 2 for each;" in noted(3, 4, tally=Tally(("dana",), 2, ("rui",)))


def test_the_session_shows_votes_and_what_stands_against_a_deployment() -> None:
    told = session()
    three = next(one for one in told.items if one.n == 3)
    gate = Gate(FROZEN, {three.id: Tally(("dana", "slack:U012AB3CD"), 3, ())})
    text = body(session_card(told, READER, gate=gate))
    assert "(2 of 3: dana, dana)" in text  # an identity without a person's name is told as the chat calls it
    assert 'Deployments are frozen by sam (demo); dana can say "unfreeze".' in text
    assert "Each deployment needs the yes of 3 people." in text
    assert 'dana can say "unfreeze".' in body(status_card("a", "prod", told, [], READER, gate=gate))
    plain = Gate(None, {three.id: Tally((), 1, ("dana",))})
    assert session_card(told, READER, gate=plain) == session_card(told, READER)


def test_a_policy_that_refuses_is_told_in_its_own_words() -> None:
    result = replace(refused(Refusal.frozen), block=FROZEN)
    card = refused_card(result, READER)
    assert body(card).endswith('Nothing was done. Deployments are frozen by sam (demo); dana can say "unfreeze".')
    assert "unfreeze" in card.choices


def left(n: int, *, may_confirm: bool) -> LeftOut:
    return LeftOut(item=uuid(n), n=n, reason="it stands in a trace", code="tainted", may_confirm=may_confirm)


def test_items_that_need_a_yes_of_their_own_are_named_with_the_reply() -> None:
    outs = (left(3, may_confirm=True), left(4, may_confirm=True))
    card = refused_card(refused(Refusal.confirm, plan=plan(left_out=outs)), READER)
    assert '3 needs a yes of its own: it stands in a trace. Reply "deploy 3".' in body(card)
    assert card.choices == ("deploy 3", "deploy 4", "status")
    unfit = refused_card(refused(Refusal.unfit, plan=plan(left_out=(left(4, may_confirm=False),))), READER)
    assert "4 cannot go live as it is: it stands in a trace." in body(unfit)


EVIL = "deploy all\x00\u202e\n" + "x" * 900


def test_foreign_words_stay_in_one_safe_line() -> None:
    gate = Gate(Block(Refusal.frozen, EVIL), {item(3).id: Tally((EVIL,), 2, (EVIL,))})
    cards = [
        session_card(session(), READER, gate=gate),
        refused_card(replace(refused(Refusal.frozen), block=gate.block), READER),
        notice_card(Notice(1, "frozen", None, EVIL, {"reason": EVIL}, NOW), "a", "prod", READER),
    ]
    for text in map(as_text, cards):
        assert "\u202e" not in text
        assert "\x00" not in text
        assert "x" * 600 not in text.replace("\n", "")


def row(**said: Any) -> dict[str, Any]:
    return {"seq": 1, "at": iso(NOW), "body": json.dumps({"actor": "console:sam", "channel": "console", **said})}


def test_history_and_news_tell_of_votes_and_freezes() -> None:
    votes = [{"n": 3, "people": ["dana"], "needed": 2}, {"n": 4, "people": ["dana", "rui"], "needed": 3}]
    told = body(
        history_card(
            "a",
            "prod",
            [
                row(kind="decision", words="deploy", votes=votes),
                row(kind="freeze", reason="demo"),
                row(kind="freeze", reason=""),
                row(kind="unfreeze"),
            ],
            READER,
        )
    )
    assert "said yes to 3 (1 of 2), 4 (2 of 3)" in told
    assert "sam (console) froze all deployments: demo just now" in told
    assert "lifted the freeze" in told
    notice = Notice(1, "decision", None, "console:sam", {"votes": [{"n": 3, "people": 1, "needed": 2}]}, NOW)
    assert "Sam (console) said yes to 3 (1 of 2), just now." in body(notice_card(notice, "a", "prod", READER))


def test_doctor_says_what_is_in_effect_in_one_line() -> None:
    policy = {
        "approvals_min": 2,
        "requester_excluded": True,
        "deployments_per_day_max": 3,
        "quiet_hours": {"start": "22:00", "end": "07:00", "days": ["sat", "sun"], "timezone": "Europe/Paris"},
        "changed_share_max": 0.3,
        "protected": ["Legal:.*"],
        "confirmable": [],
    }
    strict = AgentSettings(approvers=("dana", "rui"), policy=PolicySettings.model_validate(policy))
    assert policy_line("blog-writer", strict) == (
        "policy of blog-writer: 2 approvals; not by who asked for the run (too few are left, of 2, where an approver "
        "asked); at most 3 deployments in 24 hours; "
        "quiet 22:00 to 07:00 and sat, sun Europe/Paris; a session changes at most 30% of a prompt; "
        "1 pattern of protected text; a second yes passes: nothing"
    )
    assert policy_line("b", AgentSettings()) == "policy of b: 1 approval; a second yes passes: tainted"
    alone = strict.model_copy(update={"approvers": ("dana",)})
    assert "2 approvals (only 1 approver: nothing can be deployed);" in policy_line("b", alone)
