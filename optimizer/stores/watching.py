"""What is noticed after a deployment, and the calls of the reload hook, over the database port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from optimizer.clock import iso
from optimizer.db.port import Database
from optimizer.records.deployment import Deployment
from optimizer.records.watched import Named, Sighting, SightingKind, Span
from optimizer.records.window import Window

TRACES_MAX = 1000  # of one span


class Call(NamedTuple):
    """A call of the reload hook that is to be made now: the `tries`-th."""

    deployment_id: UUID
    event: str
    tries: int


class WatchingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def named(
        self, agent: str, windows: Sequence[Window], *, newest: bool = False, traces_max: int = TRACES_MAX
    ) -> tuple[Span, ...]:
        """Which versions the sessions that began in each window name, by its first traces or its last ones."""
        spans = [{"since": iso(one.since), "until": iso(one.until)} for one in windows]
        rows = await self._database.call("traces_named", agent=agent, spans=spans, newest=newest, limit=traces_max)
        names: dict[int, dict[tuple[str, str], Named]] = {}
        whole: dict[int, Named] = {}
        for row in rows:
            first, last = (datetime.fromisoformat(row[end]).astimezone(UTC) for end in ("first", "last"))
            ran = Named(row["n"], row["traces"], first, last)
            if row["reference"] is None:
                whole[row["span"]] = ran
            else:
                names.setdefault(row["span"], {})[row["prompt"], row["reference"]] = ran
        return tuple(
            Span(
                window=window,
                sessions=whole[number].n if number in whole else 0,
                traces=whole[number].traces if number in whole else 0,
                names=names.get(number, {}),
            )
            for number, window in enumerate(windows)
        )

    async def see(
        self, deployment: Deployment, seen_at: datetime, notice: dict[str, Any], audit: str, at: datetime
    ) -> bool:
        """Closes a deployment with its first trace; False where that was told before."""
        return bool(
            await self._database.call(
                "deployments_see", id=deployment.id, seen_at=seen_at, notices=[notice], audit=audit, at=at
            )
        )

    async def sightings(self, agent: str, limit: int = 50) -> tuple[Sighting, ...]:
        """Of the newest deployments, the last noticed first."""
        rows = await self._database.call("sightings_newest", agent=agent, limit=limit)
        return tuple(Sighting.model_validate(row) for row in rows)

    async def sight(
        self,
        deployment: Deployment,
        what: SightingKind,
        value: str,
        *,
        before: str | None,
        body: dict[str, Any],
        notices: Sequence[dict[str, Any]],
        audit: str | None,
        at: datetime,
    ) -> bool:
        """Writes it down and tells it; False where someone else did, or the deployment is not as it was read."""
        return bool(
            await self._database.call(
                "sightings_write",
                deployment_id=deployment.id,
                revision=deployment.revision,
                what=what,
                value=value,
                before=before,
                body=body,
                notices=list(notices),
                audit=audit,
                at=at,
            )
        )

    async def claim(
        self, wanted: Sequence[tuple[UUID, str]], worker: str, lease_seconds: int, at: datetime
    ) -> tuple[Call, ...]:
        """The calls of these (deployment, event) that are due and nobody else makes; each try is counted."""
        rows = await self._database.call(
            "reloads_claim",
            wanted=[{"deployment_id": str(id_), "event": event} for id_, event in wanted],
            worker=worker,
            lease_seconds=lease_seconds,
            at=at,
        )
        return tuple(Call(UUID(row["deployment_id"]), row["event"], row["tries"]) for row in rows)

    async def end(
        self,
        call: Call,
        worker: str,
        *,
        reason: str | None,
        next_try_at: datetime | None,
        notices: Sequence[dict[str, Any]],
        audit: str | None,
        at: datetime,
    ) -> bool:
        """`reason` None: it was taken. Else it is tried again at `next_try_at`, or has failed for good."""
        return bool(
            await self._database.call(
                "reloads_end",
                deployment_id=call.deployment_id,
                event=call.event,
                worker=worker,
                reason=reason,
                next_try_at=next_try_at,
                notices=list(notices),
                audit=audit,
                at=at,
            )
        )
