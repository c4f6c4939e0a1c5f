"""Rows: wrapped at words, never wider than they should be, nothing lost."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note
from bot.cards.layout import TITLE_SLACK, WIDTH, as_text, page, rows

WORDS = st.text(st.characters(exclude_categories=("C", "Z", "M")), min_size=1, max_size=30)
TEXTS = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)
BLOCKS: st.SearchStrategy[Block] = st.one_of(
    TEXTS.map(Line),
    TEXTS.map(Heading),
    TEXTS.map(Note),
    st.builds(ItemLine, st.integers(1, 999), TEXTS, st.sampled_from(["", "removed"])),
    st.builds(lambda text: DiffLine((DiffPart("added", text),)), TEXTS),
    st.just(Gap()),
)
CARDS = st.builds(
    Card,
    st.just("agent (prod)"),
    st.lists(BLOCKS, max_size=40).map(tuple),
    st.lists(st.sampled_from(["deploy all", "remove 3, deploy", "show 3", "skip"]), max_size=4).map(tuple),
)


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


@given(CARDS, st.integers(20, 100))
def test_no_row_is_wider_than_asked(card: Card, width: int):
    for row in rows(card, width, slack=0):
        assert columns("".join(span.text for span in row)) <= width


@given(CARDS)
def test_only_a_title_may_be_a_little_wider(card: Card):
    for line in as_text(card).splitlines():
        assert columns(line) <= (WIDTH + TITLE_SLACK if line.startswith("[") else WIDTH)


@given(CARDS)
def test_wrapping_loses_no_letter(card: Card):
    one_row_each = as_text(card, 1_000_000)
    assert "".join(as_text(card).split()) == "".join(one_row_each.split())


@given(CARDS, st.integers(8, 40))
def test_pages_hold_every_block_once_and_in_order(card: Card, lines_max: int):
    read: list[Block] = []
    number = 1
    while True:
        one = page(card, number, lines_max)
        read += [block for block in one.blocks if not isinstance(block, Gap)]
        if one.choices != ("more",):
            break
        assert isinstance(read.pop(), Note)  # the page's number
        number += 1
    if number > 1:
        read.pop()
    assert read == [block for block in card.blocks if not isinstance(block, Gap)]
    assert one.choices == card.choices


def test_a_number_stays_in_one_piece_on_a_narrow_screen():
    card = Card("", (ItemLine(127, "a" * 90 + " and more words after it"),))
    lines = as_text(card, 30).splitlines()
    assert lines[0].startswith("[127] ")
    assert all(line.startswith("      ") for line in lines[1:])


def test_a_heading_does_not_end_a_page():
    card = Card("h", (*(Line("one"),) * 9, Heading("Cost:"), *(Line("two"),) * 9))
    first = as_text(page(card, 1, 15)).splitlines()
    assert first == ["h", *["one"] * 9, "", "Page 1 of 2.", "", 'Reply: "more"']
    assert as_text(page(card, 2, 15)).splitlines()[1] == "Cost:"


def test_wide_letters_count_twice():
    lines = as_text(Card("", (Line("\u65e5\u672c " * 30),)), 20).splitlines()
    assert max(columns(line) for line in lines) == 19


def test_replies_break_between_each_other_only():
    card = Card("", (), ("run optimization", "remove 3, deploy", "show 3"))
    assert as_text(card, 40).splitlines() == ['Reply: "run optimization" |', '"remove 3, deploy" | "show 3"']
