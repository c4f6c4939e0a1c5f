from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.edits import compose, locate, occurrences, problems
from optimizer.prompts.sections import best_section, insert_rule
from optimizer.prompts.spans import Span

POLICY = """<policy>
# Airline policy

You help travellers.

## Book flight

- Ask for the user id.
- Ask for the trip type.

## Modify flight

- Ask for the reservation id.

## Tools

Call one tool at a time.
</policy>

<examples>
## Book flight
- book_reservation(user_id=1)
</examples>
"""


def inserted(text: str, keyword: str = "write_article") -> str:
    edit = insert_rule("core", text, "RULE", [keyword])
    assert occurrences(text, edit.find) == 1
    return compose(text, [edit])


@pytest.mark.parametrize(
    ("keyword", "title"),
    [
        ("book_reservation", "Book flight"),
        ("update_flights", "Modify flight"),
        ("bookFlight", "Book flight"),
        ("calculate", "Tools"),
        ("trip type", "Book flight"),
    ],
)
def test_a_rule_belongs_where_its_tool_is_spoken_of(keyword: str, title: str) -> None:
    section = best_section(POLICY, [keyword])
    assert section.title == title
    assert POLICY.index("</policy>") > section.end


def test_a_section_that_names_the_tool_wins_over_one_about_tools() -> None:
    text = "# Tools\nOne at a time.\n\n# Writing\nUse `write_article` for drafts.\n\n# Style\nShort.\n"
    assert best_section(text, ["write_article"]).title == "Writing"
    assert best_section(text, ["push_to_ghost"]).title == "Tools"


def test_without_any_evidence_the_rule_goes_to_the_end_of_the_text() -> None:
    assert inserted("Be kind.\n\nBe brief.") == "Be kind.\n\nBe brief.\n\n- RULE"
    assert inserted("# One\na\n\n# Two\nb\n") == "# One\na\n\n# Two\nb\n\n- RULE\n"


def test_one_common_word_of_a_tool_is_no_evidence() -> None:
    text = "# Policy\nBe kind.\n\n# Getting started\nx\n"
    assert best_section(text, ["get_details_by_id"]).title == "Policy"


def test_a_rule_does_not_come_between_an_introduction_and_its_list() -> None:
    text = "# Tools\nAlways:\n- a\n"
    taken = Span(text.index("- a"), text.index("- a") + 3)
    edit = insert_rule("core", text, "RULE", ["x"], clear_of=[taken])
    assert compose(text, [edit]) == text + "- RULE\n"


def test_a_section_of_placeholders_or_tickets_takes_no_rule() -> None:
    text = "# Start\nBe kind.\n\n# Playbooks\n{{PLAYBOOKS}}\n\n<ticket>\n{ticket}\n</ticket>"
    assert inserted(text).startswith("# Start\nBe kind.\n\n- RULE\n\n# Playbooks")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Tools\n- a\n- b\n\n# End\nx", "# Tools\n- a\n- b\n- RULE\n\n# End\nx"),
        ("# Tools\n\n* a\n\n* b\n\n# End\nx", "# Tools\n\n* a\n\n* b\n\n* RULE\n\n# End\nx"),
        ("# Tools\n1. a\n2. b\n# End\nx", "# Tools\n1. a\n2. b\n3. RULE\n# End\nx"),
        ("# Tools\n9) a\n10) b\n# End\nx", "# Tools\n9) a\n10) b\n11) RULE\n# End\nx"),
        ("# Tools\n- a\n  - deep\n# End\nx", "# Tools\n- a\n  - deep\n- RULE\n# End\nx"),
        ("# Tools\n  - a\n    more of a\n# End\nx", "# Tools\n  - a\n    more of a\n  - RULE\n# End\nx"),
        ("# Tools\nOnly prose.\n# End\nx", "# Tools\nOnly prose.\n\n- RULE\n# End\nx"),
        ("# Tools\n- a\n\nThen prose.\n", "# Tools\n- a\n\nThen prose.\n\n- RULE\n"),
        ("# Tools\n\n# End\nx", "# Tools\n\n- RULE\n\n# End\nx"),
        ("<rules>\n- a\n</rules>\n", "<rules>\n- a\n- RULE\n</rules>\n"),
        ("<rules>\n- a\n- b</rules>", "<rules>\n- a\n- b\n- RULE\n</rules>"),
        ("# Tools\r\n- a\r\n- b\r\n", "# Tools\r\n- a\r\n- b\r\n- RULE\r\n"),
        ("# Tools\n- use <b>bold</b>\n", "# Tools\n- use <b>bold</b>\n- RULE\n"),
        ("   \n", "- RULE   \n"),
    ],
)
def test_the_rule_is_written_in_the_style_of_the_place(text: str, expected: str) -> None:
    assert inserted(text) == expected


def test_headings_inside_a_code_fence_are_code() -> None:
    text = "# Tools\n- a\n```\n# Rules\n- x\n```\n- b\n"
    assert inserted(text) == text + "- RULE\n"


def test_a_rule_becomes_one_line() -> None:
    edit = insert_rule("core", "# Tools\n- a\n", "- first\n# Not a heading\n  second", ["x"])
    assert compose("# Tools\n- a\n", [edit]) == "# Tools\n- a\n- first # Not a heading second\n"


def test_rules_for_one_section_can_be_deployed_one_by_one() -> None:
    text = "# Tools\n- a\n- b\n- c\n"
    edits = [insert_rule("core", text, "FIRST", ["x"])]
    edits.append(insert_rule("core", text, "SECOND", ["x"], clear_of=[locate(text, edits[0])]))
    assert problems(text, edits) == ()
    assert compose(text, edits) == "# Tools\n- a\n- b\n- SECOND\n- c\n- FIRST\n"


def test_where_no_other_place_is_left_the_overlap_is_there_to_be_found() -> None:
    text = "Only line."
    edits = [insert_rule("core", text, "FIRST", ["x"])]
    edits.append(insert_rule("core", text, "SECOND", ["x"], clear_of=[locate(text, edits[0])]))
    assert [problem.kind for problem in problems(text, edits)] == ["overlap"]


LINES = [
    "# Tools",
    "## Book flight",
    "- item",
    "- item",
    "1. one",
    "  - deep",
    "prose",
    "",
    "<policy>",
    "</policy>",
    "```",
    "{{X}}",
]


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=30))
def test_any_prompt_gets_its_rule_and_keeps_everything_else(lines: list[str]) -> None:
    text = "\n".join(lines) or " "
    new = inserted(text, "book_reservation")
    assert new.count("RULE") == 1
    assert [line for line in new.split("\n") if line.strip() and "RULE" not in line] == [
        line for line in lines if line.strip()
    ]
