"""Healthy but messy traffic of a support agent, as the traces that `observe.normalise` makes, from a seed.

What a healthy agent looks like from outside: 3 % of tool calls fail, most of them in a few sessions; 4 % of
sessions make the same call three times or more; the cost of a session is lognormal with sigma 1; weekends are
slow; a rare tool is used in 4 % of sessions; some requests end with a human, some users repeat themselves.
Every rate is steady: whatever a rule says about two days of it is chance. `Traffic` names the rates, so that
a problem of known size is the same traffic with one of them changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from optimizer.clock import iso
from optimizer.records.trace import Event, Trace

HUMAN = "transfer_to_human"
RARE_TOOL = "apply_coupon"
# Tool -> the share of sessions that use it, and its median latency.
TOOLS: Mapping[str, tuple[float, int]] = {
    "search_help": (0.70, 300),
    "get_customer": (0.60, 120),
    "get_order": (0.55, 180),
    "check_stock": (0.50, 400),
    "list_orders": (0.30, 250),
    "get_invoice": (0.25, 600),
    "update_address": (0.15, 220),
    "create_ticket": (0.10, 350),
    RARE_TOOL: (0.04, 150),
}
FLAKY_TOOL = "check_stock"
FLAKY_EXTRA_SHARE = 0.02  # on top of the usual 3 %: 5 % of its calls fail

CATEGORIES: Mapping[str, float] = {"faq": 0.40, "order": 0.30, "billing": 0.20, "complaint": 0.10}
SUCCESS: Mapping[str, float] = {"faq": 0.92, "order": 0.86, "billing": 0.82, "complaint": 0.62}
# The smaller model costs half, and does it less well: a trade-off, not a problem.
SMALL, LARGE = "small-1", "large-1"
SMALL_SHARE = 0.5
SMALL_COST = 0.5
SMALL_POINTS_DOWN = 0.12

# With the two models' prices, the logarithm of a session's cost has a standard deviation of 1.
COST_SIGMA = 0.94
COST_MEDIAN_USD = 0.03
USD_A_TOKEN = 3e-6

BAD_SESSION_SHARE = 0.04  # in which most errors happen
BAD_ERROR_SHARE = 0.35
GOOD_ERROR_SHARE = 0.0095  # so that, retries included, 3 % of all calls fail
LATENCY_SIGMA = 0.6
TRIPLE_SHARE = 0.04
RATED_SHARE = 0.95
REPEATING_USER_SHARE = 0.015
USER_MESSAGES_MAX = 25

# Monday to Sunday; 7 in all.
WEEK = (1.15, 1.20, 1.20, 1.15, 1.05, 0.70, 0.55)
OPENS, OPEN_HOURS = time(7, tzinfo=UTC), 14

_ERRORS = (
    "Error: timed out after 30 s",
    "Error: {} not found",
    "Internal server error",
    "Error: field 'id' is required",
)
_TOPICS = ("my order", "an invoice", "the delivery", "a refund", "my account", "the size chart", "a coupon")


@dataclass(frozen=True)
class Traffic:
    """The rates of one agent's traffic; as they stand here, healthy."""

    sessions_a_day: float
    sessions_times: float = 1.0
    success_points_down: float = 0.0
    cost_times: float = 1.0
    error_times: float = 1.0
    error_share: Mapping[str, float] = field(default_factory=dict[str, float])  # of a tool's calls, where not as usual
    latency_times: Mapping[str, float] = field(default_factory=dict[str, float])
    silent_tools: frozenset[str] = frozenset()
    looping_share: float = 0.0  # of sessions: the same search four to eight times
    escalated_share: float = 0.03
    small_is_as_good_in: str | None = None  # a task category
    messages_times: float = 1.0
    drift: float = 0.0  # no two days alike: standard deviation of the logarithm of a day's own factors

    def of_day(self, random: Random) -> Traffic:
        """The rates of one day: cost, messages and traffic drift by the factor, rare things by twice as much."""
        if not self.drift:
            return self

        def factor(times: float = 1.0) -> float:
            return math.exp(random.gauss(0.0, times * self.drift))

        slower = factor()
        return replace(
            self,
            sessions_times=self.sessions_times * factor(),
            cost_times=self.cost_times * factor(),
            messages_times=self.messages_times * factor(),
            success_points_down=self.success_points_down + random.gauss(0.0, self.drift / 4),
            latency_times={tool: slower * self.latency_times.get(tool, 1.0) for tool in TOOLS},
            escalated_share=self.escalated_share * factor(2.0),
            error_times=self.error_times * factor(2.0),
        )


def day_of(traffic: Traffic, day: date, seed: int) -> Iterator[Trace]:
    """The traces of one day: arrivals are a Poisson process over the hours in which the shop is open."""
    random = Random(f"{seed} {day.isoformat()}")
    traffic = traffic.of_day(random)
    opens = datetime.combine(day, OPENS)
    sessions = traffic.sessions_a_day * traffic.sessions_times * WEEK[day.weekday()]
    pace_seconds = OPEN_HOURS * 3600 / sessions
    seconds, number = random.expovariate(1 / pace_seconds), 0
    while seconds < OPEN_HOURS * 3600:
        yield _trace(traffic, random, f"{day:%y%m%d}-{number}", opens + timedelta(milliseconds=int(seconds * 1000)))
        seconds += random.expovariate(1 / pace_seconds)
        number += 1


