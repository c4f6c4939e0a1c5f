"""The journal of a worker: each step written before and after it is done, and the lease asked for in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from optimizer.clock import Clock, iso
from optimizer.errors import PromptNotFound, RatchetError, RegistryConflict, RegistryError
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState
from optimizer.stores.audit import audit_body
from optimizer.stores.deployments import DeploymentStore

TRIES_MAX = 5  # of one step, a lease apart, while the registry does not answer


class Lost(RatchetError):
    """Another worker has the batch, or someone halted it: this one stops without a trace."""


class Failed(RatchetError):
    """The deployment cannot go on; the message is its reason."""


class Changed(Failed):
    """The prompt is not what was approved any more: what was wanted is proposed again, on the text of today."""


class Later(RatchetError):
    """The registry did not answer: the batch is tried again when its lease ends."""


@dataclass(frozen=True)
class Journal:
    """What one worker writes down."""

    worker: str
    store: DeploymentStore
    clock: Clock
    lease_seconds: int

    async def extend(self, batch_id: UUID) -> bool:
        """Whether the batch is still ours, and then for the time of a whole lease."""
        return await self.store.hold(batch_id, self.worker, self.lease_seconds)

    async def hold(self, deployment: Deployment) -> None:
        """Right before each outside call. Raises `Lost` when the batch is not ours any more, or someone stopped it."""
        if not await self.extend(deployment.batch_id):
            raise Lost(f"The batch {str(deployment.batch_id)!r} went to another worker.")
        if (await self._stored(deployment)).revision != deployment.revision:
            raise Lost(f"The deployment {str(deployment.id)!r} was changed by someone else.")

    async def _stored(self, deployment: Deployment) -> Deployment:
        return next(one for one in await self.store.batch(deployment.batch_id) if one.id == deployment.id)

    async def record(
        self,
        deployment: Deployment,
        step: str,
        phase: str,
        *,
        to: DeploymentState | None = None,
        detail: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        items: Sequence[dict[str, str]] = (),
        kind: str | None = None,
        actor: str | None = None,
    ) -> Deployment:
        """Writes the step; with `kind` also a notice. Whatever changes a state or is told is audited.

        `actor` is who did what the notice tells; without it, the one who approved the deployment.

        Returns the deployment as it stands then; raises `Lost` when someone else changed it.
        """
        at = self.clock.now()
        body = {
            "deployment_id": str(deployment.id),
            "prompt": deployment.prompt,
            "base_version": deployment.over_version,
            "new_version": (values or {}).get("new_version", deployment.new_version),
            "reason": (detail or {}).get("reason"),
            **_way_back(deployment),
            **({"overtaken": True} if (detail or {}).get("overtaken") else {}),
        }
        notice = {
            "kind": kind,
            "session_id": str(deployment.session_id) if deployment.session_id else None,
            "actor": actor or deployment.actor,
            "body": body,
        }
        lost = await self.store.step(
            deployment,
            self.worker,
            step,
            phase,
            at=at,
            detail=detail,
            to=to,
            values=values,
            items=items,
            notices=[notice] if kind else [],
            audit=audit_body("deployment", at=iso(at), step=step, phase=phase, to=to.value if to else None, **body)
            if to or kind
            else None,
        )
        if lost is not None:
            raise Lost(f"The deployment {str(deployment.id)!r} was changed by someone else ({lost}).")
        return await self._stored(deployment)

    async def try_again(self, deployment: Deployment, step: str, error: RegistryError) -> None:
        """Raises `Later` where another try may help; returns when the answer is final or the tries are used up."""
        if isinstance(error, PromptNotFound | RegistryConflict):
            return
        tries = sum(1 for one in deployment.steps if one.step == step and one.phase == "failed")
        if tries + 1 < TRIES_MAX:
            await self.record(deployment, step, "failed", detail={"reason": str(error)})
            raise Later(str(error)) from error


def _way_back(deployment: Deployment) -> dict[str, Any]:
    """What is to be told of a deployment that takes something back."""
    if deployment.kind == "change":
        return {}
    return {
        "kind_of_deployment": deployment.kind,
        "target_version": deployment.target_version,
        "undone": [str(item) for item in deployment.undone],
        "passes": [str(passed) for passed in deployment.passes],
        "items": sorted(item.n for item in deployment.provenance.items),
    }
