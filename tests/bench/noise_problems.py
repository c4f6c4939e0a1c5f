"""Problems of known size, planted into healthy traffic, and what a finding has to say to have found them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from optimizer.records.findings import CitedFact, Finding
from tests.bench.noise import FLAKY_TOOL, HUMAN, Traffic


class Figure(StrEnum):
    """Which number of a cited fact is held against what was planted."""

    level = "level"
    times = "times"  # the value over its baseline
    share = "share"  # the value over its n
    was = "was"  # the baseline, where the value is zero


@dataclass(frozen=True)
class Problem:
    name: str
    says: str  # what was done to the traffic
    changes: Mapping[str, Any]  # of `Traffic`
    fact: str  # that the finding must cite, ...
    figure: Figure
    low: float  # ... with a figure between these two
    high: float
    rules: frozenset[str] = frozenset()  # that may speak of it; empty: any that cites the fact
    tool: str | None = None
    required: bool = False  # at 300 sessions a day it has to be found on its first day
    steady: bool = False  # no change: the agent was always like that

    def traffic(self, sessions_a_day: float) -> Traffic:
        return replace(Traffic(sessions_a_day), **self.changes)

    def is_said_by(self, finding: Finding) -> bool:
        """Whether the finding names the right tool, and cites the right fact with the right figure."""
        if finding.tool != self.tool or (self.rules and finding.rule not in self.rules):
            return False
        return any(
            self.low <= figure <= self.high
            for cite in finding.cites
            if cite.name == self.fact and (figure := self._figure(cite)) is not None
        )

    def _figure(self, cite: CitedFact) -> float | None:
        match self.figure:
            case Figure.level:
                return cite.value
            case Figure.times:
                return cite.value / cite.baseline if cite.baseline else None
            case Figure.share:
                return cite.value / cite.n if cite.n else None
            case Figure.was:
                return cite.baseline


# The bounds are what was planted and three standard errors of a day of 300 sessions around it (the mean of a
# lognormal cost with sigma 1 has one of 7.6 %); a ratio to the 30 days before may hold six bad days in its base.
PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="tool-errors",
        says=f"{FLAKY_TOOL} fails in 30 % of its calls (before: 5 %)",
        changes={"error_share": {FLAKY_TOOL: 0.30}},
        fact="tool.error_rate",
        figure=Figure.level,
        low=0.21,
        high=0.39,
        tool=FLAKY_TOOL,
        required=True,
    ),
    Problem(
        name="success-down",
        says="success 20 points down",
        changes={"success_points_down": 0.20},
        fact="success_rate",
        figure=Figure.level,
        low=0.51,
        high=0.68,
        required=True,
    ),
    Problem(
        name="cost-up",
        says="cost of a session 50 % up",
        changes={"cost_times": 1.5},
        fact="cost_usd.mean",
        figure=Figure.times,
        low=1.15,
        high=1.9,
        required=True,
    ),
    Problem(
        name="silent-tool",
        says="get_invoice falls silent (before: 25 % of sessions)",
        changes={"silent_tools": frozenset({"get_invoice"})},
        fact="tool.session_share",
        figure=Figure.was,
        low=0.17,
        high=0.28,
        tool="get_invoice",
    ),
    Problem(
        name="loops",
        says="search_help loops in 15 % of sessions",
        changes={"looping_share": 0.15},
        fact="loop.sessions",
        figure=Figure.share,
        low=0.09,
        high=0.23,
        tool="search_help",
    ),
    Problem(
        name="slow-tool",
        says="get_order takes twice as long",
        changes={"latency_times": {"get_order": 2.0}},
        fact="tool.latency_ms.p50",
        figure=Figure.times,
        low=1.6,
        high=2.4,
        tool="get_order",
    ),
    Problem(
        name="escalations",
        says=f"{HUMAN} in 9 % of sessions (before: 3 %)",
        changes={"escalated_share": 0.09},
        fact="escalations",
        figure=Figure.share,
        low=0.04,
        high=0.14,
    ),
    Problem(
        name="long-talks",
        says="twice as many user messages in a session",
        changes={"messages_times": 2.0},
        fact="user_messages.mean",
        figure=Figure.times,
        low=1.4,
        high=2.1,
    ),
    Problem(
        name="cheaper-model",
        says="the model at half the price is as good in faq",
        changes={"small_is_as_good_in": "faq"},
        fact="success_rate",
        figure=Figure.level,
        low=0.85,
        high=0.99,
        rules=frozenset({"cheaper_model"}),
        steady=True,
    ),
)
