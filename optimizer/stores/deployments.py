"""Deployments and their steps over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from optimizer.db.port import Database
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState


class Stopped(NamedTuple):
    """How many deployments were halted, and of how many the worker finds out whether they are live."""

    halted: int
    decided: int


class DeploymentStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, agent: str | None, worker: str, lease_seconds: int) -> tuple[Deployment, ...]:
        """The oldest batch with work and no living worker, in its order; empty when there is none."""
        rows = await self._database.call("deployments_claim", agent=agent, worker=worker, lease_seconds=lease_seconds)
        return tuple(Deployment.model_validate(row) for row in rows or ())

    async def hold(self, batch_id: UUID, worker: str, lease_seconds: int) -> bool:
        """Whether the worker still has the batch; asked right before each outside call."""
        return bool(
            await self._database.call("deployments_hold", batch_id=batch_id, worker=worker, lease_seconds=lease_seconds)
        )

    async def release(self, batch_id: UUID, worker: str) -> None:
        await self._database.call("deployments_release", batch_id=batch_id, worker=worker)

    async def step(
        self,
        deployment: Deployment,
        worker: str,
        step: str,
        phase: str,
        *,
        at: datetime,
        detail: dict[str, Any] | None = None,
        to: DeploymentState | None = None,
        values: dict[str, Any] | None = None,
        items: Sequence[dict[str, str]] = (),
        notices: Sequence[dict[str, Any]] = (),
        audit: str | None = None,
    ) -> str | None:
        """Records one step and moves the state with it. None when done, else `conflict` or `lease`."""
        answer = await self._database.call(
            "deployments_step",
            id=deployment.id,
            revision=deployment.revision,
            worker=worker,
            step=step,
            phase=phase,
            detail=detail or {},
            to=to.value if to else None,
            set=values or {},
            items=list(items),
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return None if answer["ok"] else str(answer["reason"])

    async def take_back(
        self,
        agent: str,
        deployments: Sequence[Deployment],
        rollback: dict[str, Any],
        *,
        question: UUID | None,
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> str | None:
        """Decides that these live deployments are taken back, all or none.

        None when decided, else `conflict`, `question`, `busy` or `frozen`.
        """
        answer = await self._database.call(
            "deployments_take_back",
            agent=agent,
            deployments=[{"id": str(one.id), "revision": one.revision} for one in deployments],
            rollback=rollback,
            question=question,
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return None if answer["ok"] else str(answer["reason"])

    async def stop(
        self,
        agent: str,
        rollback: dict[str, Any],
        *,
        notices: Sequence[dict[str, Any]],
        decided_notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> Stopped:
        """Halts what is under way and not live; decides the rollback of what may be live already."""
        answer = await self._database.call(
            "deployments_stop",
            agent=agent,
            rollback=rollback,
            notices=list(notices),
            decided_notices=list(decided_notices),
            audit=audit,
            at=at,
        )
        return Stopped(**answer)

    async def go_back(
        self,
        agent: str,
        deployments: Sequence[dict[str, Any]],
        *,
        question: UUID | None,
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> bool:
        """Decides deployments that take something back, all or none; False when someone was faster."""
        answer = await self._database.call(
            "deployments_go_back",
            agent=agent,
            deployments=list(deployments),
            question=question,
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return bool(answer["ok"])

    async def observe(
        self,
        id_: UUID,
        *,
        seen_at: datetime | None,
        verdict: dict[str, Any] | None,
        severities: Sequence[dict[str, Any]],
        notices: Sequence[dict[str, Any]],
        audit: str,
        at: datetime,
    ) -> bool:
        answer = await self._database.call(
            "deployments_observe",
            id=id_,
            seen_at=seen_at,
            verdict=verdict,
            severities=list(severities),
            notices=list(notices),
            audit=audit,
            at=at,
        )
        return bool(answer["ok"])

    async def newest(self, agent: str, limit: int = 20) -> tuple[Deployment, ...]:
        """Newest first, also where a clock stands still: of one moment, the last version first."""
        rows = await self._database.call("deployments_newest", agent=agent, limit=limit)
        return tuple(Deployment.model_validate(row) for row in rows)

    async def of_prompt(self, agent: str, prompt: str, limit: int = 500) -> tuple[Deployment, ...]:
        """Newest first, without their texts."""
        rows = await self._database.call("deployments_of_prompt", agent=agent, prompt=prompt, limit=limit)
        return tuple(Deployment.model_validate(row) for row in rows)

    async def batch(self, batch_id: UUID) -> tuple[Deployment, ...]:
        rows = await self._database.call("deployments_batch", batch_id=batch_id)
        return tuple(Deployment.model_validate(row) for row in rows)
