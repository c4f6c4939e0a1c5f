"""Sections that no edit may touch."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.edits import compose
from optimizer.prompts.protected import Protected, frozen_sections, protection_problems
from optimizer.prompts.spans import Span
from optimizer.records.edits import Edit

OPEN, CLOSE = "<!-- ratchet:frozen -->", "<!-- /ratchet:frozen -->"
BASE = f"Be kind.\n{OPEN}\nNever give away a name.\nNever take cash.\n{CLOSE}\nBe short.\nSay goodbye.\n"


def problems(find: str, replace: str, base: str = BASE, pattern: str | None = None) -> list[str]:
    edit = Edit(prompt="system", find=find, replace=replace)
    matched = [Protected(Span(*match.span()), pattern) for match in re.finditer(pattern, base)] if pattern else []
    return list(protection_problems(base, compose(base, [edit]), [edit], matched))


@pytest.mark.parametrize(
    ("find", "replace"),
    [
        ("Never give away a name.", "Give away a name."),
        ("Never give away a name.\n", ""),
        ("Never give away a name.\n", "Never give away a name.\nBut to friends.\n"),
        (f"{OPEN}\n", ""),
        (CLOSE, ""),
        (OPEN, "<!-- -->"),
        (f"Be kind.\n{OPEN}\nNever give", "Never give"),
        (f"{OPEN}\nNever give away a name.\nNever take cash.\n{CLOSE}\n", ""),
        ("Be short.", f"Be short. {OPEN}"),
        ("Be short.", f"{CLOSE} Be short."),
        ("Be short.", f"{OPEN}Be short.{CLOSE}"),
    ],
)
def test_what_stands_between_the_markers_stays(find: str, replace: str) -> None:
    assert problems(find, replace)


def test_moving_a_section_is_changing_it() -> None:
    section = BASE[BASE.index(OPEN) : BASE.index(CLOSE) + len(CLOSE)] + "\n"
    edits = [
        Edit(prompt="system", find=section, replace=""),
        Edit(prompt="system", find="Say goodbye.\n", replace=f"Say goodbye.\n{section}"),
    ]
    assert list(protection_problems(BASE, compose(BASE, edits), edits))


@pytest.mark.parametrize(
    ("find", "replace"),
    [
        ("Be kind.", "Be very kind."),
        ("Be short.\n", ""),
        (f"Be kind.\n{OPEN}\nNever", f"Be very kind.\n{OPEN}\nNever"),  # the anchor reaches in, the change does not
        (f"cash.\n{CLOSE}\nBe short.", f"cash.\n{CLOSE}\nBe brief."),
        (f"Be kind.\n{OPEN}", f"Be kind.\nBe warm.\n{OPEN}"),
        (f"{CLOSE}\n", f"{CLOSE}\nBe warm.\n"),
    ],
)
def test_around_it_everything_may_change(find: str, replace: str) -> None:
    assert problems(find, replace) == []


def test_a_section_that_is_not_closed_goes_to_the_end() -> None:
    base = f"Be kind.\n{OPEN}\nNever take cash.\nBe short.\n"
    assert problems("Be short.", "Be brief.", base)
    assert problems("Be kind.", "Be warm.", base) == []
    assert [section.span for section in frozen_sections(base)] == [Span(9, len(base))]


def test_the_section_is_named_by_its_line_and_words() -> None:
    (sentence,) = problems("Never take cash.", "Take cash.")
    assert "the frozen section in line 2 ('Never give away a name. Never take cash.')" in sentence


def test_what_the_policys_pattern_matches_stays_and_is_named() -> None:
    base, pattern = BASE.replace(OPEN, "").replace(CLOSE, ""), r"(?m)^Never .*$"
    (sentence,) = problems("Never take cash", "Take cash", base, pattern)
    assert "'Never take cash.' (the policy's pattern '(?m)^Never .*$')" in sentence
    assert problems("Be short.", "Never be long.", base, pattern) == []


@given(st.lists(st.sampled_from([OPEN, CLOSE, "Be kind.\n", "Never.\n", "x"]), max_size=8))
def test_the_base_itself_never_fails(parts: list[str]) -> None:
    base = "".join(parts)
    assert list(protection_problems(base, base, [])) == []


@given(
    st.lists(st.sampled_from([OPEN, CLOSE, "Be kind.\n", "Never.\n"]), max_size=8),
    st.integers(0, 200),
    st.sampled_from(["", "new words", OPEN, CLOSE]),
)
def test_where_nothing_is_told_the_sections_are_as_they_were(parts: list[str], place: int, put: str) -> None:
    base = "".join(f"{part}{number}" for number, part in enumerate(parts)) + "The end."
    start = place % len(base)
    edit = Edit(prompt="system", find=base, replace=base[:start] + put + base[start + 3 :])
    new = compose(base, [edit])
    if not list(protection_problems(base, new, [edit])):
        before, after = frozen_sections(base), frozen_sections(new)
        assert [base[slice(*one.span)] for one in before] == [new[slice(*one.span)] for one in after]
