"""How a person says what is to be taken back: an item, a version of a prompt, and what could be either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.commands import Action, PendingItem, Question, Understood
from bot.conversation.grammar import parse

PENDING = [PendingItem(n, "prompt_change") for n in range(1, 5)]
PROMPTS = ("core", "master_system_core", "system", "sales/intro v2", "all", "Front Desk")


def understood(text: str) -> tuple[str | None, int | None, tuple[int, ...], bool]:
    """Which prompt, to which version, which items, and whether these alone."""
    answer = parse(text, PENDING, PROMPTS)
    assert isinstance(answer, Understood), text
    (command,) = answer.commands
    assert command.action is Action.ROLLBACK
    assert answer.deploys == ()
    return command.prompt, command.version, command.items, command.only


@pytest.mark.parametrize(
    ("text", "prompt", "version"),
    [
        ("roll back to v3", None, 3),
        ("rollback to version 3", None, 3),
        ("roll back core to v3", "core", 3),
        ("please roll back the core to version 12, thanks", "core", 12),
        ("revert master_system_core to 3", "master_system_core", 3),
        ("/rollback core to v1042", "core", 1042),
        ("roll back system to v1", "system", 1),
        ("roll back sales/intro v2 to v1", "sales/intro v2", 1),
        ("roll back front desk to v2", "Front Desk", 2),
        ("roll back all to v1", "all", 1),
        ("roll back core", "core", None),
    ],
)
def test_a_prompt_and_a_version_are_named(text: str, prompt: str | None, version: int | None) -> None:
    assert understood(text) == (prompt, version, (), False)


@pytest.mark.parametrize(
    ("text", "items", "only"),
    [
        ("rollback", (), False),
        ("roll back all", (), False),
        ("roll back 3", (3,), False),
        ("take back 3", (3,), False),
        ("take 3 back", (3,), False),
        ("roll 3 and 4 back", (3, 4), False),
        ("take back only 3", (3,), True),
        ("take back 3 and 4 only", (3, 4), True),
        ("only take back item 3", (3,), True),
        ("just rollback", (), False),
    ],
)
def test_items_are_named_or_nothing(text: str, items: tuple[int, ...], only: bool) -> None:
    assert understood(text) == (None, None, items, only)


@pytest.mark.parametrize(
    ("text", "asked", "choices"),
    [
        ("roll back to 3", "Item 3, or version 3?", ("roll back 3", "roll back to v3")),
        ("roll back core 3", "Version 3 of core, or item 3?", ("roll back core to v3", "roll back 3")),
        ("roll back core v3", "Version 3 of core, or item 3?", ("roll back core to v3", "roll back 3")),
    ],
)
def test_a_number_that_could_be_either_is_asked_about(text: str, asked: str, choices: tuple[str, ...]) -> None:
    answer = parse(text, PENDING, PROMPTS)
    assert isinstance(answer, Question)
    assert (answer.text, answer.choices) == (asked, choices)
    for choice in choices:
        understood(choice)


@pytest.mark.parametrize(
    "text",
    [
        "don't roll back core to v3",
        "never roll back core to v3",
        "roll back core to v3?",
        "if it fails roll back core to v3",
        "roll back core to v3 or v2",
        "roll back core to v3 tomorrow",
        "roll back unheard_of to v3",
        "roll back v3",
        "roll back core to v0",
        "roll back core to",
        "roll back to core",
        "only roll back core to v3",
        "deploy v3",
        "deploy core",
        "take back only",
    ],
)
def test_what_is_not_plainly_said_does_nothing(text: str) -> None:
    assert isinstance(parse(text, PENDING, PROMPTS), Question)


def test_taking_out_still_removes() -> None:
    answer = parse("take 3 out", PENDING, PROMPTS)
    assert isinstance(answer, Understood)
    assert [(command.action, command.items) for command in answer.commands] == [(Action.REMOVE, (3,))]


@given(st.lists(st.sampled_from([*PROMPTS, "roll back", "deploy", "to", "v3", "3", "only", "the", "and", ",", "not"])))
def test_the_name_of_a_prompt_makes_nothing_deploy_that_would_not_without_it(words: list[str]) -> None:
    text = " ".join(words)
    named, plain = parse(text, PENDING, PROMPTS), parse(text, PENDING)
    deployed = named.deploys if isinstance(named, Understood) else ()
    assert deployed == (plain.deploys if isinstance(plain, Understood) else ())
