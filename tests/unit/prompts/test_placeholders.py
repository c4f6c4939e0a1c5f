from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.placeholders import (
    has_placeholder,
    missing_placeholders,
    new_placeholders,
    new_syntax_problems,
    placeholders,
    template_syntax_problems,
    without_placeholders,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{PLAYBOOKS}} {{ PLAYBOOKS }}", {"{{PLAYBOOKS}}": 2}),
        (
            "{{{raw}}} {{#if x}} {{/if}} {{> partial}}",
            {"{{raw}}": 1, "{{#if x}}": 1, "{{/if}}": 1, "{{> partial}}": 1},
        ),
        ("{{ user.name | upper }}", {"{{user.name | upper}}": 1}),
        ("Dear {name}, {total:.2f} and {who!r}", {"{name}": 1, "{total}": 1, "{who}": 1}),
        ("{%- if  user -%}x{% endif %}", {"{% if user %}": 1, "{% endif %}": 1}),
        ("{% if count % 2 == 0 %}x{% endif %}", {"{% if count % 2 == 0 %}": 1, "{% endif %}": 1}),
        ('{{"user": {name}}}', {"{name}": 1}),
        ("Привет {{ИМЯ}}", {"{{ИМЯ}}": 1}),
    ],
)
def test_placeholders_of_every_registry_format_are_found(text: str, found: dict[str, int]) -> None:
    assert placeholders(text) == found


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        '{"a": {"b": {}}}',
        '{{"a": 1}}',
        "{{name: 1}}",
        "{ }",
        "{}",
        "{3}",
        "[0-9]{2,4}",
        "{\n  'key': 'value'\n}",
        "{first, second}",
        "{{ }}",
    ],
)
def test_braces_of_json_and_code_are_no_placeholders(text: str) -> None:
    assert not placeholders(text)
    assert template_syntax_problems(text) == ()


def test_a_placeholder_is_missing_only_when_no_place_is_left() -> None:
    base = "{{A}} {{A}} {b}"
    assert missing_placeholders(base, "{{ A }} {b}") == ()
    assert missing_placeholders(base, "nothing") == ("{b}", "{{A}}")
    assert new_placeholders(base, "{{A}} {b} {c}") == ("{c}",)


@pytest.mark.parametrize("name", ["PLAYBOOKS", "{{PLAYBOOKS}}", "{{ PLAYBOOKS }}"])
def test_a_required_placeholder_may_be_named_with_or_without_braces(name: str) -> None:
    assert has_placeholder("use {{PLAYBOOKS}}", name)
    assert not has_placeholder("use PLAYBOOKS", name)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("one\n{{PLAYBOOKS and\n\nmore", 2, "'{{PLAYBOOKS' is not closed"),
        ("{{PLAYBOOKS} x", 1, "not closed by }}"),
        ("a\nb {% if x", 2, "not closed by %}"),
        ("{% if x {% endif %}", 1, "not closed by %}"),
        ("{% if x %}yes", 1, "{% if %} has no {% endif %}"),
        ("yes\n{% endfor %}", 2, "{% endfor %} ends nothing"),
    ],
)
def test_broken_template_syntax_is_told_with_its_line(text: str, line: int, words: str) -> None:
    problem = template_syntax_problems(text)[0]
    assert (problem.line, words in problem.sentence) == (line, True)


def test_sound_templates_have_no_problem() -> None:
    text = "{% for x in xs %}{{ x }}{% if x.ok %}{{{raw}}}{% else %}-{% endif %}{% endfor %} {{ return 1; }}"
    assert template_syntax_problems(text) == ()


def test_a_problem_that_the_base_already_has_is_not_new_wherever_it_moves() -> None:
    assert new_syntax_problems("{{broken", "first line\n{{broken") == ()
    assert [problem.line for problem in new_syntax_problems("{{broken", "{{broken\n\n{{broken")] == [3]


@given(st.lists(st.sampled_from(["{{A}}", "{b}", "{% set c = 1 %}", '{"j": 1}', "text", "\n", " "])))
def test_placeholders_survive_whatever_stands_around_them(parts: list[str]) -> None:
    text = " ".join(parts)
    found = placeholders(text)
    assert found["{{A}}"] == parts.count("{{A}}")
    assert found["{b}"] == parts.count("{b}")
    assert not placeholders(without_placeholders(text))
