"""Cards as Slack draws them: whole, within its limits, and nothing in them is markup of somebody else."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note, Passage
from bot.channels.port import Outgoing
from bot.channels.slack.blocks import CHARACTERS_MAX, PLAIN_CHARACTERS_MAX, parts_of
from bot.channels.slack.text import cut, escaped
from tests.simulators.slack_blocks import check_message
from tests.simulators.slack_workspace import Message

_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=400).map(lambda said: f"x{said}"),
    st.builds(lambda word, times: word * times, st.sampled_from(["long ", "&<>", "```", "*b* "]), st.integers(1, 3000)),
)
_MARKS = st.sampled_from(["", "removed", "live as v2"])
_PARTS = st.lists(st.builds(DiffPart, st.sampled_from(["same", "removed", "added"]), _TEXTS), min_size=1, max_size=4)
_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Line, _TEXTS, st.sampled_from(["plain", "good", "bad"])),
    st.builds(Heading, _TEXTS),
    st.builds(Note, _TEXTS),
    st.builds(ItemLine, st.integers(1, 60), _TEXTS, _MARKS, st.booleans(), st.sampled_from([(), ("master",)])),
    st.builds(DiffLine, _PARTS.map(tuple)),
    st.builds(Passage, st.sampled_from(["v1 [1]", "v2 [3]"]), _TEXTS),
    st.just(Gap()),
)
_CHOICES = st.sampled_from(["deploy all", "remove 3, deploy", "deploy 3", "show 3", "skip", "a reply " * 20])
_CARDS = st.builds(
    Card, _TEXTS, st.lists(_BLOCKS, max_size=60).map(tuple), st.lists(_CHOICES, unique=True, max_size=4).map(tuple)
)


def drawn(card: Card, *, lists: bool = True, waits: bool = True, plain: bool = False) -> list[Message]:
    return [
        Message("1.0", "D1", "UBOT", part.text, part.payload.get("blocks", []))
        for part in parts_of(Outgoing(card, lists=lists, waits=waits), plain=plain)
    ]


def values(card: Card, *, waits: bool = True) -> list[str]:
    return [button["value"] for message in drawn(card, waits=waits) for button in message.buttons]


def letters(text: str) -> str:
    """What of a text is left when markup and breaks are not looked at."""
    return "".join(char for char in html.unescape(text) if char.isalnum())


def said(block: Block) -> str:
    match block:
        case DiffLine(parts):
            return "".join(part.text for part in parts)
        case Gap():
            return ""
        case _:
            return block.text


@given(_CARDS, st.booleans(), st.booleans())
def test_slack_takes_whatever_a_card_says_and_it_is_all_there(card: Card, lists: bool, plain: bool) -> None:
    messages = drawn(card, lists=lists, plain=plain)
    for message in messages:
        check_message(message.text, message.blocks)
        assert len(message.text) <= (PLAIN_CHARACTERS_MAX if plain else CHARACTERS_MAX)
    seen = letters("".join(message.as_seen() for message in messages))
    beside = letters("".join(message.text for message in messages))
    for text in [card.header, *map(said, card.blocks)]:
        assert letters(text) in seen
        assert letters(text) in beside


@given(_TEXTS)
def test_no_text_is_a_mention_or_a_link(text: str) -> None:
    assert "<" not in escaped(text)
    assert ">" not in escaped(text)


@given(_TEXTS, st.integers(10, 60))
def test_what_is_cut_is_the_same_again_and_no_escape_is_broken(text: str, characters_max: int) -> None:
    pieces = list(cut(escaped(text), characters_max))
    assert "".join(pieces) == escaped(text)
    assert all(len(piece) <= characters_max for piece in pieces)
    assert "".join(map(html.unescape, pieces)) == html.unescape(escaped(text))


def test_forty_long_items_are_all_there_each_with_its_buttons() -> None:
    items = tuple(ItemLine(n, f"Item number {n} " + "and what is wrong with it " * 20) for n in range(1, 41))
    card = Card("blog-writer (prod)", items, ("deploy all", "skip"))
    seen = "".join(one.as_seen() for one in drawn(card))
    assert values(card) == [*(f"{verb} {n}" for n in range(1, 41) for verb in ("show", "remove")), "deploy all", "skip"]
    assert all(f"*[{n}]*" in seen for n in range(1, 41))


def confirmed(card: Card, choice: str, *, lists: bool = True) -> dict[str, str]:
    """What is asked before that reply is sent, by part."""
    buttons = [button for message in drawn(card, lists=lists) for button in message.buttons]
    (button,) = [one for one in buttons if one["value"] == choice]
    return {key: part["text"] for key, part in button["confirm"].items()} | {"label": button["text"]["text"]}


MIXED = Card(
    "blog-writer (prod) self-analysis, 2026-02-26",
    (
        ItemLine(2, "Raise the limit of the tool"),
        ItemLine(3, "Playbooks twice", prompts=("master", "tone")),
        ItemLine(4, "Ghost", "removed", closed=True),
        ItemLine(5, "Tools twice", prompts=("master",)),
    ),
    ("deploy all", "remove 3, deploy", "skip"),
)


def test_what_deploys_asks_first_and_says_what_and_where() -> None:
    asked = confirmed(MIXED, "deploy all")
    assert asked["label"] == "Deploy all (2)"
    assert asked["title"] == "Deploy all (2): blog-writer (prod)"
    assert asked["text"] == "blog-writer (prod), 2 prompts: master, tone\n[3] Playbooks twice\n[5] Tools twice"


def test_what_removes_and_deploys_asks_about_the_rest() -> None:
    asked = confirmed(MIXED, "remove 3, deploy", lists=False)
    assert asked["text"] == "blog-writer (prod), 1 prompt: master\n[5] Tools twice"


def test_a_deploy_of_items_that_are_not_in_sight_asks_too() -> None:
    asked = confirmed(Card("blog-writer (prod)", (Line("Removed 4."),), ("deploy all",)), "deploy all", lists=False)
    assert asked["title"] == "Deploy all: blog-writer (prod)"


def test_of_forty_items_none_is_left_out_of_the_question() -> None:
    items = tuple(ItemLine(n, f"Long title {n} " * 8, prompts=("master",)) for n in range(1, 41))
    text = confirmed(Card("blog-writer (prod)", items, ("deploy all",)), "deploy all")["text"]
    assert text.endswith(", ".join(map(str, range(1, 41))))


def test_an_item_that_was_removed_can_be_restored() -> None:
    card = Card("", (ItemLine(4, "Ghost", "removed", True), ItemLine(5, "Live one", "live as v2", True)))
    assert values(card) == ["show 4", "restore 4", "show 5"]


def test_a_list_that_takes_no_decision_has_no_button_that_decides() -> None:
    items = (ItemLine(3, "Open one", prompts=("master",)), ItemLine(4, "Ghost", "removed", closed=True))
    assert values(Card("", items, ("show all", "status")), waits=False) == ["show 3", "show 4", "status"]


@given(st.lists(st.sampled_from(["", "removed", "live as v2", "the prompt changed"]), min_size=50, max_size=50))
def test_a_long_list_is_cut_the_same_whatever_was_decided(marks: list[str]) -> None:
    def items_of(marks: list[str]) -> list[list[str]]:
        items = (ItemLine(n, f"Long title {n} " * 30, mark, bool(mark)) for n, mark in enumerate(marks, 1))
        messages = drawn(Card("blog-writer (prod)", tuple(items), ("deploy all", "skip")))
        return [[one["value"] for one in message.buttons if one["value"].startswith("show")] for message in messages]

    assert items_of(marks) == items_of([""] * 50)
