"""The new text beside the base, with the inputs of real requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.deploy.grounds import Request
from optimizer.deploy.rehearse import Stage
from optimizer.prompts.checks import SIZE_CHARACTERS_MAX

BASE = "You write for {{ name }}.\n{% if topic %}The topic is {{ topic }}.{% endif %}\n"


def stage(
    *inputs: Mapping[str, Any], base: str = BASE, parts: Mapping[str, str] | None = None, format_: str = "jinja2"
) -> Stage:
    requests: Sequence[Request] = [Request(f"s-{number}", one) for number, one in enumerate(inputs, 1)]
    return Stage(base, format_, parts or {}, requests)


def test_a_change_is_rehearsed_with_each_request() -> None:
    rehearsal, problem = stage({"name": "Ann"}, {"name": "Bob", "topic": "tea"}).rehearse(BASE + "Be kind.")
    assert (rehearsal.requests, rehearsal.variables, problem) == (2, 2, None)
    assert rehearsal.characters_max == len("You write for Bob.\nThe topic is tea.\nBe kind.")
    assert rehearsal.tokens_max > 0


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (BASE + "{{ name | nothing_like_it }}", "it breaks"),
        (BASE + "{% for x in name.first.letters %}{% endfor %}", "it breaks"),
        (BASE.replace("{% if topic %}", "").replace("{% endif %}", ""), "leaves 'topic' unfilled"),
        (BASE + "x" * SIZE_CHARACTERS_MAX, "tokens), more than the 200,000 allowed"),
        (BASE + "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}", "loops go round"),
    ],
)
def test_what_the_base_does_not_do_fails_and_the_request_is_named(new: str, words: str) -> None:
    _, problem = stage({"name": "Ann", "topic": "tea"}, {"name": "Bob"}).rehearse(new)
    assert problem is not None
    assert words in problem
    assert "of session 's-" in problem


def test_a_request_that_the_base_breaks_with_says_nothing() -> None:
    base = BASE + "{{ guest.name }}"
    rehearsal, problem = stage({"name": "Ann"}, {"name": "Bob", "guest": {"name": "Cy"}}, base=base).rehearse(
        base + "!"
    )
    assert (rehearsal.requests, problem) == (1, None)


def test_without_requests_it_is_rehearsed_with_its_placeholders() -> None:
    rehearsal, problem = stage().rehearse(BASE + "Be kind.")
    assert (rehearsal.requests, rehearsal.variables, problem) == (0, 2, None)
    assert rehearsal.characters_max == len("You write for <name>.\nThe topic is <topic>.\nBe kind.")
    _, problem = stage().rehearse(BASE + "{{ name.a.b }}")
    assert problem is not None
    assert "Rendered with its placeholders it breaks" in problem


def test_includes_are_filled_with_the_other_prompts_texts() -> None:
    base = "Be kind.\n{{PLAYBOOKS}}\n"
    rehearsal, problem = stage(base=base, parts={"PLAYBOOKS": "Play.\n" * 9}, format_="").rehearse(base + "x")
    assert (rehearsal.variables, problem) == (0, None)
    assert rehearsal.characters_max == len("Be kind.\n" + "Play.\n" * 9 + "\nx")
    _, problem = stage(base=base, parts={"PLAYBOOKS": "Play."}, format_="").rehearse("Be kind.")
    assert problem is not None
    _, problem = stage(base=base, parts={"PLAYBOOKS": "y" * 150_000}, format_="").rehearse(base + "{{PLAYBOOKS}}")
    assert problem is not None
    assert "allowed" in problem


def test_an_f_string_with_json_in_it_breaks_with_its_base_and_says_nothing() -> None:
    base = 'Send {"a": {"b": 1} to {name}.'
    rehearsal, problem = stage({"name": "Ann"}, base=base, format_="f-string").rehearse(base + "!")
    assert (rehearsal.requests, problem) == (0, None)


@given(
    base=st.text("{}%ab| '\n", max_size=60),
    inputs=st.lists(st.dictionaries(st.sampled_from("ab"), st.text(max_size=5) | st.integers()), max_size=3),
    format_=st.sampled_from(["jinja2", "f-string", ""]),
)
def test_the_base_itself_never_fails(base: str, inputs: list[dict[str, Any]], format_: str) -> None:
    assert stage(*inputs, base=base, format_=format_).rehearse(base)[1] is None
