"""What is proposed where a part of the prompt may not be touched."""

from __future__ import annotations

from optimizer.prompts.edits import compose
from optimizer.prompts.protected import protection_problems
from optimizer.records.edits import Edit
from optimizer.records.findings import ItemType
from tests.builders import SYSTEM, rule_line
from tests.unit.propose.test_items import finding, prompt, proposed

OPEN, CLOSE = "<!-- ratchet:frozen -->", "<!-- /ratchet:frozen -->"
ADVICE = "When `book_room` answers with an error, read the error, correct the arguments and call it once more."
LINES = SYSTEM.splitlines(keepends=True)


def test_an_edit_of_a_frozen_section_is_left_to_a_person_with_the_reason() -> None:
    text = "".join([*LINES[:3], f"{OPEN}\n", *LINES[3:6], f"{CLOSE}\n", *LINES[6:]])
    inside, outside = proposed(
        finding("a", edits=[rule_line(4)]), finding("b", edits=[rule_line(8)]), prompts=[prompt(text)]
    ).items
    assert (inside["type"], inside["edits"]) == (ItemType.code_change.value, [])
    assert "It changes the frozen section in line 4" in inside["detail"]
    assert outside["type"] == ItemType.prompt_change.value


def test_advice_finds_a_place_outside_of_what_is_frozen() -> None:
    head = "# Booking\n\n- Call book_room with the dates.\n- Read them back.\n"
    text = f"{SYSTEM}\n{head}{OPEN}\n- Never take cash.\n{CLOSE}\n\n# Talk\n\n- Be kind.\n"
    (item,) = proposed(finding("a", advice=ADVICE, tool="book_room"), prompts=[prompt(text)]).items
    edits = [Edit.model_validate(edit) for edit in item["edits"]]
    assert edits
    new = compose(text, edits)
    assert ADVICE in new
    assert list(protection_problems(text, new, edits)) == []


def test_where_all_is_frozen_advice_is_for_a_person_to_follow() -> None:
    (item,) = proposed(finding("a", advice=ADVICE, tool="book_room"), prompts=[prompt(f"{OPEN}\n{SYSTEM}")]).items
    assert (item["type"], item["edits"]) == (ItemType.code_change.value, [])
