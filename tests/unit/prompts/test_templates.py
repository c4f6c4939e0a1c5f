"""Registry templates: their text for people, and the way back into the template."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optimizer.prompts.templates import TemplateError, frame_of, new_template, text_of, with_text
from optimizer.prompts.variables import variables_of
from tests.unit.prompts.drawn_templates import IMAGE, THINKING, TOOL, chat, editable, templates, texts


@given(templates)
def test_a_text_that_nobody_changed_gives_the_same_template(template: dict[str, Any]) -> None:
    before = copy.deepcopy(template)
    assert with_text(template, text_of(template)) == before
    assert template == before


@given(templates, st.data())
def test_an_edit_of_one_block_changes_that_block_alone(template: dict[str, Any], data: st.DataObject) -> None:
    blocks = editable(template)
    assume(blocks)
    place = data.draw(st.integers(0, len(blocks) - 1))
    wanted = copy.deepcopy(template)
    editable(wanted)[place]["text"] = data.draw(texts)
    try:
        changed = with_text(template, text_of(wanted))
    except TemplateError:
        assert any("===" in block["text"] for block in (*blocks, *editable(wanted)))
        return
    assert text_of(changed) == text_of(wanted)
    assert frame_of(changed) == frame_of(template)
    # Lists of variables apart, nothing else is touched.
    for one in (changed, wanted):
        for holder in (one, *one.get("messages", [])):
            del holder["input_variables"]
    assert changed == wanted


@given(templates, st.text(max_size=60))
def test_any_text_is_taken_as_it_is_or_refused(template: dict[str, Any], text: str) -> None:
    try:
        changed = with_text(template, text)
    except TemplateError:
        return
    assert text_of(changed) == text


def test_one_text_block_is_the_text_itself() -> None:
    template = chat("You write {{}} {name}.\n", tools=[TOOL])
    template["messages"][0]["content"] += [IMAGE, THINKING]
    assert text_of(template) == "You write {{}} {name}.\n"


def test_several_blocks_stand_below_lines_that_name_them() -> None:
    template = chat("Be kind.", "Hello {name}")
    template["messages"][1]["content"].insert(0, IMAGE)
    template["messages"].insert(
        1, {"role": "placeholder", "name": "history", "content": [{"type": "text", "text": ""}]}
    )
    assert text_of(template) == (
        "=== message 1 (system), block 1 ===\nBe kind.\n=== message 3 (user), block 2 ===\nHello {name}"
    )
    completion = {"type": "completion", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert text_of(completion) == "=== block 1 ===\na\n=== block 2 ===\nb"


def test_a_line_of_a_text_that_looks_like_a_marker_makes_the_markers_longer() -> None:
    template = chat("See\n=== message 2 (user), block 1 ===\nbelow.", "Hello")
    text = text_of(template)
    assert text.startswith("==== message 1 (system), block 1 ====\n")
    assert with_text(template, text.replace("Hello", "Good day"))["messages"][0] == template["messages"][0]


MARKED = text_of(chat("Be kind.", "Hello"))


@pytest.mark.parametrize(
    "text",
    [
        "Be kind.",
        "",
        MARKED.replace("(user)", "(assistant)"),
        MARKED.replace("=== message 2 (user), block 1 ===\n", ""),
        MARKED + "\n=== message 3 (user), block 1 ===\nMore",
        "Before\n" + MARKED,
        "\n".join([*MARKED.split("\n")[2:], *MARKED.split("\n")[:2]]),
    ],
)
def test_a_text_whose_markers_are_not_those_of_the_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="The 2 lines that name the messages"):
        with_text(chat("Be kind.", "Hello"), text)


def test_a_text_that_would_read_back_differently_is_refused() -> None:
    template = chat("See\n=== message 2 (user), block 1 ===\nbelow.", "Hello")
    with pytest.raises(TemplateError, match="looks like one that names a message"):
        with_text(template, text_of(template).replace("\n=== message 2 (user), block 1 ===\nbelow", ""))
    with pytest.raises(TemplateError, match="no text block"):
        with_text({"type": "chat", "messages": []}, "text")


def test_the_variables_follow_the_text_of_their_message_and_of_the_whole() -> None:
    template = chat("{tone} {{not}}", "{tone} {guest.name:>{width}}")
    template["input_variables"].append("of_a_snippet")
    changed = with_text(template, text_of(template).replace("{tone} {{not}}", "{mood} @@@house@@@"))
    assert [one["input_variables"] for one in changed["messages"]] == [["mood"], ["tone", "guest", "width"]]
    assert changed["input_variables"] == ["tone", "guest", "width", "of_a_snippet", "mood"]


def test_lists_of_variables_that_a_template_does_not_have_are_not_added() -> None:
    template = {"type": "chat", "messages": [{"role": "system", "content": [{"type": "text", "text": "{a}"}]}]}
    assert with_text(template, "{b}") == {
        "type": "chat",
        "messages": [{"role": "system", "content": [{"type": "text", "text": "{b}"}]}],
    }


@pytest.mark.parametrize(
    ("text", "template_format", "found"),
    [
        ("{a} {b.c} {d[0]} {e!r} {f:>{g}} {{h}} {}", "f-string", ("a", "b", "d", "e", "f", "g")),
        ("{the guest} {guest-id} {0} {a b.c}", "f-string", ("the guest", "guest-id", "a b")),
        ('{"a": 1} and {open', "f-string", ()),
        ('{"a": 1}', "f-string", ()),
        ("{{ a }} {{- b.c | default('d') -}} {{ e[f] }}", "jinja2", ("a", "b", "e", "f")),
        ("{% for x, y in xs if x is not none %}{{ x }}{{ loop.index }}{% endfor %}", "jinja2", ("xs",)),
        ("{% if a == b and c is defined %}{{ range(n) }}{% endif %}", "jinja2", ("a", "b", "c", "n")),
        ("{% set t = u %}{{ t }} {# {{ v }} #}{% raw %}{{ w }}{% endraw %} {z}", "jinja2", ("u",)),
    ],
)
def test_variables_are_read_as_the_format_has_them(text: str, template_format: str, found: tuple[str, ...]) -> None:
    assert variables_of(text, template_format) == found


def test_a_new_template_is_of_the_format_that_its_text_is_in() -> None:
    for text, template_format, found in [
        ("Be {tone}.", "f-string", ["tone"]),
        ("{{PLAYBOOKS}}", "jinja2", ["PLAYBOOKS"]),
        ('Answer {"a": 1}', "jinja2", []),
        ("Plain.", "jinja2", []),
    ]:
        template = new_template(text)
        assert text_of(template) == text
        (message,) = template["messages"]
        assert (message["template_format"], message["input_variables"]) == (template_format, found)
        assert template["input_variables"] == found
