"""What a reply can mean: the records that pass between the grammar and the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

ItemType = Literal["prompt_change", "config_change", "code_change"]


class Action(StrEnum):
    DEPLOY = "deploy"
    SKIP = "skip"
    SHOW = "show"
    EXPLAIN = "explain"
    REMOVE = "remove"
    RESTORE = "restore"
    RUN = "run"
    STATUS = "status"
    ROLLBACK = "rollback"
    UNDO = "undo"
    HELP = "help"
    FEEDBACK = "feedback"
    EDIT = "edit"
    SNOOZE = "snooze"
    HISTORY = "history"
    DONE = "done"  # "done 1": a person did it
    MUTE = "mute"  # "never 3"
    MORE = "more"  # the next page
    STOP = "stop"  # halts a deployment that is under way
    FREEZE = "freeze"  # nothing is deployed until someone lifts it
    UNFREEZE = "unfreeze"
    NONE = "none"  # not for the optimizer


@dataclass(frozen=True, slots=True)
class PendingItem:
    """One item of the pending session, by the number under which it was shown."""

    n: int
    type: ItemType
    removed: bool = False

    @property
    def deployable(self) -> bool:
        return self.type == "prompt_change" and not self.removed


@dataclass(frozen=True, slots=True)
class Command:
    """One order. `items` are the numbers it covers, opened and sorted, also when `all_items` is set."""

    action: Action
    items: tuple[int, ...] = ()
    all_items: bool = False
    duration: timedelta | None = None  # snooze; None for "tomorrow" and the like: `words` has them
    words: str = ""  # as they were written
    prompt: str | None = None  # roll back: which
    version: int | None = None  # roll back: to which
    only: bool = False  # roll back: these items alone
    reason: str = ""  # of a freeze


@dataclass(frozen=True, slots=True)
class Understood:
    """Orders that are clear. `deploys` is exactly what is deployed with no further question."""

    commands: tuple[Command, ...]
    deploys: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Nothing is done; `choices` are at most four replies that would work as they stand."""

    text: str
    choices: tuple[str, ...]
    acknowledgement: Literal["yes", "no"] | None = None  # a bare yes or no, for the bot's own open question
