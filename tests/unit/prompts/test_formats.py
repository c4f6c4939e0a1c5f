"""What the parser of a template's own format says, and only where the base has not the same fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.checks import check_prompt
from optimizer.prompts.formats import new_format_problems

BASE = "You answer {{ name }} in two sentences.\n" * 8
FIELDS = "You answer {name} in two sentences.\n" * 8


@pytest.mark.parametrize(
    ("base", "template_format", "added"),
    [
        (BASE, "jinja2", "{% if name %}Be kind."),
        (BASE, "jinja2", "{{ name | }}"),
        (BASE, "jinja2", "{% endfor %}"),
        (BASE, "jinja2", "{% nothing_like_it %}"),
        (BASE, "jinja2", "{{ 'name }}"),
        (BASE, "jinja2", "{{ (name }}"),
        (FIELDS, "f-string", "Send {"),
        (FIELDS, "f-string", "Send }"),
        (FIELDS, "f-string", 'Send {"a": {"b": 1}'),
        (FIELDS, "f-string", "Send {name!x y}"),
    ],
)
def test_what_the_format_does_not_take_is_a_problem_of_the_edit_alone(
    base: str, template_format: str, added: str
) -> None:
    assert new_format_problems(base, base + added, template_format)
    codes = [one.code for one in check_prompt(base, base + added, template_format=template_format)]
    assert "template_syntax" in codes
    assert new_format_problems(base + added, base + added + "\nBe kind.", template_format) == ()


@pytest.mark.parametrize(
    ("base", "template_format", "added"),
    [
        (BASE, "jinja2", '{% if name %}Be kind.{% endif %} {"a": {"b": 1}} {# a note #}'),
        (FIELDS, "f-string", 'Send {{"a": 1}} to {name!r:>20}.'),
        (BASE, "", 'Send {"a": 1} }, {'),
    ],
)
def test_what_the_format_takes_is_none(base: str, template_format: str, added: str) -> None:
    assert new_format_problems(base, base + added, template_format) == ()


def test_each_message_of_a_template_is_a_template_of_its_own() -> None:
    first, second = "=== message 1 (system), block 1 ===", "=== message 2 (user), block 1 ==="
    base = f"{first}\nBe kind.\n{second}\nHello {{{{ name }}}}."
    new = f"{first}\nBe kind.{{% if name %}}\n{second}\nHello {{{{ name }}}}.{{% endif %}}"
    assert [problem.line for problem in new_format_problems(base, new, "jinja2")] == [2, 4]


def test_a_template_that_is_nested_too_deeply_is_a_problem_and_no_crash() -> None:
    assert new_format_problems(BASE, BASE + "{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}", "jinja2")


@given(text=st.text("{}%# abif\n'|", max_size=80), template_format=st.sampled_from(["jinja2", "f-string", ""]))
def test_the_base_itself_never_fails(text: str, template_format: str) -> None:
    base = BASE + text
    assert check_prompt(base, base, template_format=template_format) == ()
