"""What a person is told after an order."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.cards.answers import decided_card, question_card
from bot.cards.card import Card
from bot.cards.deployments import deployed_card
from bot.cards.history import decided_by, history_card
from bot.cards.item import explain_card, show_card
from bot.cards.layout import as_text, page
from bot.cards.refusals import refused_card
from bot.cards.session import nothing_pending_card, session_card
from bot.cards.status import status_card
from bot.cards.words import Reader
from bot.conversation.commands import PendingItem, Understood
from bot.conversation.grammar import parse
from optimizer.approve.machine import Refusal
from optimizer.clock import iso
from optimizer.records.deployment import LeftOut
from optimizer.records.session import Session
from optimizer.records.states import DeploymentState, ItemState, SessionState
from optimizer.records.verdict import Outcome
from tests.unit.cards.samples import (
    NOW,
    READER,
    TEXTS,
    decided,
    deployment,
    item,
    plan,
    refused,
    session,
    uuid,
    verdict,
    with_states,
)

OPEN, REMOVED, APPROVED, FAILED = ItemState.open, ItemState.removed, ItemState.approved, ItemState.failed


def body_of(card: Card) -> str:
    """The card's words in one line, without the replies."""
    return " ".join(as_text(Card(card.header, card.blocks)).split())


def row(at: Any = NOW - timedelta(minutes=2), **body: Any) -> dict[str, Any]:
    return {"seq": 1, "at": iso(at), "body": json.dumps(body)}


DECISION = {
    "kind": "decision",
    "actor": "slack:U012AB3CD",
    "channel": "slack",
    "words": "remove 4, deploy",
    "session_id": str(uuid(100)),
    "session_state": "decided",
    "items": [{"n": 4, "to": "removed"}, {"n": 3, "to": "approved"}],
}


def test_remove_4_deploy_is_told_item_by_item():
    result = decided(
        [(4, OPEN, REMOVED), (3, OPEN, APPROVED)],
        plan=plan(3),
        batch_id=uuid(9),
        session_state=SessionState.decided,
    )
    assert as_text(decided_card(result, READER)) == (
        "blog-writer (prod)\n"
        "Approved: 3. Publishing a new version of master_system_core (now\n"
        "v1).\n"
        "Removed: 4.\n"
        '1, 2 and 5 are for you to do; "done 1" tells me when.\n'
        "\n"
        'Reply: "status" | "stop"'
    )


def test_an_item_that_fails_a_check_is_left_out_with_the_reason():
    left = LeftOut(item=uuid(4), n=4, reason="its change overlaps with that of item 3")
    result = decided(
        [(3, OPEN, APPROVED), (4, OPEN, APPROVED), (4, APPROVED, FAILED)],
        plan=plan(3, left_out=(left,)),
        batch_id=uuid(9),
        session_state=SessionState.decided,
    )
    told = body_of(decided_card(result, READER))
    assert "Approved: 3." in told
    assert "4 is left out: its change overlaps with that of item 3." in told


def test_removing_alone_says_what_still_waits():
    card = decided_card(decided([(4, OPEN, REMOVED)]), READER)
    assert "Removed: 4. Still deployable: 3." in body_of(card)
    assert card.choices == ("deploy 3", "show 3", "skip")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (ItemState.muted, "Muted: 3. Not proposed again unless it gets 1.5 times worse."),
        (ItemState.done, "Done: 3. The next runs check whether it helped."),
    ],
)
def test_other_answers_say_what_follows(target: ItemState, told: str):
    assert told in body_of(decided_card(decided([(3, OPEN, target)]), READER))


def test_putting_back_counts_the_item_again():
    result = decided([(3, REMOVED, OPEN)], session=with_states({3: REMOVED}))
    told = body_of(decided_card(result, READER))
    assert "Back on the list: 3. Still deployable: 3 and 4." in told


def test_skipping_leaves_nothing_to_do():
    moves = [(n, OPEN, REMOVED) for n in range(1, 6)]
    card = decided_card(decided(moves, session_state=SessionState.skipped), READER)
    assert body_of(card) == (
        "blog-writer (prod) Skipped: nothing more is deployed. What stays true comes back in 7 days, "
        "or sooner when it gets 1.5 times worse."
    )


