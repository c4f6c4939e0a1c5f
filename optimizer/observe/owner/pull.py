"""What changed in the owner's own tables, into our store: before a run looks at anything."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from optimizer.clock import Clock
from optimizer.errors import DatabaseError, DatabaseUnavailable, InputError, SettingsError
from optimizer.observe.owner.config import Declared, declared_in
from optimizer.observe.owner.mapping import Mapped, map_table, not_read
from optimizer.observe.owner.merging import Merging
from optimizer.observe.owner.reading import MessageReading, Pulled, TraceReading
from optimizer.observe.owner.walk import ROW_BYTES_MAX, Mark, Walk
from optimizer.observe.register import register_prompts
from optimizer.records.deployment import PromptRef
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.settings.tables import AgentConfigSettings, TableSettings, TracesSettings
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore
from optimizer.stores.owner_tables import OwnerTableStore

T = TypeVar("T")
PULL_SECONDS_MAX = 300
_CONFIG_ROWS_MAX = 1000
_REFUSED_LATELY = timedelta(hours=24)


@dataclass(frozen=True)
class OwnerTables:
    """The owner's tables that ratchet.toml names. They are read alone."""

    settings: Settings
    store: OwnerTableStore
    agents: AgentStore
    audit: AuditStore
    registry_of: Callable[[str], Registry]
    clock: Clock
    seconds_max: float = PULL_SECONDS_MAX

    async def pull(self) -> Pulled:
        """Brings our store up to the tables, within `seconds_max`; what is left, the next pull goes on with.

        A table that cannot be read is an alarm, not an error: what is there can still be looked at. Raises
        `DatabaseUnavailable`.
        """
        file = self.settings.file
        deadline = time.monotonic() + self.seconds_max
        alarms: list[str] = []
        pulled = Pulled()
        # Settings first: what an agent declares is looked at with the first of its traces.
        if (config := file.agent_config) is not None:
            pulled += await self._told(config, self._config(config), alarms) or Pulled()
        chat = await self._told(file.messages, self.mapped(file.messages), alarms) if file.messages else None
        if (table := file.traces) is None or (traces := await self._told(table, self.mapped(table), alarms)) is None:
            return pulled + Pulled(alarms=tuple(alarms))
        merging = Merging(self.store, traces.table, chat, self.clock) if chat is not None else None
        pulled += await self._told(table, self._traces(table, traces, merging, deadline), alarms) or Pulled()
        if file.messages is not None and merging is not None:
            pulled += await self._told(file.messages, self._messages(merging, deadline), alarms) or Pulled()
        return pulled + Pulled(alarms=tuple(alarms))

    async def _told(self, table: TableSettings, work: Awaitable[T], alarms: list[str]) -> T | None:
        """What the work answers; None, and an alarm, where it could not be done."""
        try:
            return await work
        except DatabaseUnavailable:
            raise
        except SettingsError as error:
            alarms.append(str(error))
        except DatabaseError as error:
            alarms.append(str(not_read(table, error)))
        return None

    async def _traces(self, table: TracesSettings, traces: Mapped, merging: Merging | None, deadline: float) -> Pulled:
        history = timedelta(days=table.history_days)
        reading = TraceReading(self.store, traces, self.settings.agent_of(table), merging, self.clock)
        mark = await Walk(self.store, traces, self.clock, deadline, history).run(reading.use)
        return reading.pulled + Pulled(alarms=await self._alarms(traces, mark))

    async def _messages(self, merging: Merging, deadline: float) -> Pulled:
        reading = MessageReading(merging.mapped, merging)
        mark = await Walk(self.store, merging.mapped, self.clock, deadline, None).run(reading.use)
        return reading.pulled + Pulled(alarms=await self._alarms(merging.mapped, mark))

    async def mapped(self, table: TableSettings) -> Mapped:
        """Raises `SettingsError` where the mapping does not fit the table."""
        return map_table(table, await self.store.describe(*table.schema_and_name))

    async def _alarms(self, mapped: Mapped, mark: Mark) -> tuple[str, ...]:
        alarms: list[str] = []
        refused = await self.store.refused(mapped.source, self.clock.now() - _REFUSED_LATELY)
        if refused.rows:
            row_id, reason = refused.examples[0]
            alarms.append(
                f"{refused.rows} rows of {mapped.table} could not be used (row {row_id}: {reason}); "
                "`ratchet doctor` names more."
            )
        if mark.cursor is not None:
            alarms.append(f"{mapped.table} is read up to {mark.cursor.key:%Y-%m-%d %H:%M} UTC; the next run goes on.")
        elif not mark.bottom:
            alarms.append(f"{mapped.table} is read back to {mark.low.key:%Y-%m-%d}; the next run goes on.")
        return tuple(alarms)

    async def _config(self, table: AgentConfigSettings) -> Pulled:
        mapped, whose = await self.mapped(table), self.settings.agent_of(table)
        rows = await self.store.all_rows(mapped.ref, rows_max=_CONFIG_ROWS_MAX, row_bytes_max=ROW_BYTES_MAX)
        found, refused = declared_in(rows, mapped, whose)
        alarms = [f"{len(refused)} rows of {mapped.table} could not be used (row {refused[0]})."] if refused else []
        for agent, declared in found.items():
            try:
                await self._declare(agent, declared)
            except InputError as error:
                alarms.append(f"{mapped.table}: {error}")
        return Pulled(refused=len(refused), alarms=tuple(alarms))

    async def _declare(self, agent: str, declared: Declared) -> None:
        """What is written in ratchet.toml about the agent stands above the table; its defaults do not."""
        section = self.settings.file.agents.get(agent)
        written = section.model_fields_set if section else frozenset[str]()
        if declared.prompts and self.settings.agent(agent).registry == "local":
            sections = self.settings.agent(agent).prompts
            configured = {name: PromptRef(**section.model_dump()) for name, section in sections.items()}
            texts, registry = dict(declared.prompts), self.registry_of(agent)
            await register_prompts(texts, agent, configured, registry, self.agents, self.audit, self.clock)
        await self.agents.register(
            agent,
            at=self.clock.now(),
            environment=None if "environment" in written else declared.environment,
            tools=declared.tools,
            escalation_tools=None if "escalation_tools" in written else declared.escalation_tools,
        )
