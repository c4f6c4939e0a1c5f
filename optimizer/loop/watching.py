"""After a deployment: seen or not, moved elsewhere by somebody, the agent told to reload; each told once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from optimizer.clock import Clock, iso
from optimizer.deploy.watch import Place, left_unlabelled, may_have_left_some, place_of
from optimizer.errors import CallTooLong, RegistryError, SettingsError
from optimizer.loop.prompts import Prompts
from optimizer.loop.reloading import Reloading
from optimizer.measure.compare import newest_of_each_prompt
from optimizer.measure.seen import Change, Traffic, last_changes, spans_since, traffic_of
from optimizer.observe.resolve import Resolver
from optimizer.records.deployment import Deployment
from optimizer.records.snapshot import MONTH
from optimizer.records.states import DeploymentState
from optimizer.records.watched import Sighting, SightingKind, Span
from optimizer.records.window import Window
from optimizer.stores.audit import audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.watching import WatchingStore

DEPLOYMENTS_MAX = 50  # of an agent, the newest
STILL_OLD_WITHIN = timedelta(days=2)  # of a change that was seen: some processes still run what was there before
LEFT_WITHIN = timedelta(days=1)  # a lost publish does not come later than that
_FOLDED_HOURS_MAX = 6  # the newest
_NEWEST_TRACES = 300  # by which it is judged what runs now

_log = logging.getLogger(__name__)


class _Looked(NamedTuple):
    """What is known of one agent's deployments when a watch begins."""

    deployments: tuple[Deployment, ...]
    changes: tuple[Change, ...]
    sightings: dict[tuple[UUID, SightingKind], Sighting]

    def sighting(self, deployment: Deployment, what: SightingKind) -> Sighting | None:
        return self.sightings.get((deployment.id, what))


