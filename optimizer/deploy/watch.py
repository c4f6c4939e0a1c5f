"""Where the registry stands with what was deployed: whether somebody moved it elsewhere since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from optimizer.errors import PromptNotFound
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry


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


def left_unlabelled(deployment: Deployment, history: Sequence[PromptVersion]) -> tuple[int, ...]:
    """Versions that a deployment published and that it is not live with: a lost answer left them, or it failed."""
    mine = {one.version for one in history if one.metadata.get("deployment_id") == str(deployment.id)}
    ended = deployment.state in (DeploymentState.failed, DeploymentState.halted)
    return tuple(sorted(mine if ended else mine - {deployment.new_version}))


def may_have_left_some(deployment: Deployment) -> bool:
    """Whether it asked for a publish that nobody knows the end of, or more than once."""
    tried = [one.phase for one in deployment.steps if one.step == "publish"]
    ended = deployment.state in (DeploymentState.failed, DeploymentState.halted)
    return bool(tried) and (ended or "failed" in tried)
