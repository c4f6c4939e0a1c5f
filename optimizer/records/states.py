"""The states of DESIGN 12. The allowed moves stand in the table `ratchet.transitions`; a test compares the two."""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    pending = "pending"
    decided = "decided"
    superseded = "superseded"
    skipped = "skipped"
    expired = "expired"


class ItemState(StrEnum):
    open = "open"
    removed = "removed"
    approved = "approved"
    deployed = "deployed"
    failed = "failed"
    stale = "stale"
    muted = "muted"
    done = "done"
    wont_fix = "wont_fix"
    intended = "intended"


class DeploymentState(StrEnum):
    planned = "planned"
    publishing = "publishing"
    published = "published"
    verifying = "verifying"
    live = "live"
    seen = "seen"
    halted = "halted"
    failed = "failed"
    rolled_back = "rolled_back"


UNDER_WAY = frozenset(
    {
        DeploymentState.planned,
        DeploymentState.publishing,
        DeploymentState.published,
        DeploymentState.verifying,
    }
)
LIVE = frozenset({DeploymentState.live, DeploymentState.seen})
