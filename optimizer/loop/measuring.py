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
from optimizer.records.verdict import Outcome, Verdict
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore
from optimizer.stores.watching import WatchingStore


class Measured(NamedTuple):
    """A deployment and its verdict."""

    deployment: Deployment
    verdict: Verdict


@dataclass(frozen=True)
class Measuring:
    """The measuring of all agents of one database."""

    sessions: SessionStore
    deployments: DeploymentStore
    rollups: RollupStore
    watching: WatchingStore
    clock: Clock

    async def verdicts(self, agent: str, window: Window, resolver: Resolver) -> tuple[Measured, ...]:
        """What the newest deployment of each prompt did up to the window's end, newest first; of one whose label
        somebody moved elsewhere, up to then. What took something back is not judged."""
        measured: list[Measured] = []
        deployments = await self.deployments.newest(agent)
        ended = {
            one.deployment_id: min(one.at, datetime.fromisoformat(one.body.get("moved_at") or iso(one.at)))
            for one in await self.watching.sightings(agent)
            if one.what == "place" and one.value
        }
        for deployment in newest_of_each_prompt(deployments):
            until = min(window.until, ended.get(deployment.id, window.until))
            live_at = deployment.live_at
            if deployment.kind == "change" and live_at is not None and live_at < until:
                verdict = await self._verdict(deployment, deployments, live_at, until, resolver)
                measured.append(Measured(deployment, verdict))
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

    async def write_down(self, measured: Sequence[Measured], severities: Mapping[str, float]) -> None:
        """Keeps verdicts that changed.

        `severities`: how bad the findings of this run are, by key. What no rule sees any more stands at
        nothing: if it comes back, it is told at once.
        """
        for deployment, verdict in measured:
            is_new = deployment.verdict is None or verdict.says_other_than(deployment.verdict)
            if not verdict.sessions_after or not is_new:
                continue
            at = self.clock.now()
            body = verdict.model_dump(mode="json")
            told = verdict.outcome is not Outcome.not_enough_data
            keys = await self._keys(deployment) if told else {}
            await self.deployments.observe(
                deployment.id,
                seen_at=None,
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
