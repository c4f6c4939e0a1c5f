"""What the policies of an agent look at, beside the session and its people."""

from __future__ import annotations

from datetime import datetime

from optimizer.records.base import Record


class Freeze(Record):
    """Nobody deploys to the agent's prompts until someone lifts it."""

    agent: str
    actor: str
    reason: str
    frozen_at: datetime


class Standing(Record):
    """How an agent stands: whether it is frozen, and when its latest deployments were decided."""

    freeze: Freeze | None = None
    deployed_at: tuple[datetime, ...] = ()  # one time for each decision that went live or still may, oldest first
