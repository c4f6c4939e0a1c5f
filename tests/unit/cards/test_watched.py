"""What is told after a deployment, in words; foreign names stay names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.cards.layout import as_text
from bot.cards.notices import notice_card
from bot.cards.status import status_card
from optimizer.clock import iso
from optimizer.records.states import DeploymentState
from optimizer.records.watched import Sighting
from optimizer.stores.audit import Notice
from tests.unit.cards.samples import NOW, READER, deployment, uuid

CHANGED = {"changed_at": iso(NOW - timedelta(hours=2)), "seen_at": iso(NOW - timedelta(minutes=116))}
BODY = {
    "prompt": "core",
    "follow": "label",
    "label": "prod",
    "base_version": 1,
    "new_version": 2,
    "back": False,
    **CHANGED,
}


def told(kind: str, **changes: Any) -> str:
    notice = Notice(1, kind, None, None, BODY | changes, NOW - timedelta(minutes=2))
    return " ".join(as_text(notice_card(notice, "blog-writer", "prod", READER)).split())


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("deployment_seen", {}, "Seen in traffic: core v2, 4 min after it went live, 2 min ago."),
        ("rollback_seen", {"back": True}, "Seen in traffic: core runs v1 again, 4 min after v2 was taken back, 2 min"),
        ("rollback_seen", {"follow": "latest"}, "core runs the text of v1 again, 4 min after v2 was taken back"),
        (
            "still_old",
            {"old": 14, "new": 0},
            "Still on the old version of core: 14 sessions since v2 went live ran an older one, and none ran v2, "
            "2 min ago. Restart the agent, or make it read core again;",
        ),
        ("still_old", {"old": 290, "new": 3, "newest_only": True}, "at least 290 sessions since v2 went live ran an"),
        ("still_old", {"old": 290, "new": 3}, "ran an older one, and 3 ran v2"),
        (
            "still_old",
            {"back": True, "old": 12, "new": 0},
            "Still on core v2: 12 sessions since it was taken back ran it, and none ran the version before, 2 min ago.",
        ),
        ("still_old", {"back": True, "old": 30, "new": 1}, "and 1 ran the version before"),
        (
            "label_moved",
            {"version": 5, "moved_at": iso(NOW)},
            'where v2 was live, 2 min ago. What core v2 did is measured up to then, and "rollback" does not',
        ),
        ("label_moved", {"version": 5}, "Somebody put prod of core on v5, where v2 was live, 2 min ago."),
        ("label_moved", {"version": 1, "is_base": True}, "Somebody put prod of core back on v1, where v2 was live"),
        (
            "label_moved",
            {"version": 3, "of_deployment": "failed"},
            "put prod of core on v3 (a deployment published it, and failed), where v2 was live",
        ),
        ("label_moved", {"version": None}, "Somebody took away the label prod of core, where v2 was live"),
        (
            "label_moved",
            {"version": 5, "label": None},
            "Somebody published core v5, where v2 was live, and the agent loads the newest version, 2 min ago.",
        ),
        (
            "reload_failed",
            {"reason": "it answered 500", "tries": 3},
            "The agent was not told to read core again after v2 went live: it answered 500 (3 tries), 2 min ago. It "
            "runs the new text once it reads core again; restart it to be sure.",
        ),
        ("reload_failed", {"reason": "no", "tries": 1, "back": True}, "again after v2 was taken back: no (1 try)"),
    ],
)
def test_each_notice_says_what_happened_and_what_helps(kind: str, changes: dict[str, Any], words: str) -> None:
    assert words in told(kind, **changes)


@pytest.mark.parametrize("kind", ["deployment_seen", "still_old", "label_moved", "reload_failed"])
def test_names_that_others_gave_break_no_line(kind: str) -> None:
    said = told(kind, prompt="core\n\u202egnp.exe\u200b", label="prod\x1b[31m", version=2, reason="no\nnews")
    assert not {"\u202e", "\u200b", "\x1b"} & set(said)


def sighting(what: Any, value: str = "5", **body: Any) -> Sighting:
    return Sighting(deployment_id=uuid(200), what=what, value=value, body=BODY | body, at=NOW)


def status(one: Any, *sightings: Sighting) -> str:
    return " ".join(as_text(status_card("blog-writer", "prod", None, [one], READER, sightings)).split())


def test_the_status_says_what_still_holds() -> None:
    late, moved = sighting("still_old", old=14, new=0), sighting("place", version=5)
    said = status(deployment(), late, moved)
    assert "Still on the old version of master" not in said  # the words are those of the notice
    assert "Still on the old version of core: 14 sessions" in said
    assert "Somebody put prod of core on v5" in said
    assert "Somebody" not in status(deployment(), sighting("place", ""))  # it is back where it was put
    assert "Still on" not in status(deployment(seen_at=NOW), late)


def test_the_status_follows_a_deployment_that_was_taken_back_until_that_was_seen() -> None:
    back = deployment(DeploymentState.rolled_back, ended_at=NOW)
    late = sighting("back_still_old", old=12, new=0, back=True)
    assert "Still on core v2: 12 sessions" in status(back, late)
    assert "Still on" not in status(back, late, sighting("back_seen"))
    assert "Somebody" not in status(back, sighting("place", version=5))


def test_the_status_lists_what_a_lost_answer_left_in_the_registry() -> None:
    said = status(deployment(), sighting("left_behind", "3, 4"))
    assert "Left in the registry by a deployment, without a label: master_system_core v3, v4." in said
