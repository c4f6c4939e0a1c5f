"""What a person is told about others, and about what Ratchet did by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.cards.layout import as_text
from bot.cards.notices import notice_card
from bot.cards.words import Reader
from optimizer.records.verdict import Outcome
from optimizer.stores.audit import Notice
from tests.unit.cards.samples import NOW, READER, verdict

PROMPT = {"prompt": "master_system_core", "base_version": 1, "new_version": 2, "reason": None}


def told(kind: str, body: dict[str, Any], actor: str | None = "slack:U012AB3CD", reader: Reader = READER) -> str:
    notice = Notice(1, kind, None, actor, body, NOW - timedelta(minutes=2))
    return " ".join(as_text(notice_card(notice, "blog-writer", "prod", reader)).split())


def test_another_person_approved_an_item():
    said = told("decision", {"items": [{"n": 3, "to": "approved"}], "session_state": "decided"})
    assert said == 'blog-writer (prod) Dana (slack) approved 3, 2 min ago. Reply: "status"'


def test_the_person_itself_is_you():
    reader = Reader(NOW, "slack:U012AB3CD")
    assert "You approved 3, 2 min ago." in told("decision", {"items": [{"n": 3, "to": "approved"}]}, reader=reader)


def test_an_item_that_was_approved_and_left_out_is_told_by_its_last_state():
    body = {"items": [{"n": 3, "to": "approved"}, {"n": 3, "to": "failed"}, {"n": 4, "to": "removed"}]}
    assert "Dana (slack) approved, left out by the checks: 3, removed 4, 2 min ago." in told("decision", body)


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (
            "decision",
            {"session_state": "skipped", "items": []},
            "Dana (slack) skipped the session, 2 min ago.",
        ),
        ("rollback_decided", {"deployments": []}, "Dana (slack) took the last deployment back, 2 min ago."),
        ("deployment_halted", {}, "Dana (slack) halted what was not live yet, 2 min ago."),
        (
            "deployment_live",
            PROMPT,
            'Live: master_system_core v2 (was v1), 2 min ago. Take it back with "rollback".',
        ),
        (
            "deployment_failed",
            PROMPT | {"reason": "it was changed"},
            "master_system_core did not go live, v1 stays: it was changed, 2 min ago.",
        ),
        (
            "deployment_rolled_back",
            PROMPT,
            "Taken back: master_system_core runs v1 again, after v2, 2 min ago.",
        ),
        ("rollback_failed", PROMPT, "master_system_core v2 could not be taken back: no reason was recorded"),
        ("decision", {"session_state": None, "items": []}, "Dana (slack) snoozed it, 2 min ago."),
        ("session_pending", {}, "A new list waits for a decision, 2 min ago."),
        ("session_expired", {}, "The list expired without a decision, 2 min ago."),
        ("session_alarm", {}, "A run found something wrong with the traffic itself, 2 min ago."),
        ("a_later_kind", {}, "A later kind, 2 min ago."),
    ],
)
def test_every_notice_has_words(kind: str, body: dict[str, Any], words: str):
    assert words in told(kind, body)


def test_a_verdict_has_its_numbers():
    said = told("verdict", verdict(Outcome.worse).model_dump(mode="json"), None)
    assert "master_system_core v2 (deployed), worse: cost per session -14.2% (-17 to -11)" in said
