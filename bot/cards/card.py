"""A card: what is said, in small typed blocks, and the replies that would work. No channel's markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "good", "bad"]
DiffKind = Literal["same", "removed", "added"]
PassageKind = Literal["old", "new", "gone"]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence or two."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class ItemLine:
    """A numbered item; `closed` when it does not wait for an answer any more, `prompts` what it would change if it
    were deployed."""

    n: int
    text: str
    mark: str = ""  # "removed", "live as v2", "waiting 3 days"
    closed: bool = False
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiffPart:
    kind: DiffKind
    text: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a word-level difference, its parts in reading order."""

    parts: tuple[DiffPart, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a text, behind a column of `tag`s as wide as all others that says where it comes from.

    `begins`: a line of the text begins with it; else it goes on with the one before.
    """

    tag: str
    text: str
    begins: bool = True
    kind: PassageKind = "old"


@dataclass(frozen=True, slots=True)
class Note:
    """What may be overlooked: context, hints, what was left out."""

    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """One blank line."""


Block = Line | Heading | ItemLine | DiffLine | Passage | Note | Gap


@dataclass(frozen=True, slots=True)
class Card:
    """`header` names agent and environment; `choices` are replies that work as they stand, best first."""

    header: str
    blocks: tuple[Block, ...] = ()
    choices: tuple[str, ...] = ()
