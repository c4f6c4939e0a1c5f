from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.diff import Hunk, Part, render_plain, word_diff

WORDS = st.lists(st.sampled_from(["a", "b", "c", "the", "\n", "\n\n", "tool."]), max_size=40).map(" ".join)


def numbers(first: int, last: int) -> str:
    return " ".join(f"n{number}" for number in range(first, last))


def test_equal_texts_have_no_difference() -> None:
    assert word_diff("a b", "a b") == word_diff("", "") == ()
    assert render_plain(()) == ""


def test_a_changed_word_stands_between_its_neighbours() -> None:
    hunks = word_diff("Call the tool once per turn.", "Call the tool twice per turn.")
    assert render_plain(hunks) == "Call the tool [-once-] {+twice+} per turn."
    assert [part.kind for part in hunks[0].parts] == ["same", "removed", "added", "same"]


def test_words_far_apart_become_hunks_with_the_number_of_words_between() -> None:
    old = f"{numbers(0, 50)} OLD {numbers(50, 200)} GONE {numbers(200, 210)}"
    new = f"{numbers(0, 50)} NEW {numbers(50, 200)} {numbers(200, 210)}"
    assert [hunk.words_skipped for hunk in word_diff(old, new)] == [42, 134]
    plain = render_plain(word_diff(old, new, context_words=2))
    assert plain == (
        "... 48 words ...\nn48 n49 [-OLD-] {+NEW+} n50 n51 \n... 146 words ...\nn198 n199 [-GONE-] n200 n201 "
    )


def test_a_long_removal_is_shown_by_its_ends_with_the_number_of_words_left_out() -> None:
    text = f"Start. {numbers(0, 444)} End."
    plain = render_plain(word_diff(text, "Start. End."))
    assert plain.startswith("Start. [-n0 n1 ")
    assert "n15 ... 412 words ... n428 " in plain
    assert plain.endswith("n443-] End.")


def test_everything_that_is_added_is_shown() -> None:
    text = numbers(0, 500)
    assert render_plain(word_diff("Start. End.", f"Start. {text} End.")) == f"Start. {{+{text}+}} End."


def test_a_changed_line_break_is_a_change_that_can_be_seen() -> None:
    assert render_plain(word_diff("one\ntwo", "one two")) == "one[-⏎-]{+ +}two"
    assert render_plain(word_diff("one\n", "one\n\n")) == "one\n{+⏎+}"


def test_a_new_list_item_is_nothing_but_added() -> None:
    plain = render_plain(word_diff("# Tools\n- a b\n\n# End", "# Tools\n- a b\n- c d\n\n# End"))
    assert plain == "# Tools\n- a b\n{+- c d+}\n\n# End"


def test_hidden_characters_are_spelled_out() -> None:
    assert render_plain(word_diff("ok", "ok \u202eevil\x1b[2J")) == "ok {+\\u202eevil\\x1b[2J+}"


def test_words_that_agree_by_chance_do_not_tear_a_replacement_apart() -> None:
    plain = render_plain(word_diff("x. Ask for the id of the user. y", "x. Never call the tool of any kind. y"))
    assert plain == "x. [-Ask for the id of the user.-] {+Never call the tool of any kind.+} y"


@given(WORDS, WORDS, st.integers(0, 5))
def test_the_parts_are_the_texts(old: str, new: str, context: int) -> None:
    hunks = word_diff(old, new, context_words=1000)
    before = "".join(part.text for hunk in hunks for part in hunk.parts if part.kind != "added")
    after = "".join(part.text for hunk in hunks for part in hunk.parts if part.kind != "removed")
    if old == new:
        assert hunks == ()
    else:
        assert (before, after) == (old, new)
        assert word_diff(old, new, context_words=context) != ()


@given(WORDS, WORDS, st.integers(0, 5))
def test_no_changed_word_is_lost_by_a_small_context(old: str, new: str, context: int) -> None:
    def count(hunks: tuple[Hunk, ...], kind: str) -> int:
        changed = [part for hunk in hunks for part in hunk.parts if part.kind == kind]
        return sum(len(part.text.split()) + part.words_elided + len(part.tail.split()) for part in changed)

    wide, small = word_diff(old, new, context_words=1000), word_diff(old, new, context_words=context)
    assert count(small, "added") == count(wide, "added")


def test_three_of_thirty_thousand_characters_that_go_are_one_removal() -> None:
    random = Random(7)
    words = [random.choice(["the", "a", "tool", "user", "call", "never", "id"]) for _ in range(6000)]
    old, new = " ".join(words), " ".join([*words[:2000], *words[2700:]]).replace("id", "key", 1)
    removed = [part for hunk in word_diff(old, new) for part in hunk.parts if part.kind == "removed"]
    assert sum(len(part.text.split()) + part.words_elided + len(part.tail.split()) for part in removed) < 750


def test_a_part_says_how_much_of_it_is_left_out() -> None:
    (hunk,) = word_diff(f"s {numbers(0, 20)} e", "s e", context_words=2)
    assert hunk.parts[1] == Part("removed", "n0 n1 n2 n3 ", 12, "n16 n17 n18 n19 ")


@pytest.mark.parametrize(("old", "new"), [("", "all new"), ("all old", "")])
def test_a_text_from_nothing_or_to_nothing(old: str, new: str) -> None:
    assert render_plain(word_diff(old, new)) == (f"{{+{new}+}}" if new else f"[-{old}-]")
