"""A month of 100,000 or 1,000,000 sessions: ingest, fold and snapshot, each beside a yardstick of the same run.

Prints one Markdown table per size, as it stands in docs/benchmarks.md, and on standard error how long each phase
took. `--sessions 100000 1000000` measures both and says how the snapshot grew. ClickHouse is measured where `chdb`
can be imported; see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from scripts.migration import changed
from tests.bench import size_clickhouse, size_plain
from tests.bench.size_clients import DAY, MONTH, run
from tests.bench.size_ingest import Ingest, ingest
from tests.bench.traffic import AGENT

PULLED_SESSIONS_MAX = 10_000


class Row(NamedTuple):
    """One line of the table; `passed` is None where there is no target."""

    what: str
    figure: str
    yardstick: str
    ratio: float
    target: str = ""
    passed: bool | None = None

    def __str__(self) -> str:
        said = {None: "", True: "pass", False: "**miss**"}[self.passed]
        return f"| {self.what} | {self.figure} | {self.yardstick} | {self.ratio:.2f} | {self.target} | {said} |"


class Looked(NamedTuple):
    snapshot_seconds: float
    rows: list[Row]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench size", description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[100_000], help="one table each (default 100000)")
    sizes = sorted(parser.parse_args().sessions)
    print(machine(), flush=True)
    seconds = {size: measure(size) for size in sizes}
    small, large = sizes[0], sizes[-1]
    if small < large:
        growth = seconds[large] / seconds[small]
        print(f"\nThe snapshot of {large:,} sessions took {growth:.2f} times that of {small:,}", end=" ")
        print(f"(target: at most 1.5; {'pass' if growth <= 1.5 else '**miss**'}).")


def machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    named = cpu[1] if cpu else platform.machine()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {named}, {memory_gb:.0f} GB, Python {platform.python_version()}; load before {load:.1f}"


def measure(sessions: int) -> float:
    """Prints the table; returns the seconds of the snapshot."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, open_embedded(Path(folder) / "home") as server:
        prepare(server.dsn)
        with phase("put, COPY and import"):
            taken_in = asyncio.run(ingest(server.dsn, sessions))
        keep_queue(server.dsn)
        tidy(server.dsn, "traces")
        folding, plain = fold(server.dsn, sessions)
        with phase("snapshots and their yardsticks"):
            looked = look(server.dsn, sessions, plain)
        with phase("comparing"):
            compared = compare(server.dsn, plain)
    print(f"\n### {sessions:,} sessions\n")
    print("| measured | figure | yardstick | ratio | target | |")
    print("|---|---|---|---|---|---|")
    for row in (*ingest_rows(taken_in, sessions), *folding, *looked.rows):
        print(row)
    print(f"\n{compared} figures of the rollups and of the plain pass were compared: all the same.", end=" ")
    print(f"The whole run took {time.perf_counter() - begun:.0f} s.", flush=True)
    return looked.snapshot_seconds


