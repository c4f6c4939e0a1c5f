"""A prompt's text, sentence by sentence, with what brought it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from optimizer.records.base import Record
from optimizer.records.deployment import DeploymentKind, Provenance
from optimizer.records.states import DeploymentState
from optimizer.records.verdict import Verdict


class Brought(Record):
    """One version that a blame names.

    `by`: `base` stood there before the first deployment; `hand` was published by somebody after that.
    """

    version: int
    by: Literal["base", "hand", "ratchet"]
    published_at: datetime | None  # None where the registry does not say
    deployment_id: UUID | None = None
    kind: DeploymentKind = "change"
    state: DeploymentState | None = None  # None: the registry names a deployment that the database does not know
    live_at: datetime | None = None
    ended_at: datetime | None = None
    provenance: Provenance = Provenance()  # from the database, else from the registry's metadata
    verdict: Verdict | None = None


class BlamedSentence(Record):
    """`text` with the blanks and line breaks after it; `items`: those of the version that brought it."""

    text: str
    version: int
    items: tuple[UUID, ...] = ()


class BlamedGone(Record):
    """What a version took away; it stood before the sentence at `before`, or at the end."""

    before: int
    text: str
    version: int
    items: tuple[UUID, ...] = ()


class Blamed(Record):
    """All sentences in their order: put together they are the text of `version`."""

    agent: str
    prompt: str
    version: int
    text_of: int  # the oldest version with this text
    labels: tuple[str, ...]  # that stand on `version`
    is_running: bool | None  # whether the agent gets it now; None where it is pinned to a version of its own
    oldest: int  # how far back was looked: what it has may be older, where earlier versions are left
    has_older: bool
    sentences: tuple[BlamedSentence, ...]
    gone: tuple[BlamedGone, ...]
    versions: tuple[Brought, ...]  # those that are named, and `text_of`; newest first
