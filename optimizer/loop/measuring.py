"""What deployments did to live traffic: measured in a run, and written down once it is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from optimizer.clock import Clock, iso
from optimizer.measure.compare import compare, newest_of_each_prompt, version_that_ran
from optimizer.observe.resolve import Resolver
from optimizer.records.deployment import Deployment
from optimizer.records.facts import Measures
from optimizer.records.snapshot import MONTH
from optimizer.records.states import DeploymentState
from optimizer.records.verdict import Outcome, Verdict
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore

Measured = tuple[Deployment, Verdict]


@dataclass(frozen=True)
class Measuring:
    """The measuring of all agents of one database."""

    sessions: SessionStore
    deployments: DeploymentStore
    rollups: RollupStore
    clock: Clock

    async def verdicts(self, agent: str, window: Window, resolver: Resolver) -> tuple[Measured, ...]:
        """What the newest deployment of each prompt did up to the window's end, newest first."""

        async def measures(since: datetime, until: datetime) -> Measures:
            return resolver.relabel(await self.rollups.read(agent, Window(since=since, until=until)))

        measured: list[Measured] = []
        deployments = await self.deployments.newest(agent)
        for deployment in newest_of_each_prompt(deployments):
            live_at = deployment.live_at
            if live_at is not None and live_at < window.until:
                before = await measures(live_at - MONTH, live_at)
                after = await measures(live_at, window.until)
                ran_before = version_that_ran(deployment, deployments, before)
                measured.append((deployment, compare(deployment, before, after, ran_before)))
        return tuple(measured)

    async def write_down(self, measured: Sequence[Measured], severities: Mapping[str, float]) -> None:
        """Closes deployments that were seen in traffic, and keeps verdicts that changed.

        `severities`: how bad the findings of this run are, by key. What no rule sees any more stands at
        nothing: if it comes back, it is told at once.
        """
        for deployment, verdict in measured:
            is_new = deployment.verdict is None or deployment.verdict.outcome is not verdict.outcome
            first_seen = deployment.state is DeploymentState.live
            if not verdict.sessions_after or not (first_seen or is_new):
                continue
            at = self.clock.now()
            body = verdict.model_dump(mode="json")
            told = is_new and verdict.outcome is not Outcome.not_enough_data
            keys = await self._keys(deployment) if told else {}
            await self.deployments.observe(
                deployment.id,
                seen_at=at,
                verdict=body,
                severities=[{"id": str(id_), "severity": severities.get(key, 0.0)} for id_, key in keys.items()],
                notices=[{"kind": "verdict", "session_id": None, "actor": None, "body": body}] if told else [],
                audit=audit_body("verdict", at=iso(at), **body),
                at=at,
            )

    async def _keys(self, deployment: Deployment) -> dict[UUID, str]:
        session = await self.sessions.read(deployment.session_id) if deployment.session_id else None
        items = session.items if session else ()
        return {item.id: item.key for item in items if item.id in deployment.items}