def _trace(traffic: Traffic, random: Random, session_id: str, started_at: datetime) -> Trace:
    category = random.choices(list(CATEGORIES), list(CATEGORIES.values()))[0]
    small = random.random() < SMALL_SHARE
    bad = random.random() < BAD_SESSION_SHARE
    events = _Session(traffic, random, small, bad).events()
    trace: Trace = {
        "trace_id": session_id,
        "session_id": session_id,
        "environment": "prod",
        "release": "7.1",
        "model": SMALL if small else LARGE,
        "task_category": category,
        "started_at": iso(started_at),
        "ended_at": iso(started_at + timedelta(milliseconds=events[-1]["t_ms"])),
        "prompts": {"support": "4" if random.random() < 0.4 else "3", "tone": "2" if random.random() < 0.8 else "1"},
        "events": events,
        "event_count": len(events),
        "extra": {},
    }
    if random.random() < RATED_SHARE:
        trace["success"] = random.random() < _success(traffic, category, small, bad)
    return trace


def _success(traffic: Traffic, category: str, small: bool, bad: bool) -> float:
    rate = SUCCESS[category] - traffic.success_points_down
    if small and category != traffic.small_is_as_good_in:
        rate -= SMALL_POINTS_DOWN
    return rate - 0.2 if bad else rate


class _Session:
    """One conversation while it is made."""

    def __init__(self, traffic: Traffic, random: Random, small: bool, bad: bool) -> None:
        self._traffic = traffic
        self._random = random
        self._small = small
        self._bad = bad
        self._at_ms = 0
        self._calls = 0
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        random = self._random
        turns = min(USER_MESSAGES_MAX, 1 + int(random.expovariate(1 / (2.0 * self._traffic.messages_times))))
        todo = self._todo()
        costs = self._costs(turns)
        said = ""
        for turn in range(turns):
            again = turn > 0 and random.random() < REPEATING_USER_SHARE
            said = said if again else f"Question {turn + 1} about {random.choice(_TOPICS)} {random.randrange(10**6)}"
            self._add({"type": "user_message", "t_ms": self._at_ms, "text": said})
            self._answer(costs[turn], todo[turn::turns])
            self._at_ms += random.randrange(15_000, 120_000)
        return self._events

    def _answer(self, cost_usd: float, calls: list[tuple[str, int]]) -> None:
        random = self._random
        price = USD_A_TOKEN * (SMALL_COST if self._small else 1.0) * self._traffic.cost_times
        tokens_in = max(200, round(cost_usd / price))
        self._add(
            {
                "type": "llm_call",
                "t_ms": self._at_ms,
                "model": SMALL if self._small else LARGE,
                "tokens_in": tokens_in,
                "tokens_cached": round(tokens_in * random.uniform(0.4, 0.9)),
                "tokens_out": max(5, round(tokens_in * 0.03 * math.exp(random.gauss(0.0, 0.8)))),
                "cost_usd": cost_usd,
            }
        )
        for tool, times in calls:
            args = {"id": random.randrange(10**9)}
            for _ in range(times):
                self._call(tool, args)
        self._add({"type": "assistant_message", "t_ms": self._at_ms, "text": "Here is what I found."})

    def _todo(self) -> list[tuple[str, int]]:
        """The calls that the request needs, in order: tool, and how often with the same arguments."""
        random, traffic = self._random, self._traffic
        todo = [
            (tool, 1)
            for tool, (share, _) in TOOLS.items()
            if tool not in traffic.silent_tools and random.random() < share
            for _ in range(1 + (random.random() < 0.35) + (random.random() < 0.1))
        ]
        random.shuffle(todo)
        if random.random() < TRIPLE_SHARE and todo:
            todo[0] = (todo[0][0], random.choices((3, 4, 6), (80, 15, 5))[0])
        if random.random() < traffic.looping_share:
            todo.append(("search_help", random.randint(4, 8)))
        if random.random() < traffic.escalated_share * (3.0 if self._bad else 0.9):
            todo.append((HUMAN, 1))
        return todo

    def _costs(self, turns: int) -> list[float]:
        random = self._random
        whole = COST_MEDIAN_USD * self._traffic.cost_times * math.exp(random.gauss(0.0, COST_SIGMA))
        whole *= SMALL_COST if self._small else 1.0
        parts = [random.uniform(0.5, 1.5) for _ in range(turns)]
        return [round(whole * part / sum(parts), 7) for part in parts]

    def _call(self, tool: str, args: Mapping[str, Any]) -> None:
        """A call with its result; after an error most are tried again, half of those with other arguments."""
        random = self._random
        for _ in range(3):
            failed = random.random() < self._error_share(tool)
            self._calls += 1
            call_id = f"c{self._calls}"
            self._add({"type": "tool_call", "t_ms": self._at_ms, "name": tool, "call_id": call_id, "args": dict(args)})
            median = TOOLS[tool][1] if tool in TOOLS else 100
            slower = self._traffic.latency_times.get(tool, 1.0)
            self._at_ms += round(median * slower * math.exp(random.gauss(0.0, LATENCY_SIGMA)))
            result: Event = {
                "type": "tool_result",
                "t_ms": self._at_ms,
                "name": tool,
                "call_id": call_id,
                "ok": not failed,
            }
            if failed:
                result["error"] = random.choice(_ERRORS).format(args["id"])
            self._add(result)
            self._at_ms += random.randrange(300, 900)
            if not failed or random.random() < 0.35:
                return
            if random.random() < 0.5:
                args = {"id": random.randrange(10**9)}

    def _error_share(self, tool: str) -> float:
        if tool == HUMAN:
            return 0.0
        usual = BAD_ERROR_SHARE if self._bad else GOOD_ERROR_SHARE
        extra = FLAKY_EXTRA_SHARE if tool == FLAKY_TOOL else 0.0
        return self._traffic.error_share.get(tool, (usual + extra) * self._traffic.error_times)

    def _add(self, event: Event) -> None:
        self._events.append(event)
