"""From live to rolled back: the version before gets its place again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from optimizer.clock import iso
from optimizer.deploy.journal import Journal
from optimizer.errors import RegistryConflict, RegistryError
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry

_STEP = "roll_back"


@dataclass(frozen=True)
class Back:
    """Takes back the deployments of one agent."""

    journal: Journal
    registry: Registry

    async def roll_back(self, deployment: Deployment, rollback: Mapping[str, Any]) -> None:
        """`rollback` holds `actor` and `reason`. What cannot be taken back is told, and is not tried again."""
        deployment = await self.journal.record(deployment, _STEP, "before", detail=dict(rollback))
        try:
            await self._restore(deployment)
        except RegistryError as error:
            await self.journal.try_again(deployment, _STEP, error)
            await self.journal.record(
                deployment,
                _STEP,
                "failed",
                detail={"reason": str(error)},
                values={"rollback": {**rollback, "failed": str(error)}},
                kind="rollback_failed",
            )
            return
        reason = str(rollback.get("reason", ""))
        await self.journal.record(
            deployment,
            _STEP,
            "after",
            to=DeploymentState.rolled_back,
            detail={"reason": reason},
            values={"reason": reason, "ended_at": iso(self.journal.clock.now())},
            items=[
                {"id": str(item), "from": state, "to": "failed"}
                for item in deployment.items
                for state in ("deployed", "approved")
            ],
            kind="deployment_rolled_back",
        )

    async def _restore(self, deployment: Deployment) -> None:
        assert deployment.new_version is not None  # live before: the state machine says so
        await self.journal.hold(deployment)
        label = deployment.label if deployment.follow == "label" else None
        if label is not None:
            await self.registry.move_label(
                deployment.prompt, label, deployment.base_version, expected=deployment.new_version
            )
        else:
            await self._publish_base(deployment)
        await self.journal.hold(deployment)
        held = await self.registry.current(deployment.prompt, label)
        if held.sha256 != deployment.base_sha256:
            raise RegistryConflict(
                f"{deployment.prompt!r} was to go back to version {deployment.base_version} and stands at version "
                f"{held.version}: someone else changed it; look again."
            )

    async def _publish_base(self, deployment: Deployment) -> None:
        """Where the newest version is what runs, going back means publishing the old text again."""
        newest = await self.registry.current(deployment.prompt, None)
        if newest.sha256 == deployment.base_sha256:
            return
        if newest.version != deployment.new_version:
            raise RegistryConflict(
                f"The newest version of {deployment.prompt!r} is {newest.version}, not {deployment.new_version}: "
                "someone else published it; look again."
            )
        base = await self.registry.version(deployment.prompt, deployment.base_version)
        await self.journal.hold(deployment)
        await self.registry.publish(
            deployment.prompt,
            base.text,
            commit_message=f"Ratchet: back to version {base.version}",
            metadata={"rolls_back": str(deployment.id), "sha256": base.sha256},
            # A second id of the same deployment, the same at every try.
            deployment_id=uuid5(deployment.id, _STEP),
        )
