"""Filling templates: as an agent does, with no code, in bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompts.render import Rendered, RenderError, render

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def filled(text: str, template_format: str, inputs: dict[str, Any] | None = None) -> Rendered:
    return render(text, template_format, inputs or {}, characters_max=100_000)


@pytest.mark.parametrize(
    ("text", "template_format", "inputs", "said", "unfilled"),
    [
        ("Hi {{ name }}!\n", "jinja2", {"name": "Ann"}, "Hi Ann!\n", set[str]()),
        ("{% for x in xs %}{{ x }},{% endfor %}", "jinja2", {"xs": [1, 2]}, "1,2,", set[str]()),
        ("Hi {{ name }}!", "jinja2", {}, "Hi !", {"name"}),
        ("{% if vip %}Dear{% endif %} guest", "jinja2", {}, " guest", set[str]()),
        ('Hi {{{name}}} {{"a": 1}}', "f-string", {"name": "Ann"}, 'Hi {Ann} {"a": 1}', set[str]()),
        (
            "{a[0]} {b.c} {a!r:>5} {n:>{w}}",
            "f-string",
            {"a": ["x"], "b": {"c": 2}, "n": 1, "w": 3},
            "x 2 ['x']   1",
            set[str](),
        ),
        ("Hi {name}, {other}", "f-string", {"name": "Ann"}, "Hi Ann, ", {"other"}),
        ('{{NAME}} {x} {"a": 1} ${q} {{y.z}}', "", {"NAME": "N", "y": {"z": 1}}, 'N {x} {"a": 1} ${q} 1', {"x"}),
    ],
)
def test_a_template_is_filled_as_its_format_says(
    text: str, template_format: str, inputs: dict[str, Any], said: str, unfilled: set[str]
) -> None:
    assert filled(text, template_format, inputs) == (said, unfilled)


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(0) }}",
        "{% for x in xs recursive %}{{ loop(xs) }}{% endfor %}",
        "{{ 'x' * 99999999 }}",
        "{{ text * big }}",
        "{{ big ** big }}",
        "{{ ('%0' ~ big ~ 'd') % 1 }}",
        "{{ 'a' | center(99999999) }}",
        "{% for x in xs %}{{ text * 9 }}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ xs.append(1) }}",
        "{{ self.__init__.__globals__ }}",
        "{% include 'secrets' %}",
        "{% import 'os' as os %}",
        "{{ nothing.at.all }}",
        "{% if %}",
    ],
)
def test_what_is_too_much_or_code_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        filled(text, "jinja2", {"xs": list(range(9000)), "text": "abcdefghij", "big": 99_999_999})


@pytest.mark.parametrize(
    "text", ["{{ text * big }}", "{{ big * text }}", "{{ big ** big }}", "{{ '%0999999999d' % 1 }}"]
)
def test_an_operator_builds_nothing_large_on_the_way(text: str) -> None:
    with pytest.raises(RenderError, match=r"an operator .* builds too much"):
        filled(text, "jinja2", {"text": "abcdefghij", "big": 99_999_999})


@pytest.mark.parametrize("text", ["{a:>9999999}", "{a:>{w}}", "{a!x}", "{", "{a:d}"])
def test_a_field_that_cannot_be_filled_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        filled(text, "f-string", {"a": "x", "w": 9_999_999})


@pytest.mark.parametrize("field", ["{a.__class__}", "{a.__init__.__globals__}", "{a[__class__]}", "{a.upper}"])
def test_a_field_leads_through_inputs_alone(field: str) -> None:
    assert filled(field, "f-string", {"a": "x"}).text == ""


@given(
    inputs=st.dictionaries(st.sampled_from("abc"), ANYTHING),
    template_format=st.sampled_from(["jinja2", "f-string", ""]),
)
def test_inputs_are_never_templates(inputs: dict[str, Any], template_format: str) -> None:
    text = {"jinja2": "{{ a }}{{ b }}", "f-string": "{a}{b}", "": "{{a}}{{b}}"}[template_format]
    inputs = {"a": "{{ b }}{b}{% if %}{{b}}", "b": 1} | {"c": inputs}
    assert filled(text, template_format, inputs).text == "{{ b }}{b}{% if %}{{b}}1"


@given(
    text=st.text("{}%abc|.[]()* '0", max_size=40),
    template_format=st.sampled_from(["jinja2", "f-string", ""]),
    inputs=st.dictionaries(st.sampled_from("abc"), ANYTHING),
)
def test_any_text_is_filled_or_refused(text: str, template_format: str, inputs: dict[str, Any]) -> None:
    refusal = ""
    try:
        assert len(filled(text, template_format, inputs).text) <= 100_000
    except RenderError as error:
        refusal = str(error)
    assert refusal.isprintable()
