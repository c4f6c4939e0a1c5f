"""How one of the owner's tables is read: what a doctor tells, and what reading it cannot see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from optimizer.clock import Clock
from optimizer.errors import DatabaseError, DatabaseUnavailable, InputError
from optimizer.observe.owner.detect import wanted_index
from optimizer.observe.owner.mapping import Mapped, map_table
from optimizer.observe.owner.messages import Message, message_of
from optimizer.observe.owner.rows import trace_of
from optimizer.observe.owner.walk import ROW_BYTES_MAX, Mark
from optimizer.settings import Settings
from optimizer.settings.tables import TableSettings
from optimizer.stores.owner_tables import OwnerTableStore, Position, Refusals, Row, Table

SAMPLE_ROWS_MAX = 20
_SAMPLE_BYTES_MAX = 4 * 1024 * 1024
_REFUSED_SINCE = timedelta(days=30)


@dataclass(frozen=True)
class Inspection:
    mapped: Mapped
    table: Table
    newest: datetime | None
    sampled: int  # of the newest rows
    usable: int
    says: Mapping[str, int]  # in how many of the usable ones something is told
    refused: Refusals
    mark: Mark | None  # None where it was never read
    index: str | None  # the statement for the index that the owner may want
    problem: str | None  # why its newest rows could not be read


async def inspect(table: TableSettings, settings: Settings, store: OwnerTableStore, clock: Clock) -> Inspection:
    """Reads the newest rows as a pass would, and keeps nothing. Raises `SettingsError` where the mapping is wrong."""
    described = await store.describe(*table.schema_and_name, counted=True)
    mapped = map_table(table, described)
    assert described is not None, "a table that is not there cannot be mapped"
    now, rows, problem = clock.now(), (), None
    if mapped.ref.key is not None:
        reading = store.page(
            "",  # nothing is kept under it, so every row comes
            mapped.ref,
            mapped.digest,
            Position(key=now + timedelta(days=1)),
            backwards_until=datetime.min.replace(year=1900, tzinfo=now.tzinfo),
            rows_max=SAMPLE_ROWS_MAX,
            bytes_max=_SAMPLE_BYTES_MAX,
            row_bytes_max=ROW_BYTES_MAX,
        )
        try:
            rows = (await reading).rows
        except DatabaseUnavailable:
            raise
        except DatabaseError as error:
            problem = str(error)
    says: Counter[str] = Counter()
    usable = 0
    for row in rows:
        told = _told(row, mapped, settings.agent_of(table), now)
        usable += told is not None
        says.update(told or ())
    mark = await store.mark(mapped.source)
    return Inspection(
        mapped=mapped,
        table=described,
        newest=rows[0].key if rows else None,
        sampled=len(rows),
        usable=usable,
        says=says,
        refused=await store.refused(mapped.source, now - _REFUSED_SINCE),
        mark=Mark.model_validate(mark["mark"]) if mark and mark["digest"] == mapped.digest else None,
        index=wanted_index(mapped, described),
        problem=problem,
    )


def _told(row: Row, mapped: Mapped, agent: str | None, now: datetime) -> frozenset[str] | None:
    """What a row tells; None for one that would be refused."""
    try:
        if row.doc is None:
            return None
        if mapped.kind == "messages":
            return _in_message(message_of(row.doc, mapped))
        _, trace = trace_of(row.doc, row.id, mapped, agent, now=now)
    except InputError:
        return None
    found: list[str] = [event["type"] for event in trace["events"]]
    found += [name for name in ("model", "success") if name in trace]
    found += [name for name in ("cost_usd", "tokens_in") if any(name in event for event in trace["events"])]
    found += ["prompts"] if trace["prompts"] else []
    found += ["session_id"] if trace["session_id"] != trace["trace_id"] else []
    found += ["events that are none of ours"] if "left_out" in trace["extra"] else []
    return frozenset(found)


def _in_message(message: Message | None) -> frozenset[str]:
    if message is None:
        return frozenset()
    return frozenset([message.type or "other speakers"] + (["feedback"] if message.liked is not None else []))