@dataclass(frozen=True)
class Watching:
    """Watches the deployments of all agents of one database. Any number of processes may do it at once."""

    prompts: Prompts
    deployments: DeploymentStore
    store: WatchingStore
    rollups: RollupStore
    reloading: Reloading
    clock: Clock

    async def watch(self, agent: str) -> None:
        """Tells what is new since the last watch. Cheap where nothing was deployed; a registry or an agent that does
        not answer is in nobody's way: what could not be looked at is looked at by the next watch."""
        deployments = await self.deployments.newest(agent, DEPLOYMENTS_MAX)
        if not deployments:
            return
        looked = _Looked(deployments, last_changes(deployments), {})
        for one in await self.store.sightings(agent, DEPLOYMENTS_MAX):
            looked.sightings[one.deployment_id, one.what] = one
        await self.reloading.reload(agent, looked.changes)
        told: set[str] = set()
        await _tried(agent, self._traffic(agent, looked), told)
        for deployment in newest_of_each_prompt(deployments):
            await _tried(agent, self._place(agent, deployment, looked), told)
        for deployment in deployments:
            await _tried(agent, self._left_behind(agent, deployment, looked), told)

    async def sightings(self, agent: str) -> tuple[Sighting, ...]:
        """What was noticed about the agent's newest deployments."""
        return await self.store.sightings(agent)

    # ---- traffic

    async def _traffic(self, agent: str, looked: _Looked) -> None:
        still_open = [change for change in looked.changes if self._is_open(change, looked)]
        since = [Window(since=change.at, until=self.clock.now()) for change in still_open]
        spans = await self.store.named(agent, since, newest=True, traces_max=_NEWEST_TRACES) if since else ()
        # Where no session since then names a version, the registry need not be asked what it would mean.
        open_changes = [change for change, span in zip(still_open, spans, strict=True) if span.names]
        if not open_changes:
            return
        # The resolver looks at folded hours, and a chat waits: what a large import brought is left for the next run.
        await self.rollups.fold(agent, hours_max=_FOLDED_HOURS_MAX)
        refs = self.prompts.refs(await self.prompts.declared(agent))
        resolver = await self.prompts.resolver(agent, refs, await self.prompts.current(agent, refs))
        for change in open_changes:
            await self._look_at(agent, change, resolver, looked)

    def _is_open(self, change: Change, looked: _Looked) -> bool:
        """Whether something about the change is still to be told, and may still come."""
        past = self.clock.now() - change.at
        if not timedelta(0) < past < MONTH:
            return False
        if not self._was_seen(change, looked):
            return True
        return looked.sighting(change.deployment, _still_old(change)) is None and past < STILL_OLD_WITHIN

    @staticmethod
    def _was_seen(change: Change, looked: _Looked) -> bool:
        if change.back:
            return looked.sighting(change.deployment, "back_seen") is not None
        return change.deployment.state is DeploymentState.seen

    async def _look_at(self, agent: str, change: Change, resolver: Resolver, looked: _Looked) -> None:
        spans = spans_since(change, resolver.spans(Window(since=change.at, until=self.clock.now())))
        newest = await self.store.named(agent, spans, newest=True, traces_max=_NEWEST_TRACES)
        now = traffic_of(change, newest, resolver.means)
        if not self._was_seen(change, looked):
            first = traffic_of(change, await self.store.named(agent, spans), resolver.means)
            seen_at = min((one.first_at for one in (now, first) if one.first_at is not None), default=None)
            if seen_at is not None:
                await self._tell_seen(change, seen_at)
        if now.still_old and looked.sighting(change.deployment, _still_old(change)) is None:
            await self._tell_still_old(change, now, newest)

    async def _tell_seen(self, change: Change, seen_at: datetime) -> None:
        deployment = change.deployment
        body = change.as_body() | {"seen_at": iso(seen_at), "changed_at": iso(change.at)}
        if change.back:
            await self._sight(change, "back_seen", iso(seen_at), body, "rollback_seen")
            return
        at = self.clock.now()
        audit = audit_body("deployment_seen", at=iso(at), **body)
        await self.store.see(deployment, seen_at, change.notice("deployment_seen", body), audit, at)

    async def _tell_still_old(self, change: Change, traffic: Traffic, spans: Sequence[Span]) -> None:
        looked_at = sum(span.traces for span in spans)
        body = change.as_body() | {
            "old": traffic.old,
            "new": traffic.new,
            "changed_at": iso(change.at),
            "newest_only": looked_at >= _NEWEST_TRACES,  # there may be more than were looked at
        }
        await self._sight(change, _still_old(change), str(traffic.old), body, "still_old")

    # ---- the registry

    async def _place(self, agent: str, deployment: Deployment, looked: _Looked) -> None:
        standing = Change(deployment, back=False, at=self.clock.now())
        place = await place_of(self.prompts.registry_of(agent), deployment)
        known = looked.sighting(deployment, "place")
        before = known.value if known else None
        value = _place_value(place)
        if value == (before or ""):
            return
        body = standing.as_body() | {
            "label": deployment.label if deployment.follow == "label" else None,
            "version": place.version,
            "is_base": place.held is not None and place.held.sha256 == deployment.base_sha256,
            "moved_at": iso(place.moved_at) if place.moved_at else None,
            "of_deployment": self._own(place, looked),
        }
        # Back where we put it: that ends the matter, and needs no word.
        await self._sight(standing, "place", value, body, "label_moved" if value else None, before=before)

    @staticmethod
    def _own(place: Place, looked: _Looked) -> str | None:
        """The state of the deployment of ours that published the version, where one did."""
        by = str((place.held.metadata if place.held else {}).get("deployment_id"))
        return next((one.state.value for one in looked.deployments if str(one.id) == by), None)

    async def _left_behind(self, agent: str, deployment: Deployment, looked: _Looked) -> None:
        """A version that a lost answer left in the registry: it is listed, and never labelled."""
        ended_at = deployment.ended_at or deployment.live_at
        if ended_at is None or self.clock.now() - ended_at > LEFT_WITHIN or not may_have_left_some(deployment):
            return
        versions = await left_unlabelled(self.prompts.registry_of(agent), deployment)
        value = ", ".join(str(version) for version in versions)
        known = looked.sighting(deployment, "left_behind")
        if value != (known.value if known else ""):
            about = Change(deployment, back=False, at=ended_at)
            await self._sight(about, "left_behind", value, {}, None, before=known.value if known else None)

    async def _sight(
        self,
        change: Change,
        what: SightingKind,
        value: str,
        body: dict[str, Any],
        kind: str | None,
        *,
        before: str | None = None,
    ) -> None:
        at = self.clock.now()
        notices = [change.notice(kind, body)] if kind else []
        audit = audit_body(kind, at=iso(at), **body) if kind else None
        await self.store.sight(
            change.deployment, what, value, before=before, body=body, notices=notices, audit=audit, at=at
        )


async def _tried(agent: str, look: Awaitable[None], told: set[str]) -> None:
    """One look; where it fails, the others are still taken. `told`: what the log was told of this watch already."""
    try:
        await look
    except (RegistryError, SettingsError, CallTooLong) as error:
        if str(error) not in told:
            _log.warning("Not all of the deployments of %r could be watched: %s", agent, error)
        told.add(str(error))


def _place_value(place: Place) -> str:
    """The version where it stands elsewhere; empty where it stands where we put it."""
    return "" if not place.elsewhere else str(place.version) if place.version is not None else "nowhere"


def _still_old(change: Change) -> SightingKind:
    return "back_still_old" if change.back else "still_old"
