"""What was answered is not proposed again unless its facts got worse. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from optimizer.records.findings import Finding
from optimizer.records.session import Answered
from optimizer.records.states import ItemState

NOT_NOW = timedelta(days=7)  # "skip" and "remove" mean not now; what was done has so long to show that it helped
WORSE = 1.5  # times

# Until when an answer holds by itself; the rest hold until the facts are worse.
_FOR_A_WHILE = frozenset({ItemState.removed, ItemState.failed, ItemState.done})


def answered_already(finding: Finding, answered: Answered | None, at: datetime) -> str | None:
    """Why this finding is not proposed again now; None when it is."""
    if answered is None or answered.answered_at is None or answered.state is ItemState.open:
        return None
    then = _severity_then(answered)
    if finding.severity > then and finding.severity >= _worse_from(finding, then):
        return None
    if answered.state in _FOR_A_WHILE and at >= answered.answered_at + NOT_NOW:
        return None
    return f"answered before ({answered.state.value}) and not {WORSE} times worse since"


def got_worse(finding: Finding, answered: Answered | None) -> str | None:
    """What an item that comes back says about it; None for one that is new."""
    if answered is None or answered.answered_at is None or answered.state is ItemState.open:
        return None
    spoken = _SPOKEN.get(answered.state, "answered")
    then = _severity_then(answered)
    if then == 0:
        return f"It was {spoken} before and was gone; now it is back."
    if finding.severity > then and finding.severity >= _worse_from(finding, then):
        return f"It was {spoken} before and is {finding.severity / then:.1f} times worse now."
    return f"It was {spoken} before and is still there."


def _worse_from(finding: Finding, then: float) -> float:
    """1.5 times; for what was bad already, half of what there was left to get worse."""
    return min(WORSE * then, (then + finding.severity_max) / 2)


def _severity_then(answered: Answered) -> float:
    """How bad it was when it was answered, or at the verdict of what was deployed."""
    return answered.severity if answered.answered_severity is None else answered.answered_severity


def rule_starts(answered: Mapping[str, Answered]) -> dict[str, datetime]:
    """By finding key: a rule's window starts no earlier than the deployment or "done" that answered it."""
    return {
        key: item.answered_at
        for key, item in answered.items()
        if item.answered_at is not None and item.state in (ItemState.deployed, ItemState.done)
    }


_SPOKEN = {
    ItemState.removed: "removed",
    ItemState.muted: "muted",
    ItemState.deployed: "deployed",
    ItemState.done: "reported done",
    ItemState.failed: "tried",
    ItemState.approved: "approved",
    ItemState.wont_fix: "declined",
    ItemState.intended: "called intended",
}
