"""What a published version says of itself, and what is read out of that again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.deploy.described import (
    COMMIT_CHARACTERS_MAX,
    METADATA_CHARACTERS_MAX,
    commit_message,
    deployment_in,
    going_back,
    metadata,
    provenance_in,
)
from optimizer.records.deployment import Approval, Deployment, Provenance, ProvenItem
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.states import DeploymentState
from tests.builders import NOON

DANA = Approval(person="dana", actor="console:dana", words="deploy all, my key is sk-1234567890abcdef", at=NOON)
RUI = Approval(person="rui", actor="whatsapp:+33612345678", words="ok", at=NOON)
RATE = Fact(id="F1", name="tool.error_rate", labels={"tool": "write_article"}, value=0.31, n=29, samples=("s-1",))
SIGNATURE = Fact(
    id="F2", name="tool.error_signature", labels={"tool": "write_article", "signature": "Error: no"}, value=9, n=9
)


def proven(n: int = 3, title: str = "write_article fails in 9 of 240 sessions", **values: Any) -> ProvenItem:
    fields = {"id": uuid4(), "n": n, "title": title, "goal": "accuracy", "key": "k", "facts": (RATE, SIGNATURE)}
    return ProvenItem.model_validate({**fields, "edits": (Edit(prompt="core", find="a", replace="b"),), **values})


def deployment(*items: ProvenItem, approvals: tuple[Approval, ...] = (DANA,), **values: Any) -> Deployment:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "agent": "blog-writer",
        "session_id": uuid4(),
        "batch_id": uuid4(),
        "ordinal": 0,
        "prompt": "core",
        "label": "prod",
        "follow": "label",
        "state": DeploymentState.publishing,
        "revision": 1,
        "items": tuple(item.id for item in items),
        "actor": "console:dana",
        "base_version": 4,
        "base_sha256": "b" * 64,
        "text": "new",
        "sha256": "a" * 64,
        "provenance": Provenance(items=items, approvals=approvals),
        "planned_at": NOON,
        "steps": (),
    }
    absent = ("new_version", "reason", "live_at", "seen_at", "ended_at", "verdict", "rollback", "worker", "lease_until")
    return Deployment(**{**dict.fromkeys(absent), **fields, **values})


def test_the_commit_message_says_what_and_who() -> None:
    assert commit_message(deployment(proven())) == "Ratchet: write_article fails in 9 of 240 sessions (dana)"
    two = deployment(proven(title="Playbooks text stands twice in master_system_core (~665 tokens/turn)"), proven(4))
    assert commit_message(two) == "Ratchet: Playbooks text stands twice in master_system_co…; 1 more (dana)"
    both = deployment(proven(title="Retry"), approvals=(DANA, RUI))
    assert commit_message(both) == "Ratchet: Retry (dana + 1)"


def test_what_takes_something_back_says_so() -> None:
    item = proven(title="Retry")
    assert (
        commit_message(deployment(item, kind="without", items=(), undone=(item.id,))) == "Ratchet: without Retry (dana)"
    )
    unknown = deployment(kind="without", items=(), undone=(uuid4(), uuid4()))
    assert commit_message(unknown) == "Ratchet: without 2 items (dana)"
    assert commit_message(deployment(kind="to_version", target_version=7)) == "Ratchet: back to version 7 (dana)"
    message, said = going_back(deployment(item), {"actor": "console:rui", "reason": "taken back"})
    assert message == "Ratchet: back to the text of version 4 (rui)"
    assert (said["to_version"], said["sha256"], said["by"]) == (4, "b" * 64, {"person": "rui", "channel": "console"})
    assert going_back(deployment(item), {})[0].endswith("(ratchet)")


def test_a_deployment_of_which_nothing_was_written_down_is_counted() -> None:
    bare = deployment(items=(uuid4(), uuid4()), approvals=())
    assert commit_message(bare) == "Ratchet: 2 items (dana)"
    assert [set(item) for item in metadata(bare, base_version=4, audit_head="h")["items"]] == [{"id"}, {"id"}]


def test_the_metadata_names_all_that_leads_back() -> None:
    one = deployment(proven(confirmed=("address",)), approvals=(DANA, RUI))
    said = metadata(one, base_version=5, audit_head="f" * 64)
    assert said["deployment_id"] == str(one.id)
    assert (said["sha256"], said["base_version"], said["audit_head"]) == ("a" * 64, 5, "f" * 64)
    assert said["session_id"] == str(one.session_id)
    (item,) = said["items"]
    assert (item["n"], item["title"], item["confirmed"]) == (3, one.provenance.items[0].title, ["address"])
    assert item["facts"] == [
        {"id": "F1", "name": "tool.error_rate", "labels": {"tool": "write_article"}, "value": 0.31, "n": 29}
    ]
    assert [(by["person"], by["channel"]) for by in said["approvals"]] == [("dana", "console"), ("rui", "whatsapp")]


def test_nothing_that_was_said_in_chats_or_traces_is_published() -> None:
    told = json.dumps(metadata(deployment(proven(), approvals=(DANA, RUI)), base_version=4, audit_head=""))
    for secret in ("sk-1234", "deploy all", "Error: no", "s-1", "+336"):
        assert secret not in told


def test_of_someone_without_a_name_the_number_is_not_told() -> None:
    nameless = Approval(person=RUI.actor, actor=RUI.actor, words="", at=NOON)
    one = deployment(proven(title="Retry"), approvals=(nameless,), actor=RUI.actor)
    assert commit_message(one) == "Ratchet: Retry (+..78)"
    assert "612345" not in json.dumps(metadata(one, base_version=4, audit_head=""))
    assert "612345" not in json.dumps(going_back(one, {"actor": RUI.actor}))


def test_what_is_read_again_is_what_was_written_without_words_and_edits() -> None:
    one = deployment(proven(confirmed=("tainted",)), proven(4, "Retry"), approvals=(DANA, RUI))
    said = json.loads(json.dumps(metadata(one, base_version=4, audit_head="")))
    assert deployment_in(said) == one.id
    found = provenance_in(said)
    assert found is not None
    assert found.session_id == one.session_id
    assert [(item.id, item.n, item.title, item.confirmed) for item in found.items] == [
        (item.id, item.n, item.title, item.confirmed) for item in one.provenance.items
    ]
    assert [(by.person, by.at) for by in found.approvals] == [("dana", NOON), ("rui", NOON)]
    assert not any(item.edits for item in found.items)
    assert not any(by.words for by in found.approvals)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"deployment_id": 7, "items": "all", "approvals": None},
        {"deployment_id": "not one", "items": ["a", {"id": "b"}, 3], "approvals": [4]},
        {"items": [{"title": "x"}]},
        {"approvals": [{"person": "dana", "at": "yesterday"}]},
    ],
)
def test_metadata_of_others_is_not_believed(said: dict[str, Any]) -> None:
    assert deployment_in(said) is None
    found = provenance_in(said)
    assert found is None or not (found.items or found.approvals)


_words = st.text(max_size=400)
_approvals = st.builds(
    Approval,
    person=_words,
    actor=_words,
    words=_words,
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
_facts = st.builds(
    Fact,
    id=st.just("F1"),
    name=_words,
    labels=st.dictionaries(st.sampled_from(["tool", "prompt", "model"]), _words),
    value=st.floats(allow_nan=False, allow_infinity=False),
    n=st.none() | st.integers(),
)


@given(
    items=st.lists(st.tuples(_words, st.lists(_facts, max_size=8)), max_size=30),
    approvals=st.lists(_approvals, max_size=20),
    kind=st.sampled_from(["change", "without", "to_version"]),
)
def test_whatever_names_hold_limits_are_kept_and_the_anchors_stay(
    items: list[tuple[str, list[Fact]]], approvals: list[Approval], kind: str
) -> None:
    own = [proven(n, title, facts=tuple(facts)) for n, (title, facts) in enumerate(items, 1)]
    ids: tuple[UUID, ...] = tuple(item.id for item in own)
    one = deployment(*own, approvals=tuple(approvals), kind=kind, target_version=2, undone=ids[:2])
    message = commit_message(one)
    assert message.startswith("Ratchet: ")
    assert len(message) <= COMMIT_CHARACTERS_MAX
    assert message.isprintable()
    said = metadata(one, base_version=4, audit_head="f" * 64)
    assert len(json.dumps(said)) <= METADATA_CHARACTERS_MAX
    assert (said["deployment_id"], said["sha256"], said["audit_head"]) == (str(one.id), one.sha256, "f" * 64)
    left_out = said.get("items_left_out", 0)
    assert len(said["items"]) + left_out == len(own)
