"""The reload hook: after a deployment, and after it was taken back, the agent is told to read its prompts again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from optimizer.clock import Clock, iso
from optimizer.deploy.reload import WAITS_SECONDS, post, reload_body
from optimizer.errors import RegistryError, SettingsError
from optimizer.loop.prompts import Prompts
from optimizer.measure.seen import Change
from optimizer.stores.audit import audit_body
from optimizer.stores.watching import Call, WatchingStore

RELOADED_WITHIN = timedelta(days=1)  # of an older change the agent has heard by other ways
TRIES_MAX = len(WAITS_SECONDS) + 1
_LEASE_SECONDS = 30  # longer than one try


@dataclass(frozen=True)
class Reloading:
    """Calls the address that ratchet.toml names for an agent, at least once for each event, with one key."""

    prompts: Prompts
    store: WatchingStore
    clock: Clock
    worker_name: str
    lease_seconds: int = _LEASE_SECONDS

    async def reload(self, agent: str, changes: Sequence[Change]) -> None:
        """Makes the calls that are due, all at once, one try each: it takes no longer than one."""
        hook, now = self.prompts.settings.agent(agent).reload, self.clock.now()
        due = {(change.deployment.id, change.event): change for change in changes if now - change.at <= RELOADED_WITHIN}
        if hook is None or not due:
            return
        calls = await self.store.claim(list(due), self.worker_name, self.lease_seconds, now)
        await asyncio.gather(*(self._call(hook.url, call, due[call.deployment_id, call.event]) for call in calls))

    async def _call(self, url: str, call: Call, change: Change) -> None:
        """One try. What comes of it is written down whatever it is; after the last one it is told."""
        reason = await self._try(url, call, change)
        at = self.clock.now()
        again = reason is not None and call.tries < TRIES_MAX and self._secret is not None
        told = change.as_body() | {"reason": reason, "tries": min(call.tries, TRIES_MAX)}
        await self.store.end(
            call,
            self.worker_name,
            reason=reason,
            next_try_at=at + timedelta(seconds=WAITS_SECONDS[call.tries - 1]) if again else None,
            notices=[change.notice("reload_failed", told)] if reason is not None and not again else [],
            audit=None if again else audit_body("reload", at=iso(at), event=change.event, **told),
            at=at,
        )

    @property
    def _secret(self) -> str | None:
        secret = self.prompts.settings.environment.ratchet_reload_secret
        return secret.get_secret_value() if secret else None

    async def _try(self, url: str, call: Call, change: Change) -> str | None:
        """None when the agent took it, else why not."""
        if self._secret is None:
            return "RATCHET_RELOAD_SECRET is not set, and nothing is sent unsigned"
        if call.tries > TRIES_MAX:
            return "the process that tried it last ended before the answer"
        try:
            body = reload_body(change.deployment, change.event, await self._version(change))
        except (RegistryError, SettingsError) as error:
            return str(error)
        return await post(url, self._secret, body, f"{call.deployment_id}:{call.event}", self.clock.now())

    async def _version(self, change: Change) -> int | None:
        """What the agent gets once it has read its prompts again."""
        deployment = change.deployment
        if not change.back:
            return deployment.new_version
        if deployment.follow == "label":
            return deployment.over_version
        return (await self.prompts.registry_of(deployment.agent).current(deployment.prompt, None)).version