@contextmanager
def phase(name: str) -> Generator[None]:
    begun = time.perf_counter()
    yield
    print(f"{name}: {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)


def prepare(dsn: str) -> None:
    """The schema with the functions as they stand in their sources, dated or not."""
    migrate.apply(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for source in changed().values():
            connection.execute(source.encode())


def ingest_rows(seconds: Ingest, sessions: int) -> Sequence[Row]:
    put, put_beside = sessions / seconds.put, seconds.copied / seconds.put_beside
    bare, indexed = seconds.copied / seconds.copy_bare, seconds.copied / seconds.copy_indexed
    imported = seconds.imported_count / seconds.imported
    named = f"put, the first {seconds.copied:,} objects"
    ratio = put_beside / bare
    return (
        Row(named, f"{put_beside:,.0f}/s", f"COPY, bare table: {bare:,.0f}/s", ratio, "at least 0.33", ratio >= 1 / 3),
        Row("same", f"{put_beside:,.0f}/s", f"COPY, keys and indexes as ours: {indexed:,.0f}/s", put_beside / indexed),
        Row("put, all objects", f"{put:,.0f}/s", f"the first of them: {put_beside:,.0f}/s", put / put_beside),
        Row(
            "import of JSON lines", f"{imported:,.0f}/s", f"put, the first: {put_beside:,.0f}/s", imported / put_beside
        ),
    )


def fold(dsn: str, sessions: int) -> tuple[list[Row], size_plain.Facts]:
    with phase("the plain pass"):
        plain_seconds, plain = size_plain.plain_pass(dsn, MONTH)
    with phase("fold, one client"):
        one = fold_with(dsn, 1)
    asyncio.run(size_plain.require_same(dsn, MONTH, plain))
    queue_again(dsn)
    with phase("fold, two clients"):
        two = fold_with(dsn, 2)
    tidy(dsn, "rollups", "rollup_days")
    rate, rate_two, passing = (sessions / seconds for seconds in (one, two, plain_seconds))
    beside = f"one plain SQL pass: {plain_seconds:.1f} s, {passing:,.0f}/s"
    return [
        Row("fold, one client", f"{one:.1f} s", beside, one / plain_seconds, "at most 1.5", one <= 1.5 * plain_seconds),
        Row("same", f"{rate:,.0f}/s", "12,000/s", rate / 12_000, "at least 1", rate >= 12_000),
        Row(
            "fold, two clients",
            f"{rate_two:,.0f}/s",
            f"one: {rate:,.0f}/s",
            one / two,
            "at least 1.7",
            one >= 1.7 * two,
        ),
    ], plain


def fold_with(dsn: str, clients: int) -> float:
    seconds, _ = run("fold", dsn, clients=clients)
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from ratchet.fold_queue where agent = %s", (AGENT,)).fetchone()
    assert row == (0,), "hours were left unfolded"
    return seconds


def keep_queue(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table queue_kept (like ratchet.fold_queue)")
        connection.execute("insert into queue_kept select * from ratchet.fold_queue where agent = %s", (AGENT,))


def queue_again(dsn: str) -> None:
    """Forgets all rollups and queues every hour, as the ingest had left it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'ratchet' and tablename ~ '^(rollup|day_queue)'"
        )
        for (table,) in tables.fetchall():
            connection.execute(f'truncate ratchet."{table}"'.encode())
        connection.execute("insert into ratchet.fold_queue table queue_kept")
    tidy(dsn, "fold_queue")


def tidy(dsn: str, *tables: str) -> None:
    """What the server would have done itself some minutes later, so that no phase pays for the one before."""
    named = f"vacuum, analyze and checkpoint after {', '.join(tables)}"
    with phase(named), psycopg.connect(dsn, autocommit=True) as connection:
        for table in tables:
            connection.execute(f"vacuum analyze ratchet.{table}".encode())
        connection.execute("checkpoint")


def look(dsn: str, sessions: int, plain: size_plain.Facts) -> Looked:
    (snapshot,), (month,) = run("look", dsn)[1], run("month", dsn)[1]
    pulled = run("pull", dsn, str(min(sessions, PULLED_SESSIONS_MAX)))[1][0]
    scale = sessions / pulled["sessions"]
    naive = f"{pulled['seconds'] * scale:,.1f} s, {pulled['mb'] * scale:,.0f} MB (from {pulled['sessions']:,} sessions)"
    taken, read = snapshot["median"], month["median"]
    rows = [
        Row(
            "snapshot: 24 h, 7 d, 30 d, before each", f"{taken:.3f} s", "0.5 s", taken / 0.5, "at most 1", taken <= 0.5
        ),
        Row(
            "its client at most",
            f"{snapshot['peak_mb']:.0f} MB ({snapshot['idle_mb']:.0f} before)",
            "150 MB",
            snapshot["peak_mb"] / 150,
            "at most 1",
            snapshot["peak_mb"] <= 150,
        ),
        Row("one window of 30 days", f"{read:.3f} s", f"rows into Python: {naive}", read / (pulled["seconds"] * scale)),
    ]
    if importlib.util.find_spec("chdb"):
        asked = size_clickhouse.measure(dsn, plain)
        beside = f"chdb: {asked.seconds:.2f} s, {asked.peak_mb:.0f} MB (after {asked.load_seconds:.0f} s of loading)"
        rows.append(Row("same", f"{read:.3f} s, {month['peak_mb']:.0f} MB", beside, read / asked.seconds))
    return Looked(taken, rows)


def compare(dsn: str, plain: size_plain.Facts) -> int:
    """After the second fold: the whole month, and the last day alone."""
    _, plain_day = size_plain.plain_pass(dsn, DAY)
    return asyncio.run(size_plain.require_same(dsn, MONTH, plain)) + asyncio.run(
        size_plain.require_same(dsn, DAY, plain_day)
    )


if __name__ == "__main__":
    main()
