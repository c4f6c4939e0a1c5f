"""What `ratchet doctor` says about the owner's own tables: how they are read, or that some could be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from optimizer.errors import DatabaseError, DatabaseUnavailable, RatchetError, SettingsError
from optimizer.observe.owner.detect import propose_tables, toml_lines
from optimizer.observe.owner.inspect import Inspection, inspect
from optimizer.observe.owner.mapping import USUAL, not_read
from optimizer.wiring import Ratchet


async def table_lines(ratchet: Ratchet) -> AsyncIterator[str | RatchetError]:
    """Lines, and why a table cannot be read. Raises `DatabaseUnavailable`."""
    settings, store = ratchet.settings, ratchet.owner_tables.store
    for table in settings.tables:
        try:
            for line in _inspected(await inspect(table, settings, store, ratchet.clock)):
                yield line
        except DatabaseUnavailable:
            raise
        except SettingsError as error:
            yield error
        except DatabaseError as error:
            yield not_read(table, error)
    if settings.file.traces is None:
        if settings.tables:
            yield "[traces] is missing: without it, [messages] has nothing to be merged into"
        proposals = propose_tables(await store.list())
        if any(proposal.kind == "traces" for proposal in proposals):
            yield "tables that look like an agent's own; to have them read, paste this into ratchet.toml:"
            agent = next(iter(settings.file.agents), "my-agent")
            for proposal in proposals:
                if getattr(settings.file, proposal.kind) is None:
                    for line in toml_lines(proposal, agent):
                        yield line


def _inspected(seen: Inspection) -> Iterator[str]:
    mapped, table = seen.mapped, seen.table
    head = f"[{mapped.kind}] {mapped.table}"
    rows = "unknown" if table.rows is None else f"{table.rows:,}"
    newest = f", newest {seen.newest:%Y-%m-%d %H:%M} UTC" if seen.newest else ""
    yield f"{head}: {rows} rows{newest}"
    places = {field: " or ".join(".".join(path) for path in paths) for field, paths in mapped.paths.items() if paths}
    yield f"{head}: read as {', '.join(f'{field} = {place}' for field, place in places.items())}"
    missing = [field for field in USUAL[mapped.kind] if field not in places and field != "trace_id"]
    if missing:
        yield f"{head}: no column for {', '.join(missing)}"
    if table.hidden:
        yield f"{head}: row-level security hides rows from the role that ran the migrations; let that role bypass it"
    if mapped.kind == "agent_config":
        return
    if seen.sampled:
        told = ", ".join(f"{name} {count}" for name, count in sorted(seen.says.items()))
        yield f"{head}: of the newest {seen.sampled} rows {seen.usable} can be used; they tell: {told or 'nothing'}"
    if seen.problem is not None:
        yield f"{head}: its newest rows could not be read: {seen.problem}"
    if seen.refused.rows:
        named = "; ".join(f"row {row_id}: {reason}" for row_id, reason in seen.refused.examples)
        yield f"{head}: {seen.refused.rows} rows refused in 30 days: {named}"
    yield f"{head}: {_progress(seen)}"
    yield f"{head}: not seen: {_not_seen(seen)}"
    if seen.index is not None:
        yield f"{head}: reading it in order would be faster with an index, which you may add: {seen.index}"


def _not_seen(seen: Inspection) -> str:
    ref = seen.mapped.ref
    nullable = {column.name for column in seen.table.columns if not column.not_null}
    lacking = [name for name in (ref.id, ref.key_or or ref.key) if name in nullable]
    without = f"rows without {' or '.join(lacking)}, and " if lacking else ""
    late = "changed or deleted" if ref.key == seen.mapped.column("created_at") else "deleted"
    return f"{without}rows {late} more than two days after their {ref.key}"


def _progress(seen: Inspection) -> str:
    mark = seen.mark
    if mark is None:
        return "not read yet; the next run does"
    if mark.cursor is not None:
        return f"read up to {mark.cursor.key:%Y-%m-%d %H:%M} UTC; the next run goes on"
    if not mark.bottom:
        return f"read back to {mark.low.key:%Y-%m-%d}; the next run goes on"
    return "read to its end"
