"""The stop for all deployments of an agent: whoever is listed may pull it, approvers lift it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from optimizer.approve.door import Said
from optimizer.approve.people import People, either
from optimizer.clock import Clock, iso
from optimizer.errors import UsageError
from optimizer.records.freeze import Freeze
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.deployments import Stopped
from optimizer.stores.freezes import FreezeStore
from optimizer.text.excerpt import one_line

REASON_CHARACTERS_MAX = 160


@dataclass(frozen=True)
class Freezing:
    """Freezes of all agents of one database."""

    freezes: FreezeStore
    audit: AuditStore
    people_of: Callable[[str], People]
    clock: Clock

    async def begin(self, agent: str, said: Said, reason: str) -> Stopped | Freeze:
        """Stops deployments of the agent, and halts what is not live yet; a rollback stays possible.

        Answers what was stopped with it, or the freeze that stood already. Raises `UsageError` for someone
        who is not listed.
        """
        people = self.people_of(agent)
        if not people.may_take_back(said.actor):
            await self._refused(agent, said)
            raise UsageError(f"{said.actor!r} may not freeze the deployments of {agent!r}; ask {people.to_ask}.")
        at = self.clock.now()
        freeze = Freeze(agent=agent, actor=said.actor, reason=one_line(reason, REASON_CHARACTERS_MAX), frozen_at=at)
        body = {"reason": freeze.reason}
        return await self.freezes.begin(
            freeze,
            {"actor": said.actor, "reason": f"halted by the freeze of {said.actor}"},
            [{"kind": "frozen", "session_id": None, "actor": said.actor, "body": body}],
            audit_body("freeze", at=iso(at), **asdict(said), **body),
        )

    async def lift(self, agent: str, said: Said) -> bool:
        """False when nothing was frozen. Raises `UsageError` for someone who is no approver."""
        people = self.people_of(agent)
        if not people.may_decide(said.actor):
            await self._refused(agent, said)
            who = either(people.deciders) or "one of its approvers, when ratchet.toml names one"
            raise UsageError(f"{said.actor!r} may not lift the freeze of {agent!r}; ask {who}.")
        at = self.clock.now()
        notice: dict[str, Any] = {"kind": "unfrozen", "session_id": None, "actor": said.actor, "body": {}}
        return await self.freezes.lift(agent, [notice], audit_body("unfreeze", at=iso(at), **asdict(said)), at)

    async def _refused(self, agent: str, said: Said) -> None:
        at = self.clock.now()
        await self.audit.write(agent, audit_body("refused", at=iso(at), **asdict(said), reason="not_allowed"), at)
