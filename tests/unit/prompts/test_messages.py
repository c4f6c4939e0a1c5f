"""Templates with several messages: where an edit may stand, and how the difference names it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from optimizer.errors import InputError
from optimizer.prompts.anchors import edit_for_span, edit_to_remove
from optimizer.prompts.diff import prompt_diff, render_plain
from optimizer.prompts.duplicates import included_blocks, repeated_blocks
from optimizer.prompts.edits import EditProblem, compose, locate, problems
from optimizer.prompts.messages import MARKER, messages_of
from optimizer.prompts.sections import best_section, insert_rule
from optimizer.prompts.spans import Span
from optimizer.prompts.templates import TemplateError, text_of, with_text
from optimizer.records.edits import Edit
from tests.unit.prompts.drawn_templates import IMAGE, chat, conversations, editable, templates, texts

TWO = text_of(chat("# Rules\n\nBe kind.\n\nBe short.", "Hello {name}.\nBe kind to me."))
BLOCK = "## Payment\n\n" + "\n".join(f"- Rule {n} of the payment, which is never broken." for n in range(6))


def of_messages(base: str, *edits: tuple[str, str]) -> list[str]:
    found = problems(base, [Edit(prompt="core", find=find, replace=replace) for find, replace in edits])
    return [problem.sentence for problem in found if problem.kind == "message"]


def test_the_messages_of_a_text_are_named_with_where_their_texts_stand() -> None:
    assert [(one.name, one.role, TWO[one.body.start : one.body.end]) for one in messages_of(TWO)] == [
        ("message 1 (system)", "system", "# Rules\n\nBe kind.\n\nBe short."),
        ("message 2 (user)", "user", "Hello {name}.\nBe kind to me."),
    ]
    template = chat("a", "b")
    template["messages"][1]["content"] += [IMAGE, {"type": "text", "text": "c"}]
    names = ["message 1 (system)", "message 2 (user), block 1", "message 2 (user), block 3"]
    assert [one.name for one in messages_of(text_of(template))] == names
    completion = {"type": "completion", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]}
    assert [one.name for one in messages_of(text_of(completion))] == ["block 1", "block 2"]


@pytest.mark.parametrize("text", ["", "Plain.", "=== block 1 ===\nalone", f"Above\n{TWO}", TWO.replace("2 (", "1 (")])
def test_another_text_has_no_messages(text: str) -> None:
    assert messages_of(text) == ()


@given(templates)
def test_every_text_block_of_a_template_is_found(template: dict[str, Any]) -> None:
    text, blocks = text_of(template), editable(template)
    found = [text[one.body.start : one.body.end] for one in messages_of(text)]
    assert found == ([block["text"] for block in blocks] if len(blocks) > 1 else [])


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ("=== message 2 (user), block 1 ===\n", "", "reaches over the line that names message 2 (user)"),
        ("message 2 (user)", "message 2 (assistant)", "reaches over the line that names message 2 (user)"),
        ("Be short.\n=== message 2 (user), block 1 ===\nHello", "Hello", "reaches over the line that names message 2"),
        ("Be short.\n", "Be brief.\n", "reaches over the line that names message 2"),
        (TWO, "Anything.", "reaches over the line that names message 1"),
        (
            "Be short.",
            "Be short.\n=== message 3 (user), block 1 ===\nMore.",
            "writes or drops a line as those that name",
        ),
        ("Be short.", "See\n==== block 1 ====\nbelow.", "writes or drops a line as those that name"),
    ],
)
def test_an_edit_over_the_line_that_names_a_message_is_told(find: str, replace: str, said: str) -> None:
    (sentence,) = of_messages(TWO, (find, replace))
    assert said in sentence


def test_an_edit_within_a_message_is_fine_up_to_its_edges() -> None:
    assert of_messages(TWO, ("# Rules\n\nBe kind.\n\nBe short.", ""), ("Hello {name}.", "Hi {name}.")) == []
    assert problems("=== block 1 ===\nalone", [Edit(prompt="core", find="block 1", replace="block 2")]) == ()


def test_a_text_that_is_no_template_does_not_become_one() -> None:
    (sentence,) = of_messages("Hello", ("Hello", TWO))
    assert "writes or drops a line" in sentence


def test_edits_that_only_together_change_what_counts_as_a_name_are_told() -> None:
    base = text_of(chat("See\n=== block 1 ===\nand\n=== block 2 ===\nbelow.", "Hello"))
    one, other = ("=== block 1 ===", "the first"), ("=== block 2 ===", "the second")
    assert of_messages(base, one) == of_messages(base, other) == []
    assert of_messages(base, one, other) == [
        "Together the edits of 'core' write or drop a line as those that name messages; keep one."
    ]


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # many drawn finds stand twice in small alphabets
@given(templates, st.data())
def test_what_the_checks_of_edits_let_pass_can_be_published(template: dict[str, Any], data: st.DataObject) -> None:
    text = text_of(template)
    assume(text)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    edit = Edit(prompt="core", find=text[start:end], replace=data.draw(texts))
    found: tuple[EditProblem, ...] = problems(text, [edit])
    assume(not any(problem.kind in ("ambiguous", "missing") for problem in found))
    new = compose(text, [edit])
    if not any(problem.kind == "message" for problem in found):
        assert text_of(with_text(template, new)) == new
    elif len(editable(template)) > 1 and new != text and MARKER.search(edit.find) is None:
        try:
            changed = with_text(template, new)
        except TemplateError:
            return
        assert [one.name for one in messages_of(text_of(changed))] == [one.name for one in messages_of(text)]


def test_a_block_that_stands_in_two_messages_is_taken_out_of_one_alone() -> None:
    base = text_of(chat(f"# Desk\n\nBe kind.\n\n{BLOCK}", f"{BLOCK}\n\nHello.", f"Bye.\n\n{BLOCK}\n\nReally."))
    (repeat,) = repeated_blocks(base)
    assert [base[span.start : span.end] for span in (repeat.first, *repeat.further)] == [BLOCK] * 3
    edits = [
        edit_to_remove("core", base, *copy_, clear_of=[other for other in repeat.further if other != copy_])
        for copy_ in repeat.further
    ]
    assert problems(base, edits) == ()
    new = compose(base, edits)
    assert [new[one.body.start : one.body.end] for one in messages_of(new)] == [
        f"# Desk\n\nBe kind.\n\n{BLOCK}",
        "Hello.",
        "Bye.\n\nReally.",
    ]


def test_the_last_section_of_a_message_ends_with_it() -> None:
    base = text_of(chat(f"{BLOCK}\n\n## More\n\nText.", f"Hello.\n\n{BLOCK}", "## Next\n\nAnother."))
    (repeat,) = repeated_blocks(base)
    edit = edit_to_remove("core", base, *repeat.further[0])
    assert problems(base, [edit]) == ()
    new = compose(base, [edit])
    assert [new[one.body.start : one.body.end] for one in messages_of(new)][1] == "Hello."


def test_two_templates_have_no_line_that_names_a_message_in_common() -> None:
    included, base = text_of(chat(BLOCK, "Hello.")), text_of(chat(BLOCK, "Bye."))
    (found,) = included_blocks(base, {"{{OTHER}}": included})
    assert base[found.span.start : found.span.end] == BLOCK


def test_a_rule_goes_into_the_instructions_and_stays_within_its_message() -> None:
    base = text_of(chat("# Rules\n\n- Be kind.", "# Tools\n\nUse book_room for me.\n\n- Now."))
    assert best_section(base, ["book_room"]).title == "Rules"
    edit = insert_rule("core", base, "Read the dates back.", ["book_room"])
    assert problems(base, [edit]) == ()
    assert "- Be kind.\n- Read the dates back.\n=== message 2 (user)" in compose(base, [edit])
    # Where nothing instructs, what is there has to do.
    completion = {"type": "completion", "content": [{"type": "text", "text": text} for text in ("Write.", "Of {x}.")]}
    edit = insert_rule("core", text_of(completion), "Be brief.", [])
    assert problems(text_of(completion), [edit]) == ()


@given(conversations, st.data())
def test_no_edit_that_is_made_here_leaves_its_message(template: dict[str, Any], data: st.DataObject) -> None:
    text = text_of(template)
    body = data.draw(st.sampled_from([one.body for one in messages_of(text)]))
    start = data.draw(st.integers(body.start, body.end - 1))
    span = Span(start, data.draw(st.integers(start + 1, body.end)))
    try:
        made = [
            edit_for_span("core", text, *span, "Another."),
            edit_to_remove("core", text, *span),
            insert_rule("core", text, "A rule.", ["book_room"]),
        ]
        places = [locate(text, edit) for edit in made]
    except InputError:
        return  # there is no place that stands there once
    for place in places:
        assert any(one.body.start <= place.start and place.end <= one.body.end for one in messages_of(text))


def test_the_difference_is_told_message_by_message_and_shows_none_of_the_lines_that_name_them() -> None:
    new = TWO.replace("Be short.", "Be brief.").replace("Hello", "Good day")
    found = prompt_diff(TWO, new, context_words=2)
    assert [one.message for one in found] == ["message 1 (system)", "message 2 (user)"]
    assert [render_plain(one.hunks) for one in found] == [
        "... 3 words ...\nkind.\n\nBe [-short.-] {+brief.+}",
        "[-Hello-] {+Good day+} {name}.\nBe ",
    ]
    assert [one.message for one in prompt_diff(TWO, TWO.replace("Hello", "Hi"))] == ["message 2 (user)"]
    assert [one.message for one in prompt_diff("One.", "Two.")] == [""]
    assert prompt_diff(TWO, TWO) == prompt_diff("One.", "One.") == ()


@given(conversations, st.data())
def test_no_line_that_names_a_message_is_ever_shown(template: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(template)
    editable(changed)[data.draw(st.integers(0, len(editable(template)) - 1))]["text"] = data.draw(st.text(max_size=20))
    old, new = text_of(template), text_of(changed)
    shown = "".join(render_plain(one.hunks) for one in prompt_diff(old, new, context_words=100))
    for one in messages_of(old):
        line = old[one.marker.start : one.marker.end].strip("\n")
        assert line not in shown
