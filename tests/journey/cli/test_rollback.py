"""`ratchet rollback`, as it is typed: to a version, without an item, and what it would do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.journey.cli.program import Ratchet, line, lines


def block(verb: str) -> str:
    return "".join(
        f"- {verb} {word} before you answer, and say in one short sentence what came of it.\n"
        for word in ("stay", "room", "guest", "price", "house", "night")
    )


ONE, OTHER = block("Look up the"), block("Never speak of the")
TWICE = f"# Desk\n\n{ONE}\n## Second\n\n{OTHER}\n## Third\n\n{ONE}\n## Fourth\n\n{OTHER}\n## End\n\nBe kind.\n"


@pytest.fixture
def live(ratchet: Ratchet) -> Ratchet:
    """Two items of one prompt live, as version 2."""
    now = datetime.now(UTC)
    ratchet.approve("x")
    ratchet.write("day.jsonl", lines(*(line(f"s{n}", now - timedelta(minutes=n)) for n in range(1, 60))))
    ratchet.write("main.md", TWICE)
    assert ratchet("import", "day.jsonl", "--agent", "x", "--prompt", "main=main.md").code == 0
    assert ratchet("optimize", "--agent", "x").code == 0
    deployed = ratchet.process("chat", "--agent", "x", replies="deploy all\n")
    assert "Live: main v2 (was v1), items 1 and 2." in deployed.out
    return ratchet


def test_what_it_would_do_is_printed_and_not_done(live: Ratchet) -> None:
    for options in ([], ["--to", "1"], ["--item", "1"]):
        said = live("rollback", "--agent", "x", "--dry-run", *options)
        assert (said.code, said.err) == (0, "")
        assert "{+" in said.out  # the text that would be back
        assert max(map(len, said.out.splitlines())) <= 80
    assert live("rollback", "--agent", "x").out == "main is back on version 1 (was 2).\n"


def test_one_item_goes_and_the_rest_stays(live: Ratchet) -> None:
    said = live("rollback", "--agent", "x", "--item", "1")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("main runs version 3 without it (was 2).\n")
    again = live("rollback", "--agent", "x", "--item", "1")
    assert (again.code, again.sentence) == (1, "ratchet: That is not live.")
    assert live("rollback", "--agent", "x", "--item", "9").sentence.startswith("ratchet: No item 9 is in what was")


def test_more_than_the_last_deployment_needs_a_word(live: Ratchet) -> None:
    live("rollback", "--agent", "x", "--item", "1")
    refused = live.process("rollback", "--agent", "x", "--to", "1", replies="no\n")
    assert refused.code == 2
    assert "main goes from v3 back to v1, and v2 and v3 are over. Item 2 leaves." in " ".join(refused.out.split())
    assert 'Nothing was done: that was not "yes".' in refused.sentence
    agreed = live.process("rollback", "--agent", "x", "--to", "1", replies="yes\n")
    assert (agreed.code, agreed.err) == (0, "")
    assert agreed.out.endswith("main is back on version 1 (was 3).\n")
    returned = live("rollback", "--agent", "x", "--yes")
    assert (returned.code, returned.err) == (0, "")
    assert returned.out.endswith("main is back on version 3 (was 1).\n")


def test_what_is_no_way_back_is_one_sentence(live: Ratchet) -> None:
    said = live("rollback", "--agent", "x", "--to", "7")
    assert (said.code, said.sentence) == (1, "ratchet: 'main' has no version 7; it runs v2.")
    said = live("rollback", "--agent", "x", "--to", "2")
    assert (said.code, said.sentence) == (1, "ratchet: v2 of 'main' has the very text that runs now (v2).")
    said = live("rollback", "--agent", "x", "--to", "1", "--prompt", "mian")
    assert (said.code, said.sentence) == (1, "ratchet: 'x' has no prompt 'mian'; it has 'main'.")
    assert live("rollback", "--agent", "x", "--to", "1", "--item", "1").code == 2
    (live.folder / "ratchet.toml").unlink()
    said = live("rollback", "--agent", "x", "--to", "1")
    assert said.code == 2
    assert "may not take back deployments of 'x'; ask one of its approvers." in said.sentence


def test_a_question_of_one_terminal_is_not_answered_in_another(live: Ratchet) -> None:
    assert "Take it back?" in live.process("chat", "--agent", "x", replies="undo\n").out
    assert "A yes alone deploys nothing." in live.process("chat", "--agent", "x", replies="yes\n").out
    assert "Taken back" in live.process("chat", "--agent", "x", replies="undo\nyes\n").out