def test_snoozing_decides_nothing():
    card = decided_card(decided([]), READER, snoozed_until=NOW + timedelta(hours=2))
    assert "Snoozed until 08:00 UTC; nothing was decided." in body_of(card)
    tomorrow = decided_card(decided([]), READER, snoozed_until=NOW + timedelta(days=1))
    assert "Snoozed until 2026-02-27 06:00 UTC" in body_of(tomorrow)


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_one_sentence_with_a_reply_that_works(refusal: Refusal):
    card = refused_card(refused(refusal), READER)
    assert len(card.blocks) == 1
    told = body_of(card).removeprefix("blog-writer (prod) ")
    assert told.endswith(".")
    assert "nothing" in told
    assert told.count(".") == 1
    assert card.choices


def test_the_second_person_is_told_who_decided_when_and_in_which_words():
    first = decided_by([row(kind="run"), row(**DECISION)], str(uuid(100)))
    told = body_of(refused_card(refused(Refusal.decided), READER, first))
    assert told == (
        'blog-writer (prod) Dana (slack) approved 3, removed 4 ("remove 4, deploy") 2 min ago, '
        "so nothing more was done."
    )
    same_person = Reader(NOW, "slack:U012AB3CD")
    assert "You approved 3" in body_of(refused_card(refused(Refusal.decided), same_person, first))
    assert decided_by([row(**DECISION)], str(uuid(7))) is None


def test_a_stale_item_is_named():
    left = LeftOut(item=uuid(3), n=3, reason="changed", stale=True)
    told = body_of(refused_card(refused(Refusal.stale, plan=plan(left_out=(left,))), READER))
    assert "The prompt changed since you saw item 3, so nothing was done" in told


def test_a_deployment_is_told_with_the_word_that_takes_it_back():
    card = deployed_card("blog-writer", "prod", [deployment()], READER, session())
    assert as_text(card) == (
        "blog-writer (prod)\n"
        "Live: master_system_core v2 (was v1), item 3.\n"
        'Take it back with "rollback".\n'
        "\n"
        'Reply: "rollback" | "status"'
    )


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            deployment(DeploymentState.failed, reason="the label was moved elsewhere"),
            "Not live: master_system_core, item 3; v1 stays. The label was moved elsewhere.",
        ),
        (
            deployment(DeploymentState.halted),
            "Halted before it went live: master_system_core, item 3; v1 stays.",
        ),
        (
            deployment(DeploymentState.rolled_back, ended_at=NOW),
            "Taken back: master_system_core runs v1 again; v2 was live for 2 h, item 3.",
        ),
        (
            deployment(DeploymentState.rolled_back, follow="latest", live_at=None),
            "runs the text of v1 again; v2 was live, item 3.",
        ),
        (deployment(rollback={"actor": "x"}), "Being taken back: master_system_core v2, item 3."),
        (
            deployment(DeploymentState.publishing),
            "Under way: master_system_core, a new version after v1, item 3.",
        ),
    ],
)
def test_every_end_of_a_deployment_is_told(made: Any, told: str):
    card = deployed_card("blog-writer", "prod", [made], READER, session())
    assert told in body_of(card)
    assert "rollback" not in card.choices


def test_the_status_names_what_waits_what_is_live_and_what_it_did():
    waiting = session(snoozed_until=NOW + timedelta(hours=2))
    live = deployment(seen_at=NOW, verdict=verdict(Outcome.not_enough_data, sessions_after=12))
    assert as_text(status_card("blog-writer", "prod", waiting, [live], READER)) == (
        "blog-writer (prod): status\n"
        "Waiting for a decision since 2026-02-26: 3 and 4; 3 days left.\n"
        "For you to do: 1, 2 and 5.\n"
        "Snoozed until 08:00 UTC.\n"
        "master_system_core v2: live for 2 h, seen in traffic: not enough\n"
        "data yet (12 sessions under v2).\n"
        "\n"
        'Reply: "deploy all" | "remove 3, deploy" | "show 3" | "rollback"'
    )


def test_the_status_without_anything():
    card = status_card("blog-writer", "prod", None, [], READER)
    assert body_of(card) == (
        "blog-writer (prod): status Nothing waits for a decision. Nothing that I deployed is live."
    )


