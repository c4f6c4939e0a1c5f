"""What a person is told before and after something is taken back: each kind, in each state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bot.cards.card import Note
from bot.cards.deployments import deployed_card, deployment_line, standing_line, taken_back_words
from bot.cards.layout import as_text
from bot.cards.notices import notice_card
from bot.cards.ways_back import no_way_card, way_back_card
from optimizer.deploy.ways_back import Leg, NoWay, WayBack
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, PromptRef, PromptVersion
from optimizer.records.states import DeploymentState
from optimizer.stores.audit import Notice
from tests.unit.cards.samples import NOW, READER

ITEM = UUID(int=3)
LONG = "".join(f"Line {number} of the prompt says one thing.\n" for number in range(200))


def way_back(kind: str, state: DeploymentState, **changes: Any) -> Deployment:
    values: dict[str, Any] = {
        "id": uuid4(), "agent": "x", "session_id": None, "batch_id": uuid4(), "ordinal": 0, "prompt": "core",
        "label": "prod", "follow": "label", "state": state, "revision": 1, "items": (), "actor": "console:erik",
        "base_version": 4, "base_sha256": "b", "text": "t", "sha256": "s",
        "new_version": 1 if kind == "to_version" else 5, "reason": "dana went back to version 1",
        "planned_at": NOW, "live_at": NOW - timedelta(hours=2), "seen_at": None, "ended_at": NOW, "verdict": None,
        "rollback": None, "worker": None, "lease_until": None, "steps": (), "kind": kind,
        "target_version": 1 if kind == "to_version" else None, "undone": (ITEM,),
    }  # fmt: skip
    return Deployment(**{**values, **changes})


@pytest.mark.parametrize(
    ("kind", "state", "changes", "words"),
    [
        ("to_version", DeploymentState.live, {}, "Taken back: core runs v1 again (was v4), item 3 taken out."),
        (
            "to_version",
            DeploymentState.live,
            {"new_version": 5, "undone": ()},
            "Taken back: core runs the text of v1 (as v5) again (was v4).",
        ),
        ("without", DeploymentState.seen, {}, "Taken back: core v5 is live without item 3 (was v4)."),
        ("without", DeploymentState.planned, {}, "Under way: core, a new version after v4 without item 3."),
        ("to_version", DeploymentState.verifying, {}, "Under way: core back to v1, from v4."),
        (
            "without",
            DeploymentState.failed,
            {"reason": "it changed"},
            "Not taken back: core v4 stays. It changed.",
        ),
        ("without", DeploymentState.halted, {}, "Halted before anything was taken back: core v4 stays."),
        ("without", DeploymentState.rolled_back, {}, "Brought back: core runs v4 again; v5 was live for 2 h."),
        (
            "without",
            DeploymentState.live,
            {"rollback": {"actor": "x"}},
            "Being taken back: core v5, so that v4 runs again.",
        ),
        (
            "change",
            DeploymentState.rolled_back,
            {"rollback": {"by": "another"}},
            "Over: core v5 was live for 2 h; dana went back to version 1.",
        ),
    ],
)
def test_a_way_back_is_told_in_each_state(
    kind: str, state: DeploymentState, changes: dict[str, Any], words: str
) -> None:
    assert deployment_line(way_back(kind, state, **changes), READER, {ITEM: 3}).text == words


def test_a_way_back_is_not_offered_to_be_taken_back_with_one_word() -> None:
    card = deployed_card("x", "prod", [way_back("without", DeploymentState.live)], READER)
    assert "rollback" not in card.choices
    assert not any(isinstance(block, Note) for block in card.blocks)


def test_the_status_says_how_a_version_came_to_run() -> None:
    assert standing_line(way_back("to_version", DeploymentState.live), READER).text.startswith("core v1, gone back to:")
    assert "v5, without what was taken back:" in standing_line(way_back("without", DeploymentState.live), READER).text


@pytest.mark.parametrize(
    ("kind", "state", "changes", "words"),
    [
        ("change", DeploymentState.rolled_back, {}, "core is back on version 4 (was 5)."),
        ("change", DeploymentState.live, {}, ""),
        ("to_version", DeploymentState.live, {}, "core is back on version 1 (was 4)."),
        (
            "to_version",
            DeploymentState.live,
            {"new_version": 5},
            "core is back on the text of version 1, as 5 (was 4).",
        ),
        ("without", DeploymentState.live, {}, "core runs version 5 without it (was 4)."),
        ("without", DeploymentState.rolled_back, {}, "core is back on version 4 (was 5)."),
        ("without", DeploymentState.failed, {}, ""),
    ],
)
def test_the_command_line_says_what_runs(
    kind: str, state: DeploymentState, changes: dict[str, Any], words: str
) -> None:
    assert taken_back_words(way_back(kind, state, **changes)) == words


def body(kind: str, new_version: int) -> dict[str, Any]:
    return {
        "prompt": "core", "base_version": 4, "new_version": new_version, "reason": "it changed.",
        "kind_of_deployment": kind, "target_version": 1, "items": [3], "undone": [str(ITEM)], "passes": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "kind", "new_version", "words"),
    [
        ("live", "to_version", 1, "core went back to v1 (was v4), just now."),
        ("live", "to_version", 5, "core went back to the text of v1 as v5 (was v4), just now."),
        ("live", "without", 5, "core v5 went live without item 3 (was v4), just now."),
        ("failed", "without", 5, "core was not taken back, v4 stays: it changed, just now."),
        ("rolled_back", "to_version", 1, "core was brought back to v4, from v1, just now."),
    ],
)
def test_others_are_told_of_it(event: str, kind: str, new_version: int, words: str) -> None:
    notice = Notice(1, f"deployment_{event}", None, "console:sam", body(kind, new_version), NOW)
    card = notice_card(notice, "x", "prod", READER)
    assert words in " ".join(as_text(card).split())
    assert "rollback" not in card.choices


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"kind": "to_version", "version": 4, "target_version": 1}, "Sam (console) took back core from v4 to v1"),
        ({"kind": "without", "version": 4, "items": [3]}, "Sam (console) took back item 3 of core v4"),
    ],
)
def test_others_are_told_who_decided_it(named: dict[str, Any], words: str) -> None:
    deployments = {"deployments": [{"prompt": "core", **named}]}
    notice = Notice(1, "rollback_decided", None, "console:sam", deployments, NOW)
    assert words in as_text(notice_card(notice, "x", "prod", READER))


def held(version: int, text: str) -> PromptVersion:
    return PromptVersion(prompt="core", version=version, text=text, sha256=sha256_of(text))


def test_a_long_difference_is_told_by_its_beginning() -> None:
    leg = Leg("to_version", "core", PromptRef(), held(4, LONG), LONG.replace("thing", "word"), (ITEM,), (), 1, True)
    told = as_text(way_back_card("x", "prod", WayBack((leg,)), [], {ITEM: 3}))
    assert "core goes from v4 back to v1. Item 3 leaves." in told
    assert "more lines change." in told
    assert "What stands beside the text (tools, model) goes back with it." in " ".join(told.split())
    assert len(told.splitlines()) < 80


def test_foreign_words_in_a_name_act_on_nothing() -> None:
    told = as_text(no_way_card("x", "prod", NoWay("\x1b[31mno\n\nway", "co\x1b[31mre", "now\x1b[31m", "then")))
    assert "\x1b" not in told
