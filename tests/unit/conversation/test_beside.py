"""Talk between people beside the bot: silence, unless one of them clearly gives it an order."""

from __future__ import annotations

import pytest

from bot.conversation.beside import is_acknowledgement, is_order
from bot.conversation.commands import PendingItem

PENDING = [PendingItem(1, "prompt_change"), PendingItem(2, "code_change"), PendingItem(3, "prompt_change")]


@pytest.mark.parametrize(
    "text", ["deploy all", "remove 3, deploy", "show 3", "status", "rollback", "stop", "skip", "restore 3"]
)
def test_an_order_is_one(text: str) -> None:
    assert is_order(text, PENDING)


@pytest.mark.parametrize(
    "text",
    ["did you see the game?", "looks good to me", "I think we should deploy all", "@Eve deploy all", "thanks!", "later",
     "yes", "not now", "no", "3", "should we deploy 3?", "> deploy all", "`deploy all`", "deploy 9", "help",
     "\U0001f44d", ""],
)  # fmt: skip
def test_talk_is_none(text: str) -> None:
    assert not is_order(text, PENDING)


def test_a_bare_yes_may_answer_the_bot() -> None:
    assert is_acknowledgement("yes")
    assert is_acknowledgement("no")
    assert not is_acknowledgement("deploy all")
