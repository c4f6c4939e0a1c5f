from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import InputError
from optimizer.prompts.anchors import edit_for_span, edit_to_remove, removal_span
from optimizer.prompts.edits import compose, occurrences, problems
from optimizer.prompts.spans import Span

TEXTS = st.text("ab \n", min_size=1, max_size=60)


def anchored(base: str, start: int, end: int, clear_of: Sequence[Span] = ()) -> str:
    return edit_for_span("core", base, start, end, "#", clear_of=clear_of).find


def anchor_of(base: str, start: int, end: int, clear_of: Sequence[Span] = ()) -> Span:
    text = anchored(base, start, end, clear_of)
    return Span(base.index(text), base.index(text) + len(text))


def test_text_that_stands_once_is_its_own_anchor() -> None:
    assert anchored("one two\none three\n", 4, 7) == "two"


def test_an_anchor_is_widened_to_its_line_before_it_takes_others() -> None:
    assert anchored("one two\none three\n", 8, 11) == "one three"


def test_a_line_that_stands_twice_takes_in_its_neighbour() -> None:
    base = "a\nsame\nb\nsame\nc\n"
    assert anchored(base, 9, 13) in ("b\nsame", "same\nc")


def test_the_middle_of_a_long_copy_reaches_to_the_nearer_end() -> None:
    block = "".join(f"line {number}\n" for number in range(50))
    base = f"top\n{block}middle\n{block}end\n"
    start = base.rindex("line 3\n")
    assert anchored(base, start, start + 6) == "middle\nline 0\nline 1\nline 2\nline 3"


def test_an_anchor_stays_clear_of_other_edits_where_it_can() -> None:
    base = "a\nsame\nb\nsame\nc\n"
    before, after = Span(7, 8), Span(14, 15)
    assert anchor_of(base, 9, 13, clear_of=[before]) == (9, 15)
    assert anchor_of(base, 9, 13, clear_of=[after]) == (7, 13)
    both = anchor_of(base, 9, 13, clear_of=[before, after])
    assert occurrences(base, base[both.start : both.end]) == 1


def test_an_empty_prompt_has_nothing_to_hold_on_to() -> None:
    with pytest.raises(InputError, match="'core' is empty"):
        edit_for_span("core", "", 0, 0, "rule")


@given(TEXTS, st.data())
def test_an_edit_for_a_span_changes_exactly_that_span(base: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(base)))
    end = data.draw(st.integers(start, len(base)))
    replacement = data.draw(st.text("ab \n", max_size=5))
    edit = edit_for_span("core", base, start, end, replacement)
    assert occurrences(base, edit.find) == 1
    assert compose(base, [edit]) == base[:start] + replacement + base[end:]


@given(TEXTS, st.data())
def test_no_line_of_an_anchor_can_be_spared(base: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(base)))
    end = data.draw(st.integers(start, len(base)))
    span = anchor_of(base, start, end)
    line_start = base.rfind("\n", 0, start) + 1
    line_end = len(base) if base.find("\n", end) < 0 else base.find("\n", end)
    later = base.find("\n", span.start) + 1
    if span.start < line_start and later <= line_start:
        assert occurrences(base, base[later : span.end]) != 1
    earlier = base.rfind("\n", 0, span.end)
    if span.end > line_end and earlier >= line_end:
        assert occurrences(base, base[span.start : earlier]) != 1


@pytest.mark.parametrize(
    ("before", "block", "after", "left"),
    [
        ("a\n\n", "X\nY", "\n\nb\n", "a\n\nb\n"),
        ("a\n", "X", "\nb\n", "a\nb\n"),
        ("a\n", "X", "\n\nb\n", "a\n\nb\n"),
        ("a\n\n", "X", "\n", "a\n"),
        ("a\n\n", "X", "", "a"),
        ("", "X", "\n\n\nb\n", "b\n"),
        ("<p>\n", "X", "\n</p>\n", "<p>\n</p>\n"),
        ("a\r\n\r\n", "X", "\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"),
        ("", "X", "", ""),
        ("a\n\n", "X", "\n\n  - b\n", "a\n\n  - b\n"),
    ],
)
def test_removed_lines_leave_one_gap(before: str, block: str, after: str, left: str) -> None:
    base = before + block + after
    start, end = len(before), len(before) + len(block)
    span = removal_span(base, start, end)
    assert base[: span.start] + base[span.end :] == left
    assert compose(base, [edit_to_remove("core", base, start, end)]) == left


def test_one_line_between_two_copies_is_enough_for_both_anchors() -> None:
    block = "\n".join(f"line {number}" for number in range(5))
    base = f"{block}\n\nfirst\n\n{block}\n\nthe one line\n\n{block}"
    starts = [match.start() for match in re.finditer("line 0", base)]
    copies = [Span(start, start + len(block)) for start in starts[1:]]
    edits = [edit_to_remove("core", base, *copies[0], clear_of=copies[1:])]
    edits.append(edit_to_remove("core", base, *copies[1], clear_of=copies[:1]))
    assert problems(base, edits) == ()
    assert compose(base, edits) == f"{block}\n\nfirst\n\nthe one line"


def test_copies_that_follow_each_other_to_the_end_go_one_by_one_or_together() -> None:
    one, two = "\n".join(f"one {n}" for n in range(5)), "\n".join(f"two {n}" for n in range(5))
    base = f"{two}\n\n{one}\n\nbetween\n\n{one}\n\n{two}\n"
    copies = [Span(base.rindex(block), base.rindex(block) + len(block)) for block in (one, two)]
    edits = [
        edit_to_remove("core", base, *copies[0], clear_of=copies[1:]),
        edit_to_remove("core", base, *copies[1], clear_of=copies[:1]),
    ]
    assert problems(base, edits) == ()
    assert compose(base, edits[:1]) == f"{two}\n\n{one}\n\nbetween\n\n{two}\n"
    assert compose(base, edits[1:]) == f"{two}\n\n{one}\n\nbetween\n\n{one}\n"
    assert compose(base, edits) == f"{two}\n\n{one}\n\nbetween\n"


def test_neighbouring_copies_can_be_removed_by_edits_that_do_not_overlap() -> None:
    one, two = "\n".join(f"one {n}" for n in range(5)), "\n".join(f"two {n}" for n in range(5))
    base = f"{one}\n\nbetween\n\n{two}\n\nend of the first\n\n{one}\n\n{two}\n\nlast\n"
    copies = [Span(base.rindex(block), base.rindex(block) + len(block)) for block in (one, two)]
    edits = [
        edit_to_remove("core", base, *copies[0], clear_of=copies[1:]),
        edit_to_remove("core", base, *copies[1], clear_of=copies[:1]),
    ]
    assert problems(base, edits) == ()
    assert compose(base, edits) == f"{one}\n\nbetween\n\n{two}\n\nend of the first\n\nlast\n"
