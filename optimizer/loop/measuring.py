"""What deployments did to live traffic: measured in a run, and written down once it is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from optimizer.clock import Clock, iso
from optimizer.measure.compare import (
    compare,
    compare_by_time,
    newest_of_each_prompt,
    span_of_its_own,
    told_apart,
    version_that_ran,
)
from optimizer.observe.resolve import Resolver
from optimizer.observe.snapshot import read_told
from optimizer.records.deployment import Deployment
from optimizer.records.snapshot import MONTH
from optimizer.records.states import DeploymentState
from optimizer.records.verdict import Outcome, Verdict
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore
from optimizer.stores.traces import TraceStore


class Measured(NamedTuple):
    """A deployment and its verdict; `seen_at`: when its version first ran, where that is not written down yet."""

    deployment: Deployment
    verdict: Verdict
    seen_at: datetime | None


@dataclass(frozen=True)
class Measuring:
    """The measuring of all agents of one database."""

    sessions: SessionStore
    deployments: DeploymentStore
    rollups: RollupStore
    traces: TraceStore
    clock: Clock

    async def verdicts(self, agent: str, window: Window, resolver: Resolver) -> tuple[Measured, ...]:
        """What the newest deployment of each prompt did up to the window's end, newest first."""

        measured: list[Measured] = []
        deployments = await self.deployments.newest(agent)
        for deployment in newest_of_each_prompt(deployments):
            live_at = deployment.live_at
            if live_at is not None and live_at < window.until:
                verdict = await self._verdict(deployment, deployments, live_at, window.until, resolver)
                seen_at = await self._seen_at(deployment, verdict, Window(since=live_at, until=window.until), resolver)
                measured.append(Measured(deployment, verdict, seen_at))
        return tuple(measured)

    async def _verdict(
        self,
        deployment: Deployment,
        deployments: Sequence[Deployment],
        live_at: datetime,
        until: datetime,
        resolver: Resolver,
    ) -> Verdict:
        agent = deployment.agent
        windows = (Window(since=live_at - MONTH, until=live_at), Window(since=live_at, until=until))
        before, after = await read_told(self.rollups, agent, windows, resolver)
        if told_apart(deployment, after):
            return compare(deployment, before, after, version_that_ran(deployment, deployments, before.measures))
        since, until = span_of_its_own(deployment, deployments, live_at - MONTH, until)
        own = (Window(since=since, until=live_at), Window(since=live_at, until=until))
        return compare_by_time(deployment, *await self.rollups.read_all(agent, own))

    async def _seen_at(
        self, deployment: Deployment, verdict: Verdict, since_live: Window, resolver: Resolver
    ) -> datetime | None:
        """When the first trace under the new version began, for a deployment that was not seen before."""
        if deployment.state is not DeploymentState.live or not verdict.seen:
            return None
        version = f"{deployment.prompt}@{deployment.new_version}"
        first = [
            at
            for span in resolver.spans(since_live)
            for (prompt, reference), at in (await self.traces.first_under(deployment.agent, span)).items()
            if version in resolver.means(prompt, reference, span)
        ]
        return min(first, default=None)

    async def write_down(self, measured: Sequence[Measured], severities: Mapping[str, float]) -> None:
        """Closes deployments that were seen in traffic, and keeps verdicts that changed.

        `severities`: how bad the findings of this run are, by key. What no rule sees any more stands at
        nothing: if it comes back, it is told at once.
        """
        for deployment, verdict, seen_at in measured:
            is_new = deployment.verdict is None or verdict.says_other_than(deployment.verdict)
            first_seen = deployment.state is DeploymentState.live and verdict.seen
            if not verdict.sessions_after or not (first_seen or is_new):
                continue
            at = self.clock.now()
            body = verdict.model_dump(mode="json")
            told = is_new and verdict.outcome is not Outcome.not_enough_data
            keys = await self._keys(deployment) if told else {}
            await self.deployments.observe(
                deployment.id,
                seen_at=(seen_at or at) if verdict.seen else None,
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