def test_an_expired_session_does_not_wait():
    late = Reader(NOW + timedelta(days=4))
    assert "Nothing waits for a decision." in body_of(status_card("b", "prod", session(), [], late))


def test_the_history_has_who_when_and_what_newest_first():
    rows = [
        row(NOW - timedelta(seconds=5), kind="rollback", actor="console:erik", channel="console",
            deployments=[{"prompt": "master_system_core", "version": 2}]),
        row(NOW - timedelta(minutes=1), kind="deployment", to="live", step="move_label",
            prompt="master_system_core", base_version=1, new_version=2, reason=None),
        row(kind="refused", actor="console:eve", reason="not_allowed"),
        row(**DECISION),
        row(NOW - timedelta(days=1, hours=1), kind="expired"),
        row(NOW - timedelta(days=30), kind="decision", actor="console:erik", channel="console", words="skip",
            session_state="skipped", items=[]),
    ]  # fmt: skip
    assert as_text(history_card("blog-writer", "prod", rows, READER)) == (
        "blog-writer (prod): history\n"
        "just now: you asked to take back master_system_core v2\n"
        "1 min ago: master_system_core v2 went live (was v1)\n"
        "2 min ago: dana (slack) approved 3, removed 4 (\"remove 4,\n"
        'deploy")\n'
        "1 day ago: the items expired without a decision\n"
        'on 2026-01-27: you skipped the session ("skip")\n'
        "\n"
        'Reply: "status"'
    )  # fmt: skip


def test_the_history_calls_a_snooze_by_its_name():
    snoozed = row(**DECISION | {"items": [], "session_state": "pending", "words": "snooze 2h"})
    assert 'dana (slack) snoozed it ("snooze 2h")' in body_of(history_card("b", "prod", [snoozed], READER))


def test_the_history_is_bounded_and_an_empty_one_says_so():
    assert "Older ones are left out here" in as_text(history_card("b", "prod", [row(**DECISION)] * 40, READER))
    assert "Nothing was decided yet." in as_text(history_card("b", "prod", [], READER))


def every_card(told: Session) -> list[Card]:
    empty = decided([(4, OPEN, REMOVED)], session=told)
    live = deployment()
    return [
        session_card(told, READER),
        nothing_pending_card("blog-writer", "prod"),
        *(show_card(told, one, READER, TEXTS) for one in told.items),
        *(explain_card(told, one, READER) for one in told.items),
        decided_card(empty, READER),
        *(refused_card(refused(refusal, session=told), READER) for refusal in Refusal),
        deployed_card("blog-writer", "prod", [live], READER, told),
        status_card("blog-writer", "prod", told, [live], READER),
        status_card("blog-writer", "prod", None, [], READER),
        page(session_card(session(items=tuple(item(n) for n in range(1, 50))), READER)),
    ]


@pytest.mark.parametrize(
    "states",
    [{}, {3: REMOVED}, {3: REMOVED, 4: REMOVED}, {1: ItemState.done, 2: ItemState.done, 5: ItemState.done}],
)
def test_every_reply_that_is_offered_is_understood(states: dict[int, ItemState]):
    told = with_states(states)
    pending = [
        PendingItem(one.n, one.type.value, one.state is REMOVED) for one in told.items if one.state in (OPEN, REMOVED)
    ]
    for card in every_card(told):
        for choice in card.choices:
            assert isinstance(parse(choice, pending), Understood), (choice, as_text(card))


def test_a_question_keeps_its_lines_and_its_choices():
    card = question_card("blog-writer", "prod", "Which one?\nI read two.", ("deploy 3", "show 3"))
    assert as_text(card) == ('blog-writer (prod)\nWhich one?\nI read two.\n\nReply: "deploy 3" | "show 3"')


def test_the_history_tells_what_could_not_be_taken_back_and_what_came_with_an_import():
    rows = [
        row(kind="deployment", to=None, step="roll_back", phase="failed", prompt="core", base_version=1,
            new_version=2, reason="the label moved elsewhere"),
        row(kind="prompt_imported", prompt="core", version=3),
    ]  # fmt: skip
    told = as_text(history_card("blog-writer", "prod", rows, READER))
    assert "core could not be taken back from v2: the label moved" in told
    assert "core v3 came with an import" in told
