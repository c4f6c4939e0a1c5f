"""Where the registry stands with what was deployed: whether somebody moved it elsewhere since."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from optimizer.errors import PromptNotFound
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry

_ENDED = frozenset({DeploymentState.failed, DeploymentState.halted})


class Place(NamedTuple):
    """What the agent gets of a deployed prompt. `held` is None where the label, or the prompt, is gone."""

    deployment: Deployment
    held: PromptVersion | None
    moved_at: datetime | None  # as far as the registry knows

    @property
    def elsewhere(self) -> bool:
        """Whether another text runs than the deployed one; the same text under another number is no news."""
        return self.held is None or self.held.sha256 != self.deployment.sha256

    @property
    def version(self) -> int | None:
        return self.held.version if self.held else None


async def place_of(registry: Registry, deployment: Deployment) -> Place:
    """One call of the registry; a second one where it was moved."""
    label = deployment.label if deployment.follow == "label" else None
    try:
        held = await registry.current(deployment.prompt, label)
    except PromptNotFound:
        return Place(deployment, None, None)
    place = Place(deployment, held, None)
    if not place.elsewhere:
        return place
    if label is None:
        return place._replace(moved_at=held.created_at)
    moves = (
        one.moved_at
        for one in await registry.moves()
        if (one.prompt, one.label, one.version) == (deployment.prompt, label, held.version)
    )
    return place._replace(moved_at=max(moves, default=None))


async def left_unlabelled(registry: Registry, deployment: Deployment) -> tuple[int, ...]:
    """Versions that a deployment published, that it is not live with, and that no label stands on: a lost answer left
    them, or it failed."""
    history = await registry.history(deployment.prompt)
    mine = {one.version for one in history if one.metadata.get("deployment_id") == str(deployment.id)}
    if deployment.state not in _ENDED:
        mine.discard(deployment.new_version or 0)
    labelled = (await registry.labels(deployment.prompt)).values() if mine else ()
    return tuple(sorted(mine - set(labelled)))


def may_have_left_some(deployment: Deployment) -> bool:
    """Whether it asked for a publish that nobody knows the end of, or more than once."""
    tried = [one.phase for one in deployment.steps if one.step == "publish"]
    return bool(tried) and (deployment.state in _ENDED or "failed" in tried)
