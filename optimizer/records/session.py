"""The session that waits for a decision, and its numbered items."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from optimizer.records.base import Record
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.findings import Goal, ItemType, Watching
from optimizer.records.states import ItemState, SessionState
from optimizer.records.verdict import Verdict


class Vote(Record):
    """One person's yes to an item, bound to what was shown."""

    person: str  # a name under [people]; else the channel identity itself
    actor: str
    content_sha256: str
    base_sha256: dict[str, str]
    words: str
    voted_at: datetime


class Item(Record):
    """A numbered proposal. `n` is a view; `id` and `content_sha256` are what an approval is bound to."""

    id: UUID
    n: int
    agent: str
    key: str
    rule: str
    goal: Goal
    type: ItemType
    title: str
    detail: str
    facts: tuple[str, ...]  # ids in the session's list
    edits: tuple[Edit, ...]
    base_sha256: dict[str, str]  # prompt -> hash of the text that was shown as the base
    requires: tuple[UUID, ...]
    content_sha256: str
    state: ItemState
    severity: float
    first_seen_at: datetime
    answered_at: datetime | None = None
    answered_severity: float | None = None
    votes: tuple[Vote, ...] = ()

    @property
    def deployable(self) -> bool:
        return self.type is ItemType.prompt_change and self.state is ItemState.open

    @property
    def prompts(self) -> tuple[str, ...]:
        return tuple(sorted({edit.prompt for edit in self.edits}))


class Header(Record):
    """What the message opens with."""

    span: str  # "24h"; of exact times: "2026-02-01 to 2026-02-26"
    exact: bool = False  # the times were given, so it is not "the last" of anything
    sessions: int
    cost_usd_mean: float | None
    verdicts: tuple[Verdict, ...] = ()
    alarms: tuple[str, ...] = ()
    requested_by: str | None = None  # channel identity of the person who asked for the run; None: the schedule
    # Sentences: prompts of its items whose deployment would not do what is believed, or could not be told apart.
    untold: tuple[str, ...] = ()


class Dropped(Record):
    """A finding that was not proposed, and why."""

    key: str
    reason: str


class Session(Record):
    """The items that wait for a decision."""

    id: UUID
    agent: str
    run_id: UUID
    environment: str
    since: datetime
    until: datetime
    state: SessionState
    revision: int
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    snoozed_until: datetime | None
    facts: tuple[Fact, ...]
    header: Header
    watching: tuple[Watching, ...]
    dropped: tuple[Dropped, ...]
    items: tuple[Item, ...]

    def numbered(self, n: int) -> Item | None:
        return next((item for item in self.items if item.n == n), None)

    def fact(self, id_: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.id == id_), None)


class Answered(Record):
    """How the newest item about a key was answered."""

    id: UUID
    key: str
    state: ItemState
    severity: float
    answered_at: datetime | None
    answered_severity: float | None
    content_sha256: str
    first_seen_at: datetime
