"""Quiet on noise, and not deaf: how often a run speaks of healthy traffic, and how often of a planted problem.

Real: generated traces go through `TraceStore.put`, the fold, and the rollups of an embedded PostgreSQL, and
each day is read back as the measures of its 24 hours. Drawn: a window is one such day, and its past is put
together from other days, each of the weekday that it stands for. The whole table of rules judges every window.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from optimizer.diagnose.rules import diagnose
from optimizer.records.findings import Finding
from optimizer.stats.bounds import lower_bound
from tests.bench.noise import Traffic
from tests.bench.noise_pool import Day, Pool, Stretch, draw_past, read_days, snapshot_of, store
from tests.bench.noise_problems import PROBLEMS, Problem

SIZES = (300, 50, 12)  # sessions a day; the slowest first
WINDOWS, PLANTED, HISTORY_DAYS = 1000, 100, 30
POOL_DAYS_MAX = 1000
# A run on the first day of a problem, and one on its seventh, which has six bad days in its past.
AGES = (1, 7)
NULL_SEED, PLANTED_SEED, DRAW_SEED = 1, 1000, 7
UPPER_ALPHA = 0.05


class Planted(NamedTuple):
    """In how many windows a planted problem was found."""

    windows: int
    named: int  # a finding is about it
    found: int  # and says the right figure


@dataclass
class Result:
    """What the windows of one size showed."""

    size: int
    sessions: int = 0
    pool_days: int = 0
    windows: int = 0
    with_finding: int = 0
    by_rule: Counter[str] = field(default_factory=Counter[str])  # windows in which the rule speaks
    watching: int = 0
    tests: int = 0
    planted: dict[tuple[str, int], Planted] = field(default_factory=lambda: dict[tuple[str, int], Planted]())
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def measure(dsn: str, size: int, windows: int, planted: int, history_days: int) -> Result:
    return asyncio.run(_measure(dsn, Result(size), windows, planted, history_days))


async def _measure(dsn: str, result: Result, windows: int, planted: int, history_days: int) -> Result:
    times = [time.perf_counter()]
    null = Stretch(f"healthy-{result.size}", Traffic(result.size), min(POOL_DAYS_MAX, max(windows, 70)), NULL_SEED)
    bad = {
        problem.name: Stretch(
            f"{problem.name}-{result.size}", problem.traffic(result.size), planted + max(AGES) - 1, PLANTED_SEED + n
        )
        for n, problem in enumerate(PROBLEMS)
    }
    stretches = [null, *bad.values()]
    database = PostgresDatabase(dsn)
    await database.open()
    try:
        result.sessions = await store(database, stretches)
        times.append(time.perf_counter())
        days = await read_days(database, stretches)
        times.append(time.perf_counter())
    finally:
        await database.close()
    pool = Pool([day for stretch in stretches for day in days[stretch.agent]])
    healthy = pool.days[: null.days]
    result.pool_days = null.days
    judge_noise(result, pool, healthy, windows, history_days)
    times.append(time.perf_counter())
    first = null.days
    for problem in PROBLEMS:
        stretch = bad[problem.name]
        judge_planted(result, problem, pool, healthy, pool.days[first : first + stretch.days], history_days)
        first += stretch.days
    times.append(time.perf_counter())
    names = ("store and fold", "read", "judge noise", "judge planted")
    result.seconds = {name: until - since for name, since, until in zip(names, times, times[1:], strict=False)}
    return result


def judge_noise(result: Result, pool: Pool, healthy: Sequence[Day], windows: int, history_days: int) -> None:
    random, decks = Random(DRAW_SEED), by_weekday(healthy)
    for number in range(windows):
        main = healthy[number % len(healthy)]
        diagnosis = diagnose(snapshot_of(pool, main, draw_past(main, decks, history_days, random)))
        result.windows += 1
        result.with_finding += bool(diagnosis.findings)
        result.by_rule.update({finding.rule for finding in diagnosis.findings})
        result.watching += len(diagnosis.watching)
        result.tests += diagnosis.tests


def judge_planted(
    result: Result, problem: Problem, pool: Pool, healthy: Sequence[Day], bad: Sequence[Day], history_days: int
) -> None:
    random, decks = Random(DRAW_SEED), by_weekday(healthy)
    if problem.steady:
        decks = by_weekday(bad)
    for age in AGES:
        findings: list[tuple[Finding, ...]] = []
        mains = range(max(AGES) - 1, len(bad))
        for number in mains:
            recent = [] if problem.steady else list(reversed(bad[number - age + 1 : number]))
            past = [*recent, *draw_past(bad[number], decks, history_days, random)[len(recent) :]]
            findings.append(diagnose(snapshot_of(pool, bad[number], past)).findings)
        result.planted[problem.name, age] = Planted(
            windows=len(findings),
            named=sum(any(map(problem.is_named_by, found)) for found in findings),
            found=sum(any(map(problem.is_said_by, found)) for found in findings),
        )


def by_weekday(days: Sequence[Day]) -> Mapping[int, Sequence[Day]]:
    return {weekday: [day for day in days if day.weekday == weekday] for weekday in range(7)}


def upper_bound(k: int, n: int) -> float:
    """The share above which the truth lies with probability at most 5 %, given k of n (Clopper-Pearson)."""
    return 1.0 - lower_bound(n - k, n, UPPER_ALPHA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="null windows of each size")
    parser.add_argument("--planted", type=int, default=PLANTED, help="windows of each planted problem and size")
    parser.add_argument("--history-days", type=int, default=HISTORY_DAYS, help="days before each window")
    parser.add_argument("--size", type=int, action="append", help="sessions a day; default: 12, 50 and 300")
    args = parser.parse_args()
    sizes = args.size or SIZES
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, open_embedded(Path(folder) / "home") as server:
        migrate.apply(server.dsn)
        with ProcessPoolExecutor(max_workers=2) as workers:
            jobs = [
                workers.submit(measure, server.dsn, size, args.windows, args.planted, args.history_days)
                for size in sizes
            ]
            results = sorted((job.result() for job in jobs), key=lambda result: result.size)
    print_results(results, args.history_days)
    print(f"\n{sum(result.sessions for result in results)} sessions, {time.perf_counter() - begun:.0f} s in all")
    for result in results:
        spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.seconds.items())
        print(f"  {result.size} a day: {result.sessions} sessions; {spent}")


def print_results(results: Sequence[Result], history_days: int) -> None:
    print(f"quiet: healthy traffic, windows of 24 h with {history_days} days before them\n")
    print("| sessions a day | windows | distinct days | with a finding | at most (95 %) | watching, lines a window |")
    print("|---|---|---|---|---|---|")
    for result in results:
        share, at_most = result.with_finding / result.windows, upper_bound(result.with_finding, result.windows)
        distinct = min(result.pool_days, result.windows)
        print(
            f"| {result.size} | {result.windows} | {distinct} | {share:.1%} | {at_most:.1%} "
            f"| {result.watching / result.windows:.2f} |"
        )
    rules = sorted({rule for result in results for rule in result.by_rule})
    for rule in rules:
        shares = ", ".join(f"{result.by_rule[rule] / result.windows:.1%} of {result.size}" for result in results)
        print(f"  {rule}: {shares}")
    print("\nnot deaf: found on day 1 / day 7 of the problem, with the right tool and figure\n")
    print("| planted | " + " | ".join(f"{result.size} a day" for result in results) + " |")
    print("|---|" + "---|" * len(results))
    for problem in PROBLEMS:
        cells = [" / ".join(_share(result.planted[problem.name, age]) for age in AGES) for result in results]
        print(f"| {problem.says} | {' | '.join(cells)} |")


def _share(planted: Planted) -> str:
    off = planted.named - planted.found
    wrong = f" (+{off / planted.windows:.0%} with another figure)" if off else ""
    return f"{planted.found / planted.windows:.0%}{wrong}"


if __name__ == "__main__":
    main()
