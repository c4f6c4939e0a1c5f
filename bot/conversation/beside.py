"""Talk between people beside the bot: what of it is an order all the same. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.conversation.commands import Action, PendingItem, Question, Understood
from bot.conversation.grammar import parse

_ORDERS = frozenset(
    {
        Action.DEPLOY,
        Action.SHOW,
        Action.EXPLAIN,
        Action.REMOVE,
        Action.RESTORE,
        Action.RUN,
        Action.STATUS,
        Action.ROLLBACK,
        Action.UNDO,
        Action.STOP,
        Action.HISTORY,
        Action.DONE,
        Action.MUTE,
        Action.MORE,
    }
)
# People say "later" and "not now" to each other: these have to be called by their name.
_BY_NAME = frozenset({Action.SKIP, Action.SNOOZE})
_THUMBS = frozenset({"\U0001f44d", "\U0001f44e"})


def is_order(text: str, pending: Sequence[PendingItem], prompts: Collection[str] = ()) -> bool:
    """Whether it says clearly what to do. A question, a guess, thanks and a bare yes are for the others."""
    if "?" in text:
        return False
    answer = parse(text, pending, prompts)
    return isinstance(answer, Understood) and all(
        one.action in _ORDERS or (one.action in _BY_NAME and one.action.value in text.lower())
        for one in answer.commands
    )


def is_acknowledgement(text: str) -> bool:
    """A bare yes or no: it answers the bot's own open question, if there is one."""
    answer = parse(text, ())
    return isinstance(answer, Question) and answer.acknowledgement is not None


def is_thumb(text: str) -> bool:
    return text in _THUMBS
