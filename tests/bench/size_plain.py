"""The plain SQL pass, and that it and the rollups say the same: two ways of counting are only worth comparing then."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.facts import Measures
from optimizer.records.window import Window
from optimizer.stats.histogram import quantile
from optimizer.stores.rollups import RollupStore
from tests.bench.traffic import AGENT

QUERY = Path(__file__).with_name("plain_pass.sql").read_text(encoding="utf-8")
QUANTILE_ERROR_MAX = 0.021
MEANS = ("cost_usd", "tokens_in", "tokens_out", "steps", "user_messages")

Facts = dict[str, Any]


def plain_pass(dsn: str, window: Window) -> tuple[float, Facts]:
    """Seconds and facts of one pass in one process (as a folding client is), with memory enough to hash in."""
    settings = "-c jit=off -c work_mem=256MB -c max_parallel_workers_per_gather=0"
    with psycopg.connect(dsn, autocommit=True, options=settings) as connection:
        begun = time.perf_counter()
        arguments = {"agent": AGENT, "since": window.since, "until": window.until}
        row = connection.execute(QUERY.encode(), arguments).fetchone()
        seconds = time.perf_counter() - begun
    assert row is not None
    return seconds, row[0]


async def require_same(dsn: str, window: Window, plain: Facts) -> int:
    """How many figures were compared. Raises AssertionError with every one on which the two ways differ."""
    database = PostgresDatabase(dsn)
    await database.open()
    try:
        measures = await RollupStore(database).read(AGENT, window)
    finally:
        await database.close()
    pairs = list(_pairs(measures, plain))
    wrong = [
        f"{name}: {folded!r}, by the plain pass {counted!r}"
        for name, folded, counted, tolerance in pairs
        if not math.isclose(folded, counted, rel_tol=tolerance, abs_tol=1e-9)
    ]
    assert not wrong, "\n".join(wrong)
    return len(pairs)


def _pairs(measures: Measures, plain: Facts) -> Iterable[tuple[str, float, float, float]]:
    """(name, from the rollups, by the plain pass, relative tolerance); counts are equal to the last one."""
    tools = {row["tool"]: row for row in plain["tools"]}
    yield "tools", len(measures.by("tool.calls", "tool")), len(tools), 0
    for tool, row in tools.items():
        yield from _tool_pairs(measures, tool, row)
    for row in plain["labels"]:
        named = {name: row[name] for name in ("model", "task_category", "prompt_version") if row[name] is not None}
        yield from _label_pairs(measures, named, row)
    yield "signatures", len(list(measures.named("tool.error_signature"))), len(plain["signatures"]), 0
    for row in plain["signatures"]:
        found = measures.get("tool.error_signature", tool=row["tool"], signature=row["signature"])
        yield f"{row['tool']}, {row['signature']}", found.total, row["errors"], 0
    yield "loop.sessions", measures.get("loop").n, plain["repeats"]["loop_sessions"], 0
    yield "loop.longest", measures.get("loop").largest, plain["repeats"]["loop_longest"], 0
    yield "redundant_calls", measures.get("redundant_calls").total, plain["repeats"]["redundant_calls"], 0
    yield "never called", 0, sum(measures.get("tool.calls", tool=tool).n for tool in plain["never_called"]), 0


def _tool_pairs(measures: Measures, tool: str, row: Facts) -> Iterable[tuple[str, float, float, float]]:
    latency = measures.get("tool.latency_ms", tool=tool)
    yield f"{tool} sessions", measures.get("tool.calls", tool=tool).n, row["sessions"], 0
    yield f"{tool} calls", measures.get("tool.calls", tool=tool).total, row["calls"], 0
    yield f"{tool} errors", measures.get("tool.errors", tool=tool).total, row["errors"], 0
    yield f"{tool} latencies", latency.n, row["latencies"], 0
    yield f"{tool} p50", quantile(latency.buckets, 0.5), row["p50"], QUANTILE_ERROR_MAX
    yield f"{tool} p95", quantile(latency.buckets, 0.95), row["p95"], QUANTILE_ERROR_MAX


def _label_pairs(measures: Measures, named: dict[str, str], row: Facts) -> Iterable[tuple[str, float, float, float]]:
    success = measures.get("success", **named)
    yield f"{named} sessions", measures.get("sessions", **named).n, row["sessions"], 0
    yield f"{named} rated", success.n, row["rated"], 0
    yield f"{named} successes", success.total, row["successes"], 0
    yield f"{named} escalations", measures.get("escalations", **named).n, row["escalations"], 0
    for name in MEANS:
        measure = measures.get(name, **named)
        yield f"{named} {name} mean", measure.mean, row[f"{name}_mean"], 1e-9
        yield f"{named} {name} variance", measure.variance, row[f"{name}_variance"], 1e-6
