"""Cards as WhatsApp's texts: whole, in short messages, and nothing of somebody else is markup."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Card, DiffLine, DiffPart, Heading, ItemLine, Line, Note
from bot.channels.whatsapp import escaped, messages_of

_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=600).map("x{}".format)
_BLOCKS = st.one_of(
    st.builds(Line, _TEXTS, st.sampled_from(["plain", "good", "bad"])),
    st.builds(Heading, _TEXTS),
    st.builds(Note, _TEXTS),
    st.builds(ItemLine, st.integers(1, 60), _TEXTS, st.sampled_from(["", "removed"]), st.booleans()),
)
_CARDS = st.builds(Card, _TEXTS, st.lists(_BLOCKS, max_size=40).map(tuple), st.just(("deploy all", "skip")))


@given(_CARDS)
def test_every_message_is_short_and_no_item_is_lost(card: Card) -> None:
    messages = messages_of(card, 1_500)
    assert all(0 < len(message) <= 1_500 for message in messages)
    told = "\n".join(messages)
    assert all(f"[{block.n}]" in told for block in card.blocks if isinstance(block, ItemLine))
    assert messages[-1].endswith('Reply: "deploy all" | "skip"')


def test_a_card_that_fits_is_one_message_without_a_number() -> None:
    card = Card("blog-writer (prod)", (Heading("Cost (1 saving):"), ItemLine(3, "Ghost block stands twice")), ("skip",))
    assert messages_of(card, 1_500) == (
        '*blog-writer (prod)*\n*Cost (1 saving):*\n*[3]* Ghost block stands twice\n\nReply: "skip"',
    )


def test_what_is_cut_is_numbered() -> None:
    card = Card("blog-writer (prod)", tuple(ItemLine(n, "A long title. " * 30) for n in range(1, 41)))
    messages = messages_of(card, 1_500)
    assert [message.split("\n")[0] for message in messages] == [
        f"({n}/{len(messages)})" for n in range(1, len(messages) + 1)
    ]
    assert re.findall(r"\[(\d+)\]", "".join(messages)) == [str(n) for n in range(1, 41)]


def test_nothing_of_somebody_else_is_markup() -> None:
    assert escaped("*bold* claim") == "\u2060*bold* claim"  # a mark that closes nothing is only a character
    assert escaped("2 * 3 and snake_case") == "2 * 3 and snake_case"


def test_a_difference_is_told_in_signs_too() -> None:
    line = DiffLine((DiffPart("same", "Be "), DiffPart("removed", "brief"), DiffPart("added", "kind")))
    assert messages_of(Card("", (line,)), 1_500) == ("Be ~[-brief-]~*{+kind+}*",)
