from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optimizer.prompts.anchors import edit_to_remove
from optimizer.prompts.duplicates import included_blocks, repeated_blocks
from optimizer.prompts.edits import compose, problems
from optimizer.prompts.spans import Span

GHOST = "\n".join(f"- Ghost rule {number}: publish with tags, a slug and an excerpt." for number in range(6))


def at(text: str, span: Span) -> str:
    return text[span.start : span.end]


def prose(seed: int, lines: int) -> str:
    """Lines that are all different, whatever the seed."""
    random = Random(seed)
    return "\n".join(f"{seed}-{number} " + "".join(random.choices("abcdef ", k=60)) for number in range(lines))


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, str, list[int]]:
    """A text of unique lines with a block in it twice or three times: text, block, where the blocks start."""
    block = prose(1, draw(st.integers(4, 12)))
    text, starts = "", []
    for copy in range(draw(st.integers(2, 3))):
        text += prose(10 + copy, draw(st.integers(1, 6))) + "\n" * draw(st.integers(1, 3))
        starts.append(len(text))
        text += block + "\n" * draw(st.integers(1, 3))
    return text + prose(20, draw(st.integers(0, 3))), block, starts


@given(planted())
def test_a_planted_copy_is_found_exactly(case: tuple[str, str, list[int]]) -> None:
    text, block, starts = case
    (repeat,) = repeated_blocks(text)
    assert [repeat.first.start, *(span.start for span in repeat.further)] == starts
    assert {at(text, span) for span in (repeat.first, *repeat.further)} == {block}
    assert repeat.characters == len(block)


@given(planted())
def test_removing_every_copy_leaves_the_text_with_one(case: tuple[str, str, list[int]]) -> None:
    text, block, _ = case
    (repeat,) = repeated_blocks(text)
    edits = [edit_to_remove("core", text, *span, clear_of=repeat.further) for span in repeat.further]
    assert problems(text, edits) == ()
    left = compose(text, edits)
    assert left.count(block) == 1
    assert [line for line in left.split("\n") if line] == [*dict.fromkeys(line for line in text.split("\n") if line)]
    assert repeated_blocks(left) == ()


@given(st.integers(0, 10_000), st.integers(0, 60))
def test_text_without_repeats_has_none(seed: int, lines: int) -> None:
    assert repeated_blocks(prose(seed, lines)) == ()


@given(st.lists(st.sampled_from(["# A", "<t>", "</t>", "x" * 40, "y" * 40, "", "```", "## B"]), max_size=60))
def test_all_copies_may_go_at_once_and_every_line_keeps_a_place(lines: list[str]) -> None:
    text = "\n".join(lines)
    repeats = repeated_blocks(text, min_characters=80)
    copies = [span for repeat in repeats for span in repeat.further]
    for number, span in enumerate(copies):
        assert not any(span.overlaps(other) for other in copies[:number])
    left = text
    for span in sorted(copies, reverse=True):
        left = left[: span.start] + left[span.end :]
    assert set(left.split("\n")) >= {line for line in lines if line}
    for repeat in repeats:
        assert all(span.start >= repeat.first.end for span in repeat.further)
        for span in repeat.further:
            ours, theirs = (at(text, one).split("\n") for one in (repeat.first, span))
            assert [line for line in ours if line] == [line for line in theirs if line]
            assert len("\n".join(line for line in ours if line)) >= 80


def test_blanks_at_line_ends_and_blank_lines_make_no_difference() -> None:
    copy = GHOST.replace(".\n", ".  \n\n\n", 3)
    text = f"Intro\n{GHOST}\n\nBetween\n\n{copy}\nEnd"
    (repeat,) = repeated_blocks(text)
    assert at(text, repeat.first) == GHOST
    assert at(text, repeat.further[0]) == copy


def test_other_indents_and_other_words_are_other_text() -> None:
    assert repeated_blocks(f"{GHOST}\n\n" + GHOST.replace("- ", "  - ")) == ()
    assert repeated_blocks(f"{GHOST}\n\n" + GHOST.replace("slug", "snail")) == ()


