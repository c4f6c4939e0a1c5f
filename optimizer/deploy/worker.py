"""Carries out planned deployments and decided rollbacks, step by step, so that a crash at any point is resumed.

A step is written before and after it is done. Publishing is idempotent by deployment, a label is moved by
comparing, and the lease is checked right before each outside call: a second worker repeats nothing. The lease is
extended while a batch is worked on; one that was lost is never taken up again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from optimizer.clock import Clock
from optimizer.deploy.back import Back, decided
from optimizer.deploy.forward import Forward, not_together
from optimizer.deploy.heartbeat import kept
from optimizer.deploy.journal import Journal, Later, Lost
from optimizer.errors import SettingsError
from optimizer.records.deployment import Deployment
from optimizer.records.states import LIVE, UNDER_WAY, DeploymentState
from optimizer.registries.port import Registry
from optimizer.stores.audit import AuditStore
from optimizer.stores.deployments import DeploymentStore

LEASE_SECONDS = 20
_NOT_LIVE = frozenset({DeploymentState.failed, DeploymentState.halted, DeploymentState.rolled_back})


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
        """Carries out what is waiting; returns how many batches had work. Safe with any number of workers.

        A batch whose registry does not answer keeps its lease: it is tried again when that ends. One whose registry
        cannot be opened is in no other one's way. Raises `SettingsError` for it when the others are done.
        """
        unset: dict[UUID, tuple[str, SettingsError]] = {}  # by batch: who holds it, and what is to be set
        try:
            done = await self._work(agent, batches_max, unset)
        finally:
            for batch_id, (holder, _) in unset.items():
                await self.store.release(batch_id, holder)
        if unset:
            raise SettingsError(" ".join(dict.fromkeys(str(error) for _, error in unset.values())))
        return done

    async def _work(self, agent: str | None, batches_max: int, unset: dict[UUID, tuple[str, SettingsError]]) -> int:
        for done in range(batches_max):
            # Each claim has a name of its own: a turn of this process that slept is not taken for the one after it.
            holder = f"{self.name}/{secrets.token_hex(3)}"
            batch = await self.store.claim(agent, holder, self.lease_seconds)
            if not batch:
                return done
            batch_id, release = batch[0].batch_id, True
            journal = Journal(holder, self.store, self.clock, self.lease_seconds)
            try:
                async with kept(partial(journal.extend, batch_id), self.lease_seconds):
                    await self._batch(batch[0].agent, batch_id, journal)
            except Lost:
                pass
            except Later:
                release = False
            except SettingsError as error:
                unset[batch_id], release = (holder, error), False
            finally:
                if release:
                    await self.store.release(batch_id, holder)
        return batches_max

    async def _batch(self, agent: str, batch_id: UUID, journal: Journal) -> None:
        registry = self.registry_of(agent)
        forward, back = Forward(journal, self.audit, registry), Back(journal, registry)
        batch = await self._roll_back(batch_id, back)
        for ordinal in range(len(batch)):
            batch = await self.store.batch(batch_id)
            if batch[ordinal].state in UNDER_WAY:
                await forward.carry_out(batch[ordinal], _broken(batch[ordinal], batch))
        await self._roll_back(batch_id, back)  # what was stopped too late
        await self._keep_together(batch_id, back)

    async def _roll_back(self, batch_id: UUID, back: Back) -> Sequence[Deployment]:
        """Takes back what someone decided; returns the batch as it stands then."""
        batch = await self.store.batch(batch_id)
        for _ in batch:  # one turn for each decision, should a crash have left more than one
            going_back = _going_back(batch)
            if not going_back:
                break
            first = next(one.rollback for one in going_back if decided(one))
            assert first is not None  # that is what makes it decided
            await back.roll_back(going_back, first)
            batch = await self.store.batch(batch_id)
        return batch

    async def _keep_together(self, batch_id: UUID, back: Back) -> None:
        """An item that touches two prompts ends with both moved or neither."""
        while True:
            batch = await self.store.batch(batch_id)
            alone = next((one for one in reversed(batch) if _is_alone(one, batch)), None)
            if alone is None:
                return
            broken = _broken(alone, batch)
            assert broken is not None  # that is what makes it alone
            await back.roll_back([alone], {"actor": "ratchet", "reason": not_together(broken)})


def _going_back(batch: Sequence[Deployment]) -> list[Deployment]:
    """What was decided to go back, with all that shares an item with it, and so on.

    The order is the other way round than forward: what gets its text again goes first.
    """
    items = {item for one in batch if one.state in LIVE and decided(one) for item in one.touched}
    while more := {item for one in batch if items & one.touched for item in one.touched} - items:
        items |= more
    return [one for one in reversed(batch) if one.state in LIVE and (decided(one) or items & one.touched)]


def _is_alone(deployment: Deployment, batch: Sequence[Deployment]) -> bool:
    return (
        deployment.state in LIVE
        and "failed" not in (deployment.rollback or {})
        and _broken(deployment, batch) is not None
    )


def _broken(deployment: Deployment, batch: Sequence[Deployment]) -> Deployment | None:
    """A deployment that shares an item with this one and is not live."""
    broken = (one for one in batch if one.state in _NOT_LIVE and not one.was_passed and one.id != deployment.id)
    return next((one for one in broken if one.touched & deployment.touched), None)
