"""Whether the service can do its work, for whoever routes to it: words without details, which go to the log."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

from bot.service import Service
from optimizer.db import migrate
from optimizer.errors import RatchetError, SchemaTooOld
from optimizer.stores.messages import Behind

BEHIND = timedelta(seconds=60)  # what is due for longer than that is late
ANSWER_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Health:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._is_current = False  # a schema does not grow older

    async def report(self) -> dict[str, Any]:
        """`status` is "ready" where messages can be kept and are worked on; a channel that is late is told beside it:
        taking its webhooks away would not help it."""
        now = self._service.ratchet.clock.now()
        database, behind = await self._database(now)
        loops = "running" if self._service.is_running else "stopped"
        if behind is None:
            return {"status": "not ready", "database": database, "loops": loops}
        late = {name for name, since in behind.deliveries.items() if now - since > BEHIND}
        failing = sorted(self._service.failing)
        return {
            "status": "ready" if loops == "running" else "not ready",
            "database": database,
            "loops": loops,
            **({"failing": failing} if failing else {}),
            "inbox": "behind" if behind.inbound and now - behind.inbound > BEHIND else "ok",
            "channels": {name: "behind" if name in late else "ok" for name in sorted(self._service.channels)},
        }

    async def _database(self, now: datetime) -> tuple[str, Behind | None]:
        try:
            if not self._is_current:
                await migrate.require_current(self._service.ratchet.database)
                self._is_current = True
            async with asyncio.timeout(ANSWER_SECONDS):
                return "ok", await self._service.deliveries.behind(now)
        except SchemaTooOld as error:
            _log.error("not ready: %s", error)
            return "schema too old", None
        except (RatchetError, TimeoutError) as error:
            _log.error("not ready: the database does not answer: %s", error)
            return "unreachable", None
