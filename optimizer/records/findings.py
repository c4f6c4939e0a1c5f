"""One thing that is wrong, and the change that answers it."""

from __future__ import annotations

import math
from enum import StrEnum

from optimizer.records.base import Record, canonical_json, sha256_of
from optimizer.records.edits import Edit


class Goal(StrEnum):
    accuracy = "accuracy"
    capability = "capability"
    cost = "cost"


class ItemType(StrEnum):
    prompt_change = "prompt_change"  # deployable
    config_change = "config_change"  # a person does it, and the next runs check
    code_change = "code_change"


class CitedFact(Record):
    """A fact as a rule names it, before it has an id: measured by us, never by a model."""

    name: str
    labels: dict[str, str]
    value: float
    n: int | None
    baseline: float | None = None
    samples: tuple[str, ...] = ()


class Finding(Record):
    """What a rule saw. `key` is what it is about: the same trouble tomorrow has the same key."""

    key: str  # "tool_failing:write_article"
    rule: str
    goal: Goal
    title: str  # one line for a phone
    detail: str  # the reason in plain words, the cost, what would help
    severity: float  # how bad, in the unit of its rule: "1.5 times worse" compares these
    severity_max: float = math.inf  # 1 where it is a share, which has no room for 1.5 times
    impact: float  # for the order inside a goal: sessions a day, or tokens a day for cost
    cites: tuple[CitedFact, ...]
    tool: str | None = None
    edits: tuple[Edit, ...] = ()  # where the rule itself knows the change (duplicated text)
    advice: str | None = None  # a rule for the prompt, in our words, that `propose` turns into an edit
    by_hand: ItemType = ItemType.code_change  # what a person has to change where no edit answers it


class Watching(Record):
    """Seen and not yet sure: one line, no item."""

    key: str
    text: str  # "write_article failed 2 of 12"


def content_sha256(type_: ItemType, edits: tuple[Edit, ...]) -> str:
    """The hash that an approval is bound to: canonical JSON of type and edits."""
    return sha256_of(canonical_json({"type": type_.value, "edits": [edit.model_dump() for edit in edits]}))
