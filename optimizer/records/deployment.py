"""One publish of one prompt, and the plan that leads to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from optimizer.records.base import Record
from optimizer.records.edits import Edit
from optimizer.records.facts import Fact
from optimizer.records.states import LIVE, DeploymentState
from optimizer.records.verdict import Verdict

Follow = Literal["label", "latest", "pinned"]
DeploymentKind = Literal["change", "without", "to_version"]


class PromptRef(Record):
    """How the agent loads one prompt."""

    label: str = "prod"
    follow: Follow = "label"
    includes: dict[str, str] = Field(
        default_factory=dict[str, str]
    )  # placeholder -> name of the prompt whose text replaces it
    required: tuple[str, ...] = ()  # placeholders that must stand in every version


class PromptVersion(Record):
    """One version as a registry holds it.

    `label_moves`: how often the label had been moved when it was read; None where the registry does not count.
    `frame_sha256`: of all that stands in a version beside its text (tools, model, ...); empty where nothing does.
    """

    prompt: str
    version: int
    text: str
    sha256: str
    frame_sha256: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    label_moves: int | None = None
    created_at: datetime | None = None  # None where the registry does not say
    template_format: str = ""  # "f-string" or "jinja2" where the registry names one


class LabelMove(Record):
    """A label of one prompt was put on a version."""

    prompt: str
    label: str
    version: int
    moved_at: datetime


class Rehearsal(Record):
    """The new text, rendered beside the base with the inputs of recent requests."""

    requests: int  # how many; 0: no request in the traces names inputs, so it was rendered with the placeholders
    variables: int = 0  # that the base asks for
    characters_max: int = 0  # of what was rendered, with its includes
    tokens_max: int = 0  # by estimate


class PlannedDeployment(Record):
    """The text that one prompt would get, with the items in it."""

    prompt: str
    label: str
    follow: Follow
    items: tuple[UUID, ...]
    base_version: int
    base_sha256: str
    text: str
    sha256: str
    rehearsal: Rehearsal | None = None


class LeftOut(Record):
    """An item that cannot go live as it is, and why."""

    item: UUID
    n: int
    reason: str
    stale: bool = False  # True: the prompt changed since it was shown; it needs a new yes
    code: str | None = None  # the check that it fails
    codes: tuple[str, ...] = ()  # all checks that a second yes has to let pass
    may_confirm: bool = False  # True: a second yes, for this item and this check alone, lets it through


class Plan(Record):
    """What approving these items would do: pure, made before the decision, stored with it."""

    deployments: tuple[PlannedDeployment, ...]  # in their order: the prompt that gains text first
    left_out: tuple[LeftOut, ...]
    untold: tuple[str, ...] = ()  # sentences: what would not reach the agent, or could not be told apart, as of today
    also: tuple[str, ...] = ()  # sentences: who else is served by the prompts that it changes

    @property
    def items(self) -> frozenset[UUID]:
        return frozenset(item for deployment in self.deployments for item in deployment.items)


class ProvenItem(Record):
    """An item as it was approved: what a version is made of."""

    id: UUID
    n: int
    title: str
    goal: str
    key: str
    facts: tuple[Fact, ...]  # with the values that were shown
    edits: tuple[Edit, ...]
    confirmed: tuple[str, ...] = ()  # the checks that a second yes let it through


class Approval(Record):
    """Who said yes, where and in which words."""

    person: str
    actor: str
    words: str
    at: datetime


class Provenance(Record):
    """Who approved what, on which evidence: written with the decision, and never changed."""

    session_id: UUID | None = None
    items: tuple[ProvenItem, ...] = ()
    approvals: tuple[Approval, ...] = ()
    rehearsal: Rehearsal | None = None  # None where it was published without one


class Step(Record):
    seq: int
    at: datetime
    step: str
    phase: Literal["before", "after", "failed"]
    detail: dict[str, Any]


class Deployment(Record):
    """One publish of one prompt, from plan to verdict."""

    id: UUID
    agent: str
    session_id: UUID | None
    batch_id: UUID
    ordinal: int
    prompt: str
    label: str
    follow: Follow
    state: DeploymentState
    revision: int
    items: tuple[UUID, ...]
    actor: str
    base_version: int
    base_sha256: str
    text: str
    sha256: str
    new_version: int | None
    reason: str | None
    planned_at: datetime
    live_at: datetime | None
    seen_at: datetime | None
    ended_at: datetime | None
    verdict: Verdict | None
    rollback: dict[str, Any] | None
    worker: str | None
    lease_until: datetime | None
    steps: tuple[Step, ...]
    kind: DeploymentKind = "change"
    target_version: int | None = None  # the version that `to_version` goes back to
    undone: tuple[UUID, ...] = ()  # items that it takes back
    passes: tuple[UUID, ...] = ()  # deployments whose place it takes: over when it is live, back when it is taken back
    provenance: Provenance = Provenance()

    @property
    def over_version(self) -> int:
        """The version whose place the new one took. It has the text of the base, and may be a later one."""
        done = (step for step in self.steps if step.phase == "after")
        return next((int(step.detail["over"]) for step in done if "over" in step.detail), self.base_version)

    @property
    def overtaken(self) -> bool:
        """Whether it did not go live because somebody changed the prompt meanwhile: what runs may be theirs."""
        return any(step.detail.get("overtaken") for step in self.steps)

    @property
    def touched(self) -> frozenset[UUID]:
        """The items that it brings or takes back: what shares one in a batch moves together, or not at all."""
        return frozenset((*self.items, *self.undone))

    @property
    def order(self) -> tuple[int, int]:
        """Of deployments of one prompt and one moment, the higher is the later: what goes back has a lower version."""
        return max(self.new_version or 0, self.base_version), self.base_version

    @property
    def was_passed(self) -> bool:
        """Over because another deployment took its place, and not by a label or a text of its own."""
        return self.rollback is not None and "by" in self.rollback

    @property
    def stands(self) -> bool:
        """Live, and nothing is under way to take it back; a rollback that failed left it standing."""
        return self.state in LIVE and (self.rollback is None or "failed" in self.rollback)
