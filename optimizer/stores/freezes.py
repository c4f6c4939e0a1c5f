"""Freezes, and what else the policies of an agent look at, over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from optimizer.db.port import Database
from optimizer.records.freeze import Freeze, Standing
from optimizer.stores.deployments import Stopped

DAY = timedelta(hours=24)


class FreezeStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, agent: str, at: datetime) -> Standing:
        """Whether the agent is frozen, and the decisions of the last 24 hours that deployed something."""
        return Standing.model_validate(await self._database.call("freezes_standing", agent=agent, since=at - DAY))

    async def begin(
        self, freeze: Freeze, rollback: dict[str, Any], notices: Sequence[dict[str, Any]], audit: str
    ) -> Stopped | Freeze:
        """What was stopped with it, as `rollback` says by whom and why; or the freeze that stood before."""
        answer = await self._database.call(
            "freezes_begin",
            agent=freeze.agent,
            actor=freeze.actor,
            reason=freeze.reason,
            rollback=rollback,
            notices=list(notices),
            audit=audit,
            at=freeze.frozen_at,
        )
        if not answer["frozen"]:
            return Freeze.model_validate(answer["freeze"])
        return Stopped(halted=int(answer["halted"]), decided=int(answer["decided"]))

    async def lift(self, agent: str, notices: Sequence[dict[str, Any]], audit: str, at: datetime) -> bool:
        """False when the agent was not frozen."""
        return bool(await self._database.call("freezes_lift", agent=agent, notices=list(notices), audit=audit, at=at))
