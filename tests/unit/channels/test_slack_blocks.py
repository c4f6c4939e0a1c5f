"""Cards as Slack draws them: whole, within its limits, and nothing in them is markup of somebody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import Block, Card, DiffLine, DiffPart, Gap, Heading, ItemLine, Line, Note
from bot.channels.port import Outgoing
from bot.channels.slack.blocks import CHARACTERS_MAX, escaped, parts_of
from tests.simulators.slack_workspace import Message, check_message

_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=400).map(lambda said: f"x{said}")
_BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Line, _TEXTS, st.sampled_from(["plain", "good", "bad"])),
    st.builds(Heading, _TEXTS),
    st.builds(Note, _TEXTS),
    st.builds(ItemLine, st.integers(1, 60), _TEXTS, st.sampled_from(["", "removed", "live as v2"]), st.booleans()),
    st.builds(DiffLine, st.lists(st.builds(DiffPart, st.sampled_from(["same", "removed", "added"]), _TEXTS),
                                 min_size=1, max_size=4).map(tuple)),
    st.just(Gap()),
)  # fmt: skip
_CARDS = st.builds(
    Card,
    _TEXTS,
    st.lists(_BLOCKS, max_size=60).map(tuple),
    st.lists(st.sampled_from(["deploy all", "remove 3, deploy", "show 3", "skip"]), unique=True, max_size=4).map(tuple),
)


@given(_CARDS, st.booleans(), st.booleans())
def test_slack_takes_whatever_a_card_says(card: Card, lists: bool, plain: bool) -> None:
    for part in parts_of(Outgoing(card, lists=lists), plain=plain):
        blocks = part.payload.get("blocks", [])
        check_message(part.text, blocks)
        message = Message("1.0", "D1", "UBOT", part.text, blocks)
        assert len(message.as_seen()) <= 2 * CHARACTERS_MAX


@given(_TEXTS)
def test_no_text_is_a_mention_or_a_link(text: str) -> None:
    assert "<" not in escaped(text)
    assert ">" not in escaped(text)


def test_forty_long_items_are_all_there_each_with_its_buttons() -> None:
    items = tuple(ItemLine(n, f"Item number {n} " + "and what is wrong with it " * 20) for n in range(1, 41))
    card = Card("blog-writer (prod)", items, ("deploy all", "skip"))
    parts = parts_of(Outgoing(card, lists=True))
    seen = [Message("1.0", "D1", "UBOT", part.text, part.payload["blocks"]) for part in parts]
    values = [button["value"] for message in seen for button in message.buttons]
    assert values == [*(f"{verb} {n}" for n in range(1, 41) for verb in ("show", "remove")), "deploy all", "skip"]
    assert all(f"*[{n}]*" in "".join(one.as_seen() for one in seen) for n in range(1, 41))


def test_what_deploys_asks_first_and_says_what() -> None:
    card = Card(
        "blog-writer (prod)", (ItemLine(3, "Playbooks twice"), ItemLine(4, "Ghost", "removed", True)), ("deploy all",)
    )
    (part,) = parts_of(Outgoing(card, lists=True))
    (deploy,) = [
        one for one in Message("1", "D1", "UBOT", "", part.payload["blocks"]).buttons if one["value"] == "deploy all"
    ]
    assert deploy["confirm"]["text"]["text"] == "[3] Playbooks twice"
    assert "blog-writer (prod)" in deploy["confirm"]["title"]["text"]


def test_an_item_that_was_removed_can_be_restored() -> None:
    card = Card("", (ItemLine(4, "Ghost", "removed", True), ItemLine(5, "Live one", "live as v2", True)))
    (part,) = parts_of(Outgoing(card, lists=True))
    buttons = Message("1", "D1", "UBOT", "", part.payload["blocks"]).buttons
    assert [one["value"] for one in buttons] == ["show 4", "restore 4", "show 5"]
