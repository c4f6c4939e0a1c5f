"""The traffic of the demo's agent, as trace lines: one day, or the history before the first run.

Five problems are planted. Two lie in the prompts (`bot.demo.prompts`), three in the traffic:
write_article times out and is not tried again (since four days before the first run), inject_links is
not called (since one day before it), and a quarter of the sessions passes the same research notes to
five tools as text (always).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from bot.demo.behaviour import LivePrompt, behaviour_under
from bot.demo.plan import Problems, plans
from bot.demo.session import Session
from bot.demo.transcript import MODEL

__all__ = ["AGENT", "ENVIRONMENT", "RUN_AT", "LivePrompt", "day_of_traffic", "history", "run_time"]

AGENT = "blog-writer"
ENVIRONMENT = "prod"
RUN_AT = time(6, 0)
"""The hour of the daily run, in UTC. A day of traffic is the 24 hours before it."""

SESSIONS_PER_DAY = 240
HISTORY_DAYS = 30

_DAYS_WITH_TIMEOUTS = 4
_TIMEOUTS_PER_SESSION = 9 / 240
# Sessions per hour of the day in UTC, relative: an office with a lunch break, and some night owls.
_HOURLY = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 19, 17, 12, 14, 18, 19, 16, 12, 8, 6, 5, 5, 4, 3)
# No session starts in the last half hour, so that each is over when the run looks at it.
_CLOSED = timedelta(minutes=30)


def run_time(day: date) -> datetime:
    """The moment of the run on `day`, which ends that day's traffic."""
    return datetime.combine(day, RUN_AT, UTC)


def history(
    first_run: date,
    prompts: Mapping[str, LivePrompt],
    *,
    seed: int,
    days: int = HISTORY_DAYS,
    sessions: int = SESSIONS_PER_DAY,
    planted: bool = True,
) -> Iterator[dict[str, Any]]:
    """The trace lines of the `days` days up to the first run, oldest first."""
    for age_days in range(days - 1, -1, -1):
        day = first_run - timedelta(days=age_days)
        yield from day_of_traffic(day, prompts, seed=seed, first_run=first_run, sessions=sessions, planted=planted)


def day_of_traffic(
    day: date,
    prompts: Mapping[str, LivePrompt],
    *,
    seed: int,
    first_run: date,
    sessions: int = SESSIONS_PER_DAY,
    planted: bool = True,
) -> Iterator[dict[str, Any]]:
    """The trace lines of the 24 hours before the run of `day`, by start.

    `prompts` are the live `master_system_core` and `playbooks`: their text decides tokens, cost and
    success. Same arguments, same lines. `planted=False` leaves out the problems in the traffic.
    """
    random = Random(f"{seed}/{day}")
    behaviour = behaviour_under(prompts)
    versions = {name: prompts[name].version for name in sorted(prompts)}
    problems = _problems(random, day, first_run, sessions, planted=planted)
    for number, plan in enumerate(plans(random, sessions, problems)):
        own_random = Random(f"{seed}/{day}/{number}")
        started_at = _start(day, (number + own_random.random()) / sessions)
        session = Session(plan, behaviour, own_random, started_at)
        session.run()
        yield {
            "session_id": f"bw-{day:%Y%m%d}-{number + 1:03d}",
            "agent": AGENT,
            "environment": ENVIRONMENT,
            "model": MODEL,
            "started_at": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
            "prompts": dict(versions),
            "task_category": plan.category,
            "outcome": session.outcome,
            "events": session.events,
        }


def _problems(random: Random, day: date, first_run: date, sessions: int, *, planted: bool) -> Problems:
    if not planted:
        return Problems(timeouts=0, wasteful=False, links_forgotten=False)
    age_days = (first_run - day).days
    usual = round(_TIMEOUTS_PER_SESSION * sessions)
    # The run's own day shows the round number that the documentation quotes.
    timeouts = usual if age_days == 0 else max(0, usual + random.randint(-1, 1))
    if age_days >= _DAYS_WITH_TIMEOUTS:
        timeouts = random.randint(0, 1)
    return Problems(timeouts=min(timeouts, sessions // 2), wasteful=True, links_forgotten=age_days <= 0)


def _start(day: date, share: float) -> datetime:
    """The moment at which `share` (0 to 1) of the day's sessions have started, to the second."""
    hours = [_HOURLY[(RUN_AT.hour + hour) % 24] for hour in range(24)]
    reached = [0.0, *accumulate(weight / sum(hours) for weight in hours)]
    hour = min(23, bisect_right(reached, share) - 1)
    within = (share - reached[hour]) / (reached[hour + 1] - reached[hour])
    elapsed = (hour + min(1.0, within)) / 24 * (timedelta(days=1) - _CLOSED)
    return (run_time(day) - timedelta(days=1) + elapsed).replace(microsecond=0)
