"""What is noticed after a deployment: what sessions name, where the registry stands, how prompts are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from optimizer.records.base import Record
from optimizer.records.deployment import Follow
from optimizer.records.window import Window

SightingKind = Literal["back_seen", "still_old", "back_still_old", "place", "left_behind"]


class Sighting(Record):
    """Something that was noticed about a deployment, and told once."""

    deployment_id: UUID
    what: SightingKind
    value: str  # of place: the version that the registry gives; of left_behind: versions, as in "3, 4"
    body: dict[str, Any]
    at: datetime


class Named(NamedTuple):
    """Sessions that began in a span and name one version, in whatever words."""

    n: int
    traces: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Span:
    """What was looked at of one span of time: exact, and from the traces themselves."""

    window: Window
    sessions: int  # that began in it
    traces: int  # that were looked at: as many as were asked for where there are more
    names: Mapping[tuple[str, str], Named]  # by (prompt, reference); the prompt is "" where the trace named none


class Loading(Record):
    """How the traces show that an agent loads one prompt, with the newest stretch of time that shows it."""

    prompt: str
    follow: Follow
    label: str  # which label, where it follows one; else the one that is configured
    sessions: int  # that could tell
    agreeing: int  # of these: ran what this way of loading gives
    since: datetime  # the newest stretch begins
    version: int | None = None  # that ran in it; None where traces name the label itself
    newest: int | None = None  # the newest version then
    stood: int | None = None  # where the configured label stood then
