"""Freeze and unfreeze: what is one, what is not, and that neither ever deploys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.commands import Action, Command, Question, Understood
from bot.conversation.grammar import parse
from tests.unit.conversation.sessions import BLOG_WRITER


def said(text: str) -> Command:
    answer = parse(text, BLOG_WRITER)
    assert isinstance(answer, Understood), answer
    (command,) = answer.commands
    assert answer.deploys == ()
    return command


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("freeze", ""),
        ("Freeze!", ""),
        ("please freeze", ""),
        ("freeze deployments", ""),
        ("freeze all deployments now", ""),
        ("freeze everything", ""),
        ("freeze: demo at noon", "demo at noon"),
        ("Freeze deployments: the demo, 3 of them; don't deploy 4", "the demo, 3 of them; don't deploy 4"),
        ("freeze: deploy all", "deploy all"),
    ],
)
def test_a_freeze_is_understood_with_its_reason(text: str, reason: str) -> None:
    command = said(text)
    assert (command.action, command.reason.strip()) == (Action.FREEZE, reason)


@pytest.mark.parametrize("text", ["unfreeze", "Unfreeze deployments.", "please unfreeze", "unfreeze it"])
def test_a_freeze_is_lifted_by_one_plain_word(text: str) -> None:
    assert said(text).action is Action.UNFREEZE


@pytest.mark.parametrize(
    "text",
    [
        "don't freeze",
        "should we freeze?",
        "freeze?",
        "freeze 3",
        "freeze, deploy all",
        "deploy all, freeze",
        "freeze and deploy 3",
        "freeze until monday",
        "freeze because of the demo",
        "lift the freeze",
        "freeze:",
        "don't unfreeze",
        "never unfreeze",
        "unfreeze?",
        "unfreeze if it is green",
        "unfreeze tomorrow",
        "maybe unfreeze",
        "no, unfreeze",
        "dana said unfreeze",
        '"unfreeze"',
        "> freeze\nunfreeze",
        "unfreeze, deploy all",
        "unfreeze and deploy 3",
        "unfreeze: why not",
    ],
)
def test_what_is_not_plain_is_asked_about(text: str) -> None:
    assert isinstance(parse(text, BLOG_WRITER), Question)


def test_the_question_says_how_it_is_said() -> None:
    question = parse("freeze until monday", BLOG_WRITER)
    assert isinstance(question, Question)
    assert question.text == 'To stop all deployments, send "freeze" or "freeze: why"; to allow them again, "unfreeze".'
    assert not any("deploy" in choice for choice in question.choices)


def test_both_work_while_nothing_is_pending() -> None:
    for text, action in (("freeze: demo", Action.FREEZE), ("unfreeze", Action.UNFREEZE)):
        answer = parse(text, ())
        assert isinstance(answer, Understood)
        assert answer.commands[0].action is action


@given(st.text(max_size=80), st.sampled_from(["freeze", "freeze:", "freeze deployments:", "unfreeze", "unfreeze,"]))
def test_nothing_after_these_words_deploys(text: str, opening: str) -> None:
    answer = parse(f"{opening} {text}", BLOG_WRITER)
    assert isinstance(answer, Question) or answer.deploys == ()


@given(st.sampled_from(["not", "don't", "never", "if", "maybe", "?", "or", "tomorrow", '"', "said"]), st.booleans())
def test_a_guard_beside_it_never_lifts_a_freeze(guard: str, first: bool) -> None:
    answer = parse(f"{guard} unfreeze" if first else f"unfreeze {guard}", BLOG_WRITER)
    assert isinstance(answer, Question) or all(one.action is not Action.UNFREEZE for one in answer.commands)
