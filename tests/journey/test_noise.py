"""Healthy traffic stays quiet, planted problems are found: the small sister of `scripts/bench quiet`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import islice
from random import Random

from optimizer.db.port import Database
from optimizer.diagnose.rules import diagnose
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import take_snapshot
from optimizer.records.facts import Measures
from optimizer.records.snapshot import DAY
from optimizer.records.trace import Trace
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from tests.bench.noise import Traffic, day_of
from tests.bench.noise_judge import by_weekday
from tests.bench.noise_pool import Pool, Stretch, draw_past, read_days, snapshot_of, store
from tests.bench.noise_problems import PROBLEMS

HISTORY_DAYS = 30
WINDOWS = 60
# All rules of a run together raise a false alarm in at most 2 % of runs; four of 60 by chance: 3 in 100.
WITH_FINDING_MAX = 3
PLANTED_DAYS = 5
REQUIRED = [problem for problem in PROBLEMS if problem.required]


async def pool_of(database: Database, *stretches: Stretch) -> Pool:
    await store(database, stretches)
    days = await read_days(database, stretches)
    return Pool([day for stretch in stretches for day in days[stretch.agent]])


async def test_healthy_traffic_gives_quiet_nights(database: Database) -> None:
    pool = await pool_of(database, Stretch("healthy", Traffic(50), days=WINDOWS, seed=3))
    random, decks = Random(3), by_weekday(pool.days)
    diagnoses = [diagnose(snapshot_of(pool, day, draw_past(day, decks, HISTORY_DAYS, random))) for day in pool.days]
    spoken = [[finding.title for finding in diagnosis.findings] for diagnosis in diagnoses if diagnosis.findings]
    assert len(spoken) <= WITH_FINDING_MAX, spoken
    # Quiet because nothing is wrong, and not because nothing was looked at.
    assert min(diagnosis.tests for diagnosis in diagnoses) > 50


async def test_planted_problems_are_found_on_their_first_day(database: Database) -> None:
    healthy = Stretch("healthy", Traffic(300), days=14, seed=4)
    bad = [Stretch(problem.name, problem.traffic(300), PLANTED_DAYS, seed=5) for problem in REQUIRED]
    pool = await pool_of(database, healthy, *bad)
    random, decks = Random(4), by_weekday(pool.days[: healthy.days])
    days = iter(pool.days[healthy.days :])
    found: dict[str, int] = {}
    for problem in REQUIRED:
        windows = [
            snapshot_of(pool, day, draw_past(day, decks, HISTORY_DAYS, random)) for day in islice(days, PLANTED_DAYS)
        ]
        found[problem.name] = sum(any(map(problem.is_said_by, diagnose(window).findings)) for window in windows)
    assert all(times >= PLANTED_DAYS - 1 for times in found.values()), found


async def test_a_window_that_is_put_together_is_what_a_run_sees(database: Database) -> None:
    """Days that follow each other, added up here and by the rollups."""
    past_days = 60
    stretch = Stretch("healthy", Traffic(6), days=past_days + 1, seed=6)
    pool = await pool_of(database, stretch)
    main, past = pool.days[-1], list(reversed(pool.days[:-1]))
    window = stretch.window(past_days)
    ours = snapshot_of(pool, main, past)
    seen = await take_snapshot(AgentStore(database), RollupStore(database), "healthy", window, exact=False, prompts={})
    for look, look_seen in zip(ours.looks, seen.looks, strict=True):
        assert look.window == look_seen.window
        assert rounded(look.measures) == rounded(look_seen.measures)
        assert rounded(look.before) == rounded(look_seen.before)
    assert [(fact.name, fact.labels, fact.n) for fact in ours.facts] == [
        (fact.name, fact.labels, fact.n) for fact in seen.facts
    ]
    assert len(ours.history) == 30
    assert ours.history[0].window.until == window.since
    assert ours.history[-1].window.since == window.since - 30 * DAY


def test_a_generated_trace_is_what_observe_makes_of_its_line() -> None:
    traces = list(day_of(Traffic(30), date(2026, 3, 2), seed=1))
    assert traces
    for trace in traces:
        _, normalised = normalise(line_of(trace), now=datetime(2026, 3, 3, tzinfo=UTC))
        assert normalised == trace


def rounded(measures: Measures) -> dict[object, object]:
    """Without what the order of a sum leaves in its last digits, and without logarithms below those of 1."""
    return {
        key: (row.n, f"{row.total:.9g}", f"{row.total_sq:.9g}", max(0.0, row.largest), row.buckets, row.samples)
        for key, row in measures.rows.items()
    }


def line_of(trace: Trace) -> dict[str, object]:
    columns = ("ended_at", "event_count", "extra", "success")
    line = {name: value for name, value in trace.items() if name not in columns}
    if "success" in trace:
        line["outcome"] = {"success": trace["success"]}
    return json.loads(json.dumps(line))
