"""`ratchet freeze` and `ratchet unfreeze`: by whom, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.journey.cli.program import USER, Ratchet, line, lines


@pytest.fixture
def known(ratchet: Ratchet) -> Ratchet:
    now = datetime.now(UTC)
    ratchet.write("day.jsonl", lines(*(line(f"s{n}", now - timedelta(minutes=n)) for n in range(1, 9))))
    assert ratchet("import", "day.jsonl", "--agent", "x").code == 0
    return ratchet


def test_a_freeze_stands_until_an_approver_lifts_it(known: Ratchet) -> None:
    known.approve("x")
    frozen = known("freeze", "--agent", "x", "--reason", "demo\tat noon")
    assert (frozen.code, frozen.err) == (0, "")
    assert frozen.out.startswith("Frozen: nothing is deployed until ")
    assert 'says "unfreeze". Rollback stays possible.' in frozen.out
    again = known("freeze", "--agent", "x")
    assert again.code == 0
    assert again.out.startswith("That was frozen already. Deployments are frozen since ")
    assert "(demo at noon)" in again.out
    assert known("unfreeze", "--agent", "x").out == "Deployments are possible again.\n"
    assert known("unfreeze", "--agent", "x").out == "Nothing was frozen.\n"


def test_who_is_not_listed_does_neither(known: Ratchet) -> None:
    refused = known("freeze", "--agent", "x")
    assert (refused.code, refused.out) == (2, "")
    assert refused.sentence == (
        f"ratchet: 'console:{USER}' may not freeze the deployments of 'x'; ask one of its approvers."
    )
    known.approve("x")
    assert known("freeze", "--agent", "x").code == 0
    (known.folder / "ratchet.toml").unlink()
    assert (
        "may not lift the freeze of 'x'; ask one of its approvers, when" in known("unfreeze", "--agent", "x").sentence
    )


def test_an_agent_that_is_not_there_is_named(known: Ratchet) -> None:
    for command in ("freeze", "unfreeze"):
        assert "There is no agent 'y' (known: 'x')" in known(command, "--agent", "y").sentence
