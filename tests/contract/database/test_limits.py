"""No call takes longer than a hosted database allows: long work goes in chunks, smaller ones where it is slow."""

from __future__ import annotations

import psycopg

from optimizer.db.supabase import SupabaseDatabase
from optimizer.observe.normalise import normalise
from optimizer.observe.snapshot import fold_all
from optimizer.records.window import Window
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.journey import hotel
from tests.journey.world import DAY, START
from tests.plugins.supabase import SupabaseProject

DAYS = 30
MONTH = Window(since=START, until=START + DAYS * DAY)
BATCH_TRACES = 500
FOLD = "/rest/v1/rpc/ratchet_rollups_fold"
# Every hour that is folded costs 20 ms more.
SLOW = """
create function public.be_slow() returns trigger language plpgsql as
  $$ begin perform pg_sleep(0.02); return old; end $$;
create trigger be_slow before delete on ratchet.fold_queue for each row execute function public.be_slow();
"""


async def put_month(database: SupabaseDatabase, sessions_a_day: int) -> None:
    texts, versions = hotel.PROMPTS, {"core": 1, "house_rules": 1}
    lines = [
        line
        for day in range(DAYS)
        for line in hotel.day_of_traffic(texts, versions, START + day * DAY, sessions=sessions_a_day)
    ]
    traces = [normalise(line, now=MONTH.until)[1] for line in lines]
    store = TraceStore(database)
    for first in range(0, len(traces), BATCH_TRACES):
        await store.put("a", traces[first : first + BATCH_TRACES], at=MONTH.until)


async def counted(rollups: RollupStore) -> int:
    return (await rollups.read("a", MONTH)).get("sessions").n


def folds(project: SupabaseProject) -> int:
    return sum(path == FOLD for path, _ in project.gateway.requests)


async def test_the_first_fold_of_a_month_goes_in_chunks(supabase: SupabaseDatabase, project: SupabaseProject) -> None:
    """A hosted project's own limit stands: 8 s a call."""
    await put_month(supabase, sessions_a_day=200)
    rollups = RollupStore(supabase)
    assert await fold_all(rollups, "a") == 0
    assert folds(project) > 1
    assert await counted(rollups) == DAYS * 200


async def test_a_chunk_that_takes_too_long_is_halved(hurried_project: SupabaseProject) -> None:
    with psycopg.connect(hurried_project.dsn, autocommit=True) as connection:
        connection.execute(SLOW)
    database = SupabaseDatabase(hurried_project.url, hurried_project.key)
    await database.open()
    try:
        await put_month(database, sessions_a_day=4)
        rollups = RollupStore(database)
        assert await fold_all(rollups, "a") == 0
        assert await counted(rollups) == DAYS * 4
    finally:
        await database.close()
