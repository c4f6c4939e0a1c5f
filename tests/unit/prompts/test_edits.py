from __future__ import annotations

import re
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.edits import EditError, compose, locate, occurrences, problems
from optimizer.prompts.spans import Span
from optimizer.records.edits import Edit

BASE = "Be kind.\nCall write_article once.\nUse {{PLAYBOOKS}} and {name}.\nBe kind.\nNever guess.\n"


def edit(find: str, replace: str, prompt: str = "core") -> Edit:
    return Edit(prompt=prompt, find=find, replace=replace)


def kinds(base: str, *edits: Edit) -> list[tuple[str, int, int | None]]:
    return [(problem.kind, problem.edit, problem.other) for problem in problems(base, edits)]


def test_an_edit_is_found_where_its_anchor_stands_once() -> None:
    assert locate(BASE, edit("write_article", "x")) == Span(14, 27)


@pytest.mark.parametrize(
    ("find", "kind", "words"),
    [
        ("Be cruel.", "missing", "is not in 'core'"),
        ("Be kind.", "ambiguous", "stands 2 times"),
        ("", "missing", "is not in 'core'"),
    ],
)
def test_a_bad_anchor_is_named_with_what_to_do(find: str, kind: str, words: str) -> None:
    with pytest.raises(EditError, match=words) as caught:
        locate(BASE, edit(find, "x"))
    assert [problem.kind for problem in caught.value.problems] == [kind]
    assert kinds(BASE, edit(find, "x")) == [(kind, 0, None)]


def test_overlapping_places_of_an_anchor_count_one_by_one() -> None:
    assert occurrences("aaa", "aa") == 2
    assert kinds("aaa", edit("aa", "b")) == [("ambiguous", 0, None)]


def test_counting_ends_at_a_limit() -> None:
    assert occurrences("a" * 100_000, "a" * 100) == 100


def test_two_edits_of_the_same_words_overlap_and_are_told_as_a_pair() -> None:
    first, second = edit("Call write_article", "Call it"), edit("write_article once", "it twice")
    apart = edit("Never guess.", "Always ask.")
    assert kinds(BASE, first, apart, second) == [("overlap", 0, 2)]
    with pytest.raises(EditError, match="change the same text"):
        compose(BASE, [first, apart, second])
    assert compose(BASE, [first, apart]).endswith("Always ask.\n")


def test_two_insertions_at_one_point_overlap() -> None:
    one, two = edit("Never guess.", "Never guess.\n- a"), edit("Never guess.", "Never guess.\n- b")
    assert kinds(BASE, one, two) == [("overlap", 0, 1)]


def test_edits_that_only_touch_apply_in_any_order() -> None:
    one, two = edit("Never ", "Always "), edit("guess.", "ask.")
    assert kinds(BASE, one, two) == []
    assert compose(BASE, [one, two]) == compose(BASE, [two, one]) == BASE.replace("Never guess.", "Always ask.")


def test_an_edit_of_another_prompt_is_refused_even_if_its_anchor_stands_here() -> None:
    edits = edit("Never", "Always"), edit("guess", "ask", prompt="playbooks")
    assert kinds(BASE, *edits) == [("prompt", 1, 0)]
    with pytest.raises(EditError, match="'playbooks'"):
        compose(BASE, edits)


@pytest.mark.parametrize(
    ("find", "replace", "words"),
    [
        ("{{PLAYBOOKS}} and ", "", r"drops \{\{PLAYBOOKS\}\}"),
        ("BOOKS}} and", "", r"drops \{\{PLAYBOOKS\}\}"),
        ("{name}", "you", r"drops \{name\}"),
        ("Never guess.", "Ask {customer}.", r"adds \{customer\}"),
        ("Never guess.", "{% if sure %}Guess.", "breaks the template"),
        ("Never guess.", "{{broken", "breaks the template"),
    ],
)
def test_an_edit_that_breaks_a_placeholder_is_found_when_it_is_proposed(find: str, replace: str, words: str) -> None:
    (problem,) = problems(BASE, [edit(find, replace)])
    assert problem.kind == "placeholder"
    assert re.search(words, problem.sentence)


def test_two_edits_that_drop_a_placeholder_only_together_are_both_told() -> None:
    base = "A {{X}} here.\nB {{X}} there.\nC stays."
    edits = edit("A {{X}} here.", "A"), edit("B {{X}} there.", "B"), edit("C stays.", "C goes.")
    assert kinds(base, edits[0]) == []
    assert kinds(base, *edits) == [("placeholder", 0, None), ("placeholder", 1, None)]


def test_an_edit_may_move_a_placeholder() -> None:
    assert kinds(BASE, edit("Use {{PLAYBOOKS}} and {name}.", "{name}: read {{ PLAYBOOKS }}.")) == []


@st.composite
def bases_with_edits(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    """A text of unique words, and edits of disjoint stretches of it, some of them touching."""
    count = draw(st.integers(4, 30))
    words = [f"w{number}{draw(st.sampled_from([' ', '.', chr(10)]))}" for number in range(10, 10 + count)]
    cuts = sorted(draw(st.sets(st.integers(0, count), min_size=2, max_size=8)))
    stretches = [("".join(words[a:b])) for a, b in pairwise(cuts)]
    kept = draw(st.lists(st.sampled_from(stretches), unique=True, min_size=1, max_size=4))
    return "".join(words), [edit(find, draw(st.text("xyz \n", max_size=8))) for find in kept]


@given(bases_with_edits())
def test_any_order_of_edits_gives_one_result(case: tuple[str, list[Edit]]) -> None:
    base, edits = case
    assert problems(base, edits) == ()
    assert len({compose(base, order) for order in permutations(edits)}) == 1


@given(bases_with_edits(), st.data())
def test_any_subset_equals_replacing_one_after_the_other(case: tuple[str, list[Edit]], data: st.DataObject) -> None:
    base, edits = case
    subset = data.draw(st.lists(st.sampled_from(edits), unique=True))
    expected = base
    for one in subset:
        expected = expected.replace(one.find, one.replace)
    assert compose(base, subset) == expected
    assert compose(base, frozenset(subset)) == expected


@given(bases_with_edits(), st.data())
def test_a_planted_overlap_is_always_found(case: tuple[str, list[Edit]], data: st.DataObject) -> None:
    base, edits = case
    victim = data.draw(st.integers(0, len(edits) - 1))
    span = locate(base, edits[victim])
    start = data.draw(st.integers(0, span.end - 1))
    end = data.draw(st.integers(max(start, span.start) + 1, len(base)))
    planted = edit(base[start:end], "planted")
    if occurrences(base, planted.find) != 1:
        return
    found = kinds(base, *edits, planted)
    assert ("overlap", victim, len(edits)) in found
    assert {kind for kind, _, _ in found} == {"overlap"}
    with pytest.raises(EditError):
        compose(base, [*edits, planted])
