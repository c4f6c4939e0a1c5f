"""Text that others wrote cannot break a line, colour a terminal or turn the reading direction."""

from __future__ import annotations

import json
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.answers import decided_card, question_card
from bot.cards.card import Card
from bot.cards.deployments import deployed_card
from bot.cards.facts import fact_sentence
from bot.cards.history import history_card
from bot.cards.item import explain_card, show_card
from bot.cards.layout import as_text
from bot.cards.notices import notice_card
from bot.cards.session import session_card
from bot.cards.words import Reader
from optimizer.records.deployment import LeftOut
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.findings import Watching
from optimizer.records.states import DeploymentState, ItemState
from optimizer.stores.audit import Notice
from tests.unit.cards.samples import (
    NOW,
    READER,
    decided,
    deployment,
    header,
    item,
    plan,
    session,
    uuid,
    verdict,
)

EVIL = 'a\x1b[31mred\x1b[0m\r\nReply: "deploy all"\u202egnp.exe\u2066\u200b\x07\x00\ud800\u2028end\x9b2J'
FOREIGN = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x07\x00\r\n\t\x9b\x85\u2028\u2029\u202a\u202e\u2066\u2069\u200f\u200b\ufeff\ud800\U000e0041[]"),
    ),
    max_size=200,
)  # fmt: skip


def acted_on(text: str) -> list[str]:
    """The characters of a card's text that a terminal or a text layout would act on, beside its line ends."""
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    joiners = "\u200c\u200d"  # spell words of some languages; they move nothing
    return [char for char in text.replace("\n", "") if unicodedata.category(char) in bad and char not in joiners]


def cards_with(text: str) -> list[Card]:
    """Foreign text in every place where a record can hold it."""
    evil_item = item(
        3,
        title=text,
        detail=text,
        edits=(Edit(prompt=text, find=f"x{text}x", replace=f"x{text}y{text}"),),
        base_sha256={},
        facts=("F1",),
    )
    fact = Fact(
        id="F1",
        name=text,
        labels={"tool": text, text: text},
        value=1,
        n=2,
        samples=(text, "s2"),
    )
    storable = text.encode("utf-8", "replace").decode()  # a registry holds no lone surrogates
    told = session(
        agent=text,
        environment=text,
        header=header(span=text, alarms=(text,), verdicts=(verdict(prompt=text),)),
        watching=(Watching(key="k", text=text),),
        items=(evil_item, item(4)),
        facts=(fact,),
    )
    left = LeftOut(item=uuid(3), n=3, reason=text)
    failing = [(3, ItemState.open, ItemState.approved), (3, ItemState.approved, ItemState.failed)]
    reader = Reader(NOW, people={"slack:x": text})
    bodies: list[dict[str, Any]] = [
        {"kind": "decision", "actor": text, "channel": text, "words": text, "session_state": "skipped"},
        {"kind": "deployment", "to": "failed", "prompt": text, "reason": text},
        {"kind": "rollback", "actor": "slack:x", "deployments": [{"prompt": text, "version": 2}]},
    ]
    rows = [{"at": NOW, "body": json.dumps(body)} for body in bodies]
    notice = Notice(1, "deployment_failed", None, text, {"prompt": text, "reason": text, "base_version": 1}, NOW)
    unknown = Notice(2, f"unknown {text}", None, text, {}, NOW)
    return [
        session_card(told, reader),
        show_card(told, evil_item, reader, {text: f"x{storable}x"}),
        explain_card(told, evil_item, reader),
        decided_card(decided(failing, session=told, plan=plan(left_out=(left,))), reader),
        deployed_card(text, text, [deployment(DeploymentState.failed, prompt=text, reason=text)], reader, told),
        history_card(text, text, rows, reader),
        question_card(text, text, text, ()),
        notice_card(notice, text, text, reader),
        notice_card(unknown, text, text, reader),
    ]


@given(FOREIGN)
def test_no_card_holds_a_character_that_acts(text: str):
    for card in cards_with(text):
        assert acted_on(as_text(card)) == []


def test_an_escape_sequence_is_shown_and_not_carried_out():
    edit = Edit(prompt="p", find="Be kind.", replace="Be \x1b[31mkind.\r\u202eNow.")
    text = as_text(show_card(session(), item(3, edits=(edit,), base_sha256={}), READER, {}))
    assert r"{+\x1b[31mkind.\r\u202eNow.+}" in text


def test_a_title_stays_one_line_and_cannot_fake_the_replies():
    text = as_text(session_card(session(items=(item(3, title=EVIL),)), READER))
    assert [line for line in text.splitlines() if line.startswith("Reply:")] == [
        'Reply: "deploy 3" | "show 3" | "skip"'
    ]
    assert len([line for line in text.splitlines() if line.startswith("[3]")]) == 1


@pytest.mark.parametrize("field", ["title", "detail"])
def test_endless_text_is_bounded(field: str):
    long = item(3, **{field: "word " * 100_000})
    for card in (
        session_card(session(items=(long,)), READER),
        explain_card(session(items=(long,)), long, READER),
    ):
        assert len(as_text(card)) < 3_000


def test_a_fact_with_an_endless_name_is_bounded():
    fact = Fact(id="F1", name="x" * 10_000, labels={"y" * 10_000: "z" * 10_000}, value=1, n=1)
    assert len(fact_sentence(fact)) < 300


def test_a_person_without_a_name_is_someone():
    nameless = Notice(1, "decision", None, "\u200b", {"items": []}, NOW - timedelta(minutes=2))
    assert "Someone snoozed it, 2 min ago." in as_text(notice_card(nameless, "b", "prod", READER))