def test_short_repeats_are_left_alone() -> None:
    line = "A rule of sixty characters, more or less, that stands twice."
    assert repeated_blocks(f"{line}\nx\n{line}") == ()
    assert len(repeated_blocks(f"{line}\nx\n{line}", min_characters=50)) == 1


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("## Publishing to Ghost", "Publishing to Ghost"),
        ("**Publishing to Ghost:**", "Publishing to Ghost"),
        ("PUBLISHING TO GHOST:", "PUBLISHING TO GHOST"),
        ("<publishing_to_ghost>", "publishing to ghost"),
    ],
)
def test_a_repeat_is_named_after_its_heading(heading: str, title: str) -> None:
    # The copies end in different words, so that the heading alone belongs to both but is no copy.
    assert repeated_blocks(f"{heading}\n{GHOST}\nx\n# Other\n{GHOST}\ny")[0].title == title


def test_a_copied_section_goes_with_its_heading() -> None:
    section = f"## Publishing to Ghost\n{GHOST}"
    text = f"# Agent\n{section}\n\n## Notes\nn\n\n{section}\n\nUse tools.\n"
    (repeat,) = repeated_blocks(text)
    assert (repeat.title, at(text, repeat.further[0])) == ("Publishing to Ghost", section)


def test_a_heading_stays_when_its_section_goes_on_differently() -> None:
    text = f"## Ghost\n{GHOST}\nfirst only\n\n# Other\nx\n\n## Ghost\n{GHOST}\nsecond only\n"
    (repeat,) = repeated_blocks(text)
    assert at(text, repeat.further[0]) == GHOST


def test_half_of_a_tag_or_a_fence_is_never_removed() -> None:
    text = f"<a>\n<b>\n{GHOST}\nx\n</b>\n</a>\n<b>\n{GHOST}\ny\n</b>\n```\n{GHOST}\n```\n"
    (repeat,) = repeated_blocks(text)
    assert [at(text, span) for span in repeat.further] == [GHOST, GHOST]


def test_a_line_that_repeats_a_thousand_times_is_one_repeat() -> None:
    (repeat,) = repeated_blocks("same line\n" * 1000)
    covered = sum(span.end - span.start + 1 for span in (repeat.first, *repeat.further))
    assert covered > 9_500


def test_a_copy_of_a_text_that_repeats_itself_is_one_copy() -> None:
    whole = f"{prose(1, 5)}\n\n{prose(2, 5)}\n\n{prose(1, 5)}\n\n{prose(3, 5)}"
    text = f"{whole}\n\n{prose(4, 1)}\n\n{whole}"
    assert [at(text, span) for repeat in repeated_blocks(text) for span in repeat.further] == [
        prose(1, 5),
        whole,
    ]


def test_a_pasted_playbook_is_found_in_the_prompt_that_includes_it() -> None:
    playbooks = f"# Playbooks\n\n{GHOST}\n\nAlways write in English.\n"
    text = f"Core rules.\n{{{{PLAYBOOKS}}}}\n\nMore.\n\n{playbooks.replace(chr(10) * 2, chr(10))}\nEnd.\n"
    (block,) = included_blocks(text, {"PLAYBOOKS": playbooks})
    assert (block.placeholder, block.title) == ("PLAYBOOKS", "Playbooks")
    assert at(playbooks, block.included_span) == playbooks.strip()
    left = compose(text, [edit_to_remove("core", text, *block.span)])
    assert left == "Core rules.\n{{PLAYBOOKS}}\n\nMore.\n\nEnd.\n"


@given(st.integers(0, 8), st.integers(0, 12))
def test_a_part_of_a_playbook_is_found_as_far_as_it_goes(first: int, length: int) -> None:
    lines = prose(1, 12).split("\n")
    part = "\n".join(lines[first : first + length])
    assume(part)
    text = f"{prose(2, 3)}\n{part}\n{prose(3, 3)}"
    found = included_blocks(text, {"PLAYBOOKS": "\n".join(lines)})
    assert [at(text, block.span) for block in found] == ([part] if len(part) >= 200 else [])


def test_two_includes_of_the_same_words_are_told_once() -> None:
    found = included_blocks(f"x\n{GHOST}\ny", {"A": GHOST, "B": GHOST})
    assert [block.placeholder for block in found] == ["A"]
