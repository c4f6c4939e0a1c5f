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
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from optimizer.db.postgres import PostgresDatabase
from optimizer.stats.bounds import lower_bound
from scripts.migration import changed
from tests.bench.noise import Traffic
from tests.bench.noise_judge import AGES, Noise, Planted, judge_noise, judge_planted
from tests.bench.noise_pool import Pool, Stretch, read_days, store
from tests.bench.noise_problems import PROBLEMS

SIZES = (300, 50, 12)  # sessions a day; the slowest first
WINDOWS, PLANTED, HISTORY_DAYS = 1000, 100, 30
POOL_DAYS_MIN, POOL_DAYS_MAX = 70, 1000
# Two kinds of healthy traffic: steady rates, and rates of which no two days are alike (8 % from day to day).
KINDS = {"steady": 0.0, "drifting": 0.08}
DRIFTING_PART = 4  # one drifting window for so many steady ones
OPTIONAL_PART = 2  # one window of a problem that need not be found for so many of one that must
BAD_DAYS_MIN = 14  # two of each weekday: what was always bad has such days in its past, too
UPPER_ALPHA = 0.05


@dataclass(frozen=True)
class Job:
    dsn: str
    size: int
    windows: int
    planted: int
    history_days: int


@dataclass(frozen=True)
class Result:
    """What the windows of one size showed."""

    size: int
    sessions: int
    noise: dict[str, Noise]  # by kind
    planted: dict[tuple[str, int], Planted]  # by problem and age in days
    seconds: dict[str, float]


def measure(job: Job) -> Result:
    return asyncio.run(_measure(job))


async def _measure(job: Job) -> Result:
    windows = {kind: job.windows if not drift else job.windows // DRIFTING_PART for kind, drift in KINDS.items()}
    stretches = {
        kind: Stretch(f"{kind}-{job.size}", Traffic(job.size, drift=drift), _pool_days(windows[kind]), seed=number)
        for number, (kind, drift) in enumerate(KINDS.items())
    }
    for number, problem in enumerate(PROBLEMS, 1000):
        days = (job.planted if problem.required else job.planted // OPTIONAL_PART) + max(AGES) - 1
        days = max(days, BAD_DAYS_MIN)
        stretches[problem.name] = Stretch(f"{problem.name}-{job.size}", problem.traffic(job.size), days, seed=number)
    times = [time.perf_counter()]
    database = PostgresDatabase(job.dsn)
    await database.open()
    try:
        sessions = await store(database, list(stretches.values()))
        times.append(time.perf_counter())
        read = await read_days(database, list(stretches.values()))
        times.append(time.perf_counter())
    finally:
        await database.close()
    pool = Pool([day for stretch in stretches.values() for day in read[stretch.agent]])
    rest = iter(pool.days)
    of = {name: [next(rest) for _ in range(stretch.days)] for name, stretch in stretches.items()}
    noise = {kind: judge_noise(pool, of[kind], windows[kind], job.history_days) for kind in KINDS}
    times.append(time.perf_counter())
    planted = {
        (problem.name, age): judge_planted(problem, pool, of["steady"], of[problem.name], job.history_days, age)
        for problem in PROBLEMS
        for age in AGES
    }
    times.append(time.perf_counter())
    names = ("store and fold", "read", "judge noise", "judge planted")
    seconds = {name: until - since for name, since, until in zip(names, times, times[1:], strict=False)}
    return Result(job.size, sessions, noise, planted, seconds)


def _pool_days(windows: int) -> int:
    return min(POOL_DAYS_MAX, max(windows, POOL_DAYS_MIN))


def upper_bound(k: int, n: int) -> float:
    """The share above which the truth lies with probability at most 5 %, given k of n (Clopper-Pearson)."""
    return 1.0 - lower_bound(n - k, n, UPPER_ALPHA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="null windows of each size")
    parser.add_argument("--planted", type=int, default=PLANTED, help="windows of each required problem and size")
    parser.add_argument("--history-days", type=int, default=HISTORY_DAYS, help="days before each window")
    parser.add_argument("--size", type=int, action="append", help="sessions a day; default: 12, 50 and 300")
    args = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, open_embedded(Path(folder) / "home") as server:
        _migrate(server.dsn)
        with ProcessPoolExecutor(max_workers=2) as workers:
            jobs = [Job(server.dsn, size, args.windows, args.planted, args.history_days) for size in args.size or SIZES]
            results = sorted(workers.map(measure, jobs), key=lambda result: result.size)
    print_noise(results, args.history_days)
    print_planted(results)
    print(f"\n{sum(result.sessions for result in results)} sessions, {time.perf_counter() - begun:.0f} s in all")
    for result in results:
        spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in result.seconds.items())
        print(f"  {result.size} a day: {result.sessions} sessions; {spent}")


def _migrate(dsn: str) -> None:
    migrate.apply(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for source in changed().values():
            connection.execute(source.encode())


def print_noise(results: Sequence[Result], history_days: int) -> None:
    print(f"quiet: healthy traffic, windows of 24 h with {history_days} days before them\n")
    print(
        "| traffic | sessions a day | windows | distinct days | with a finding | at most (95 %) | alarms | watching |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for result in results:
            noise = result.noise[kind]
            cells = (
                kind,
                result.size,
                noise.windows,
                min(noise.days, noise.windows),
                f"{noise.with_finding / noise.windows:.1%}",
                f"{upper_bound(noise.with_finding, noise.windows):.1%}",
                noise.with_alarm,
                f"{noise.watching / noise.windows:.2f} lines",
            )
            print(f"| {' | '.join(map(str, cells))} |")
    for kind in KINDS:
        for rule in sorted({rule for result in results for rule in result.noise[kind].by_rule}):
            windows = ", ".join(f"{result.noise[kind].by_rule[rule]} at {result.size} a day" for result in results)
            print(f"  {rule} speaks of {kind} traffic in {windows}")


def print_planted(results: Sequence[Result]) -> None:
    print("\nnot deaf: found on day 1 / day 7 of the problem, with the right tool and figure\n")
    print("| planted | " + " | ".join(f"{result.size} a day" for result in results) + " |")
    print("|---|" + "---|" * len(results))
    for problem in PROBLEMS:
        cells = [" / ".join(_share(result.planted[problem.name, age]) for age in AGES) for result in results]
        print(f"| {problem.says}{' (required at 300)' if problem.required else ''} | {' | '.join(cells)} |")


def _share(planted: Planted) -> str:
    off = planted.named - planted.found
    wrong = f" (+{off / planted.windows:.0%} with another figure)" if off else ""
    return f"{planted.found / planted.windows:.0%}{wrong}"


if __name__ == "__main__":
    main()
