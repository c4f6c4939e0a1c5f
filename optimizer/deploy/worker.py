"""Carries out planned deployments and decided rollbacks, step by step, so that a crash at any point is resumed.

A step is written before and after it is done. Publishing is idempotent by deployment, a label is moved by
comparing, and the lease is checked right before each outside call: a second worker repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from optimizer.clock import Clock, iso
from optimizer.errors import RatchetError, RegistryError
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState
from optimizer.registries.port import Registry
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.deployments import DeploymentStore

LEASE_SECONDS = 20
_STEPS_MAX = 20  # of one deployment in one turn: more than any path has


class Lost(RatchetError):
    """Another worker has the batch, or someone halted it: this one stops without a trace."""


class Failed(RatchetError):
    """The deployment cannot go on; the message is its reason."""


@dataclass(frozen=True)
class Worker:
    """Works on the batches of one database. `registry_of` gives the registry of an agent."""

    name: str
    store: DeploymentStore
    audit: AuditStore
    registry_of: Callable[[str], Registry]
    clock: Clock
    lease_seconds: int = LEASE_SECONDS

    async def work(self, agent: str | None = None, batches_max: int = 100) -> int:
        """Carries out what is waiting; returns how many batches had work. Safe with any number of workers."""
        for done in range(batches_max):
            batch = await self.store.claim(agent, self.name, self.lease_seconds)
            if not batch:
                return done
            try:
                await self._batch(batch[0].batch_id)
            except Lost:
                continue
            finally:
                await self.store.release(batch[0].batch_id, self.name)
        return batches_max

    async def _batch(self, batch_id: UUID) -> None:
        for ordinal in range(len(await self.store.batch(batch_id))):
            deployment = (await self.store.batch(batch_id))[ordinal]
            if deployment.rollback is not None and deployment.state in LIVE:
                await self._roll_back(deployment, deployment.rollback)
            elif deployment.state in UNDER_WAY:
                await self._carry_out(deployment, await self.store.batch(batch_id))
        await self._keep_together(batch_id)

    async def _carry_out(self, deployment: Deployment, batch: tuple[Deployment, ...]) -> None:
        """One deployment from where it stands to live, or to failed with its reason."""
        registry = self.registry_of(deployment.agent)
        try:
            tied = _broken_partner(deployment, batch)
            if tied is not None:
                raise Failed(f"{tied.prompt!r}, which belongs to the same item, did not go live: {tied.reason}")
            for _ in range(_STEPS_MAX):
                if deployment.state is DeploymentState.planned:
                    await self._check_base(deployment, registry)
                    deployment = await self._record(deployment, "publish", "before", to=DeploymentState.publishing)
                elif deployment.state is DeploymentState.publishing:
                    deployment = await self._publish(deployment, registry)
                elif deployment.state is DeploymentState.published:
                    await self._check_base(deployment, registry)
                    deployment = await self._record(deployment, "move_label", "before", to=DeploymentState.verifying)
                elif deployment.state is DeploymentState.verifying:
                    deployment = await self._move_label(deployment, registry)
                else:
                    return
        except (Failed, RegistryError) as error:
            await self._fail(deployment, str(error))

    async def _check_base(self, deployment: Deployment, registry: Registry) -> None:
        label = deployment.label if deployment.follow == "label" else None
        held = await registry.current(deployment.prompt, label)
        if deployment.follow == "latest" and held.version == deployment.new_version:
            return
        if held.sha256 != deployment.base_sha256:
            raise Failed(
                f"{deployment.prompt!r} was changed in the registry after the approval (now version {held.version}); "
                "run the optimization again."
            )

    async def _publish(self, deployment: Deployment, registry: Registry) -> Deployment:
        if sha256_of(deployment.text) != deployment.sha256:
            raise Failed("the stored text does not have the hash that was approved.")
        await self._hold(deployment)
        version = await registry.publish(
            deployment.prompt,
            deployment.text,
            commit_message=f"Ratchet: {len(deployment.items)} item(s), approved by {deployment.actor}",
            metadata={
                "deployment_id": str(deployment.id),
                "sha256": deployment.sha256,
                "items": [str(item) for item in deployment.items],
                "audit_head": await self.audit.head(deployment.agent),
            },
            deployment_id=deployment.id,
        )
        read_back = await registry.version(deployment.prompt, version.version)
        _same_text(deployment.sha256, read_back)
        return await self._record(
            deployment,
            "publish",
            "after",
            to=DeploymentState.published,
            detail={"version": version.version},
            values={"new_version": version.version},
        )

    async def _move_label(self, deployment: Deployment, registry: Registry) -> Deployment:
        assert deployment.new_version is not None  # published before: the state machine says so
        label = deployment.label if deployment.follow == "label" else None
        if label is not None:
            await self._hold(deployment)
            await registry.move_label(
                deployment.prompt, label, deployment.new_version, expected=deployment.base_version
            )
        held = await registry.current(deployment.prompt, label)
        _same_text(deployment.sha256, held)
        return await self._record(
            deployment,
            "move_label",
            "after",
            to=DeploymentState.live,
            values={"live_at": iso(self.clock.now())},
            items=[{"from": "approved", "to": "deployed"}],
            kind="deployment_live",
        )

    async def _fail(self, deployment: Deployment, reason: str) -> None:
        step = "publish" if deployment.new_version is None else "move_label"
        await self._record(
            deployment,
            step,
            "failed",
            to=DeploymentState.failed,
            detail={"reason": reason},
            values={"reason": reason, "ended_at": iso(self.clock.now())},
            items=[{"from": "approved", "to": "failed"}],
            kind="deployment_failed",
        )

    async def _keep_together(self, batch_id: UUID) -> None:
        """An item that touches two prompts ends with both moved or neither."""
        batch = await self.store.batch(batch_id)
        for deployment in batch:
            tied = _broken_partner(deployment, batch)
            if tied is not None and deployment.state in LIVE:
                reason = f"{tied.prompt!r}, which belongs to the same item, did not go live: {tied.reason}"
                await self._roll_back(deployment, {"actor": "ratchet", "reason": reason})

    async def _roll_back(self, deployment: Deployment, rollback: Mapping[str, Any]) -> None:
        registry = self.registry_of(deployment.agent)
        assert deployment.new_version is not None  # live before: the state machine says so
        deployment = await self._record(deployment, "roll_back", "before", detail=dict(rollback))
        await self._hold(deployment)
        try:
            if deployment.follow == "label":
                await registry.move_label(
                    deployment.prompt, deployment.label, deployment.base_version, expected=deployment.new_version
                )
            else:
                await self._publish_base(deployment, registry)
        except RegistryError as error:
            await self._record(
                deployment, "roll_back", "failed", detail={"reason": str(error)}, kind="rollback_failed"
            )
            raise
        await self._record(
            deployment,
            "roll_back",
            "after",
            to=DeploymentState.rolled_back,
            values={"reason": str(rollback.get("reason", "")), "ended_at": iso(self.clock.now())},
            items=[{"from": "deployed", "to": "failed"}],
            kind="deployment_rolled_back",
        )

    async def _publish_base(self, deployment: Deployment, registry: Registry) -> None:
        """Where the newest version is what runs, going back means publishing the old text again."""
        newest = await registry.current(deployment.prompt, None)
        if newest.sha256 == deployment.base_sha256:
            return
        base = await registry.version(deployment.prompt, deployment.base_version)
        await registry.publish(
            deployment.prompt,
            base.text,
            commit_message=f"Ratchet: back to version {base.version}",
            metadata={"rolls_back": str(deployment.id), "sha256": base.sha256},
            deployment_id=_rollback_id(deployment.id),
        )

    async def _hold(self, deployment: Deployment) -> None:
        if not await self.store.hold(deployment.batch_id, self.name, self.lease_seconds):
            raise Lost

    async def _record(
        self,
        deployment: Deployment,
        step: str,
        phase: str,
        *,
        to: DeploymentState | None = None,
        detail: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        items: list[dict[str, str]] | None = None,
        kind: str | None = None,
    ) -> Deployment:
        """Writes the step; with `kind` also a notice, and a row of the audit chain for every change of state."""
        at = self.clock.now()
        body = {
            "deployment_id": str(deployment.id),
            "prompt": deployment.prompt,
            "base_version": deployment.base_version,
            "new_version": (values or {}).get("new_version", deployment.new_version),
            "reason": (values or detail or {}).get("reason"),
        }
        notice = {
            "kind": kind,
            "session_id": str(deployment.session_id) if deployment.session_id else None,
            "actor": deployment.actor,
            "body": body,
        }
        lost = await self.store.step(
            deployment,
            self.name,
            step,
            phase,
            at=at,
            detail=detail,
            to=to,
            values=values,
            items=items or [],
            notices=[notice] if kind else [],
            audit=audit_body("deployment", at=iso(at), step=step, phase=phase, to=to.value, **body) if to else None,
        )
        if lost is not None:
            raise Lost
        return next(one for one in await self.store.batch(deployment.batch_id) if one.id == deployment.id)


def _broken_partner(deployment: Deployment, batch: tuple[Deployment, ...]) -> Deployment | None:
    """A deployment that shares an item with this one and did not go live."""
    broken = (one for one in batch if one.state in (DeploymentState.failed, DeploymentState.halted))
    return next((one for one in broken if set(one.items) & set(deployment.items)), None)


def _same_text(sha256: str, held: PromptVersion) -> None:
    if held.sha256 != sha256 or sha256_of(held.text) != sha256:
        raise Failed(f"version {held.version} of {held.prompt!r} reads back with another text than was approved.")


def _rollback_id(deployment_id: UUID) -> UUID:
    """A second id for the publish that takes a deployment back, the same at every try."""
    return UUID(int=deployment_id.int ^ 1)
