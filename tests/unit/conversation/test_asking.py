"""The text that asks back: one short sentence, and replies that fit this session."""

from __future__ import annotations

import pytest

from bot.conversation.commands import Question
from bot.conversation.grammar import help_text, parse
from tests.unit.conversation.sessions import BLOG_WRITER, session


def _ask(text: str, shape: str = "1c 2g 3p 4p 5c") -> Question:
    answer = parse(text, session(shape))
    assert isinstance(answer, Question), answer
    return answer


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("deploy 3 to prod", 'I do not understand "to" there.'),
        ("make it so", 'I do not know "make".'),
        ("3", "What should happen with 3?"),
        ("deploy 3 if green", "That reads as a condition; I act only on a plain order."),
        ("deploy 3?", "That reads as a question, so nothing is done."),
        ("no, deploy 3", "There is a no in it, so nothing is done."),
        ("deploy 3 or 4", 'An "or" leaves two readings, so nothing is done.'),
        ("deploy all, remove 3", "These orders contradict each other, so nothing is done."),
        ('"deploy all"', "Quoted words are not an order; please send it without the quote."),
        ("deploy 3 and", "The message seems to end too early."),
        ("deploy all \u202e", "There is a sign in it that I cannot read."),
        ("", "There is no order in that."),
    ],
)
def test_the_question_names_what_was_not_understood(text: str, sentence: str) -> None:
    assert _ask(text).text == sentence


def test_the_choices_are_about_the_numbers_that_were_named() -> None:
    assert _ask("asdf").choices == ("deploy 3", "deploy all", "show 3", "skip")
    assert _ask("asdf 4").choices == ("deploy 4", "deploy all", "show 4", "skip")
    assert _ask("deploy 3 or 4").choices == ("deploy 3 and 4", "deploy all", "show 3", "skip")
    assert _ask("asdf", "1c 2g").choices == ("show 1", "skip")


def test_with_nothing_pending_it_offers_a_run() -> None:
    assert _ask("asdf", "").choices == ("run optimization", "status", "help")


def test_after_a_no_nothing_that_deploys_is_offered() -> None:
    for text in ("no, deploy 3", "don't deploy 9", "don't deploy all", "no", "\U0001f44e"):
        assert not any("deploy" in choice for choice in _ask(text).choices)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("delpoy all", "deploy all"),
        ("remvoe 3, delpoy", "remove 3, deploy"),
        ("shwo 3", "show 3"),
        ("/stauts", "status"),
    ],
)
def test_a_misspelt_verb_is_offered_and_not_acted_on(text: str, meant: str) -> None:
    question = _ask(text)
    assert question.text.endswith(f'Did you mean "{meant}"?')
    assert question.choices[0] == meant


def test_a_verb_without_its_item_offers_the_items() -> None:
    assert _ask("never", "1c 3p").choices == ("never 1", "never 3")
    assert _ask("why?").choices[0] == "tell me more about 1"


def test_a_foreign_word_is_cut_short() -> None:
    assert _ask("x" * 500).text == f'I do not know "{"x" * 23}\u2026".'


def test_the_help_names_the_replies_of_this_session() -> None:
    assert help_text(BLOG_WRITER).splitlines() == [
        "You can reply:",
        "deploy all \u00b7 deploy 3",
        "deploy all but 4",
        "remove 3, deploy",
        "show 3 \u00b7 show all \u00b7 more",
        "tell me more about 3",
        "remove 1 \u00b7 never 1",
        "done 1",
        "skip \u00b7 snooze 2h",
        "status \u00b7 history",
        "rollback \u00b7 undo \u00b7 stop",
        "freeze: why \u00b7 unfreeze",
        "run optimization \u00b7 help",
    ]
