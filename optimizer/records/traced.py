"""What the traces of a span say about the prompt versions that they ran under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from optimizer.records.base import Record
from optimizer.records.window import Window


class Ran(NamedTuple):
    """How many agent sessions began under one reference, and in which hours the first and the last of them."""

    n: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Segment:
    """One span of folded hours: all agent sessions, and those that name a version, by (prompt, reference)."""

    window: Window
    sessions: int
    references: Mapping[tuple[str, str], Ran]  # the prompt is "" where the trace named none
    complete: bool  # False: there are more references than were read


class Traced(Record):
    """Of one prompt: how many agent sessions of a span named a version of it, and a version that is known."""

    prompt: str
    days: int
    sessions: int
    named: int
    known: int
