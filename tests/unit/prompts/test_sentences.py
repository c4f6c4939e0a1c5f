from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.sentences import sentences
from tests.builders import SYSTEM


def pieces(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\n", [" \n\n"]),
        ("Be kind. Never guess.", ["Be kind. ", "Never guess."]),
        ("Be kind.\n\nNever guess.\n", ["Be kind.\n\n", "Never guess.\n"]),
        ("\n\n# Title\n  - one\n", ["\n\n# Title\n", "  - one\n"]),
        ("1. Read it twice. 2. Answer.", ["1. Read it twice. ", "2. Answer."]),
        ("Tools, e.g. search, are slow.", ["Tools, e.g. search, are slow."]),
        (
            'Say "no." Then stop! Why? (Because.) `x` *y*',
            ['Say "no." ', "Then stop! ", "Why? ", "(Because.) ", "`x` *y*"],
        ),
        ("Version 1.5 is live. {{PLAYBOOKS}} follows.", ["Version 1.5 is live. ", "{{PLAYBOOKS}} follows."]),
        ("a sentence\nover two lines.", ["a sentence\n", "over two lines."]),
        ("À table. Été.", ["À table. ", "Été."]),
    ],
)
def test_a_text_falls_into_sentences_that_keep_its_lines(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_a_rule_on_each_line_is_a_sentence_each() -> None:
    assert len(pieces(SYSTEM)) == 12


@given(st.text(alphabet="aB1 .!\n\r\t-#{}\"'é\u2028", max_size=80))
def test_no_character_is_lost_and_no_sentence_is_blank(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    assert all(piece.strip() for piece in found) or not text.strip()
