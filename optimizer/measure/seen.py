"""Whether traffic runs what it should since the last change of a prompt, by what its sessions name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from optimizer.records.deployment import Deployment
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState
from optimizer.records.watched import Span
from optimizer.records.window import Window

# None of ten sessions under the new version: with 95 % confidence at most a quarter of all run it (1 - 0.05 ** 0.1).
STILL_OLD_SESSIONS = 10
NEW_SHARE_MAX = 0.1  # so few under the new version are a process among many, and the others are told of
CACHES_LAST = timedelta(minutes=5)  # sessions under the old version that soon after are no news

Means = Callable[[str, str, Window], frozenset[str]]  # prompt, reference, when -> `name@version` of all that ran


@dataclass(frozen=True)
class Change:
    """The last change of what a prompt's traffic should run: a deployment that stands, or one that was taken back."""

    deployment: Deployment
    back: bool
    at: datetime

    @property
    def event(self) -> str:
        return "rolled_back" if self.back else "deployed"

    def as_body(self) -> dict[str, Any]:
        """What every notice about it says."""
        one = self.deployment
        return {
            "deployment_id": str(one.id),
            "prompt": one.prompt,
            "follow": one.follow,
            "base_version": one.over_version,
            "new_version": one.new_version,
            "back": self.back,
        }

    def notice(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Nobody did this: everyone hears of it."""
        session_id = str(self.deployment.session_id) if self.deployment.session_id else None
        return {"kind": kind, "session_id": session_id, "actor": None, "body": body}


@dataclass(frozen=True)
class Traffic:
    """Sessions since a change, of those that name a version of the prompt that is known."""

    new: int  # run what they should
    old: int  # still run what was there before
    first_at: datetime | None  # the first of the new ones

    @property
    def still_old(self) -> bool:
        return self.old >= STILL_OLD_SESSIONS and self.new <= NEW_SHARE_MAX * (self.new + self.old)


def last_changes(deployments: Iterable[Deployment]) -> tuple[Change, ...]:
    """One of each prompt; none where something is on its way there or back, so that the change is not over."""
    busy: set[str] = set()
    last: dict[str, Change] = {}
    for one in deployments:
        if one.state in UNDER_WAY or (one.state in LIVE and not one.stands):
            busy.add(one.prompt)
        back = one.state is DeploymentState.rolled_back
        at = one.ended_at if back else one.live_at
        if one.live_at is None or at is None or not (back or one.stands):
            continue
        if back and "by" in (one.rollback or {}):
            continue  # a later deployment took its place: that one is the change
        known = last.get(one.prompt)
        if known is None or known.at < at:
            last[one.prompt] = Change(one, back, at)
    return tuple(change for prompt, change in last.items() if prompt not in busy)


def traffic_of(change: Change, spans: Sequence[Span], means: Means) -> Traffic:
    """What the sessions of these spans ran. `spans` are cut where a reference changes its meaning, and at the end of
    `CACHES_LAST`. A reference that nobody knows counts on neither side.
    """
    prompt = change.deployment.prompt
    changed = f"{prompt}@{change.deployment.new_version}"
    new = old = 0
    first: list[datetime] = []
    for span in spans:
        for (name, reference), ran in span.names.items():
            versions = {said for said in means(name, reference, span.window) if said.rpartition("@")[0] == prompt}
            if not versions:
                continue
            if (changed in versions) is not change.back:
                new += ran.n
                first.append(ran.first)
            elif span.window.since >= change.at + CACHES_LAST:
                old += ran.n
    return Traffic(new, old, min(first, default=None))


def spans_since(change: Change, spans: Iterable[Window]) -> list[Window]:
    """Windows since the change, cut at the end of `CACHES_LAST`."""
    end = change.at + CACHES_LAST
    cut: list[Window] = []
    for one in spans:
        if one.since < end < one.until:
            cut += [Window(since=one.since, until=end), Window(since=end, until=one.until)]
        else:
            cut.append(one)
    return cut
