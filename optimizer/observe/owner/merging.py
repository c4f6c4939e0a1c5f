"""Messages into the traces that are stored: whole session ids at a time, because a message finds its run among all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from optimizer.clock import Clock
from optimizer.errors import InputError
from optimizer.observe.owner.mapping import Mapped
from optimizer.observe.owner.messages import REACH, Message, merge, message_of
from optimizer.observe.owner.walk import REREAD
from optimizer.records.trace import Trace
from optimizer.stores.owner_tables import OwnerTableStore, Position

_SESSIONS_MAX = 50  # of one read
_TRACES_MAX = 200
_MESSAGES_MAX = 500
_PAGES_MAX = 20
_MESSAGE_BYTES_MAX = 256 * 1024


@dataclass(frozen=True)
class Merging:
    store: OwnerTableStore
    traces_table: str
    mapped: Mapped  # of the messages
    clock: Clock

    async def merge(self, traces: Sequence[Trace]) -> None:
        """Merges the sessions of traces that were just written."""
        if not traces:
            return
        since = min(datetime.fromisoformat(trace["started_at"]) for trace in traces)
        until = max(datetime.fromisoformat(trace["ended_at"]) for trace in traces)
        await self._merge(sorted({trace["session_id"] for trace in traces}), since - REACH, until + REACH)

    @property
    def lately(self) -> datetime:
        """Before any message that can be seen to be gone."""
        return self.clock.now() - REREAD

    async def merge_sessions(self, session_ids: Collection[str], since: datetime, until: datetime) -> None:
        """Merges sessions of which messages between these times changed."""
        await self._merge(sorted(session_ids), since - REACH, max(until, self.clock.now()) + REACH)

    async def _merge(self, session_ids: Sequence[str], since: datetime, until: datetime) -> None:
        for start in range(0, len(session_ids), _SESSIONS_MAX):
            await self._merge_some(session_ids[start : start + _SESSIONS_MAX], since, until)

    async def _merge_some(self, session_ids: Sequence[str], since: datetime, until: datetime) -> None:
        found = await self.store.traces_of(self.traces_table, session_ids, since, until, traces_max=_TRACES_MAX)
        if len(found) == _TRACES_MAX and len(session_ids) > 1:
            middle = len(session_ids) // 2
            await self._merge_some(session_ids[:middle], since, until)
            await self._merge_some(session_ids[middle:], since, until)
            return
        if not found:
            return
        messages = await self._messages(session_ids, [trace for _, trace in found])
        stored: dict[tuple[str, str], list[Trace]] = defaultdict(list)
        for agent, trace in found:
            stored[agent, trace["session_id"]].append(trace)
        changed: dict[str, list[Trace]] = defaultdict(list)
        for (agent, session_id), traces in stored.items():
            before = {trace["trace_id"]: trace for trace in traces}
            merged = merge(traces, messages.get(session_id, ()), self.mapped.table)
            changed[agent].extend(trace for trace in merged if trace != before[trace["trace_id"]])
        for agent in sorted(changed):
            if changed[agent]:
                await self.store.replace(agent, changed[agent], at=self.clock.now())

    async def _messages(self, session_ids: Sequence[str], traces: Sequence[Trace]) -> dict[str, list[Message]]:
        """The messages of the sessions in the time of the traces, by session id."""
        column, created_at = self.mapped.column("session_id"), self.mapped.column("created_at")
        if column is None or created_at is None:
            return {}
        ref = self.mapped.ref.model_copy(update={"key": created_at, "key_or": None})
        since = min(datetime.fromisoformat(trace["started_at"]) for trace in traces) - REACH
        until = max(datetime.fromisoformat(trace["ended_at"]) for trace in traces) + REACH
        found: dict[str, list[Message]] = defaultdict(list)
        place: Position | None = None
        for _ in range(_PAGES_MAX):
            rows = await self.store.rows_of(
                ref,
                column,
                session_ids,
                since,
                until,
                place,
                rows_max=_MESSAGES_MAX,
                row_bytes_max=_MESSAGE_BYTES_MAX,
            )
            for _, doc in rows:
                if (message := self._read(doc)) is not None:
                    found[message.session_id].append(message)
            if len(rows) < _MESSAGES_MAX:
                break
            place = rows[-1][0]
        return found

    def _read(self, doc: str | None) -> Message | None:
        """One that cannot be read is refused, counted and told where its table is walked."""
        try:
            return message_of(doc, self.mapped) if doc is not None else None
        except InputError:
            return None
