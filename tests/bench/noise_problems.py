"""Problems of known size, planted into healthy traffic, and what a finding has to say to have found them."""

from __future__ import annotations

import math
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
    low: float  # ... with a figure between these two,
    high: float
    spread: float = 0.0  # ... give or take three standard errors: three times this over the root of the fact's n
    rules: frozenset[str] = frozenset()  # that may speak of it; empty: any that cites the fact
    tool: str | None = None
    required: bool = False  # at 300 sessions a day it has to be found on its first day
    steady: bool = False  # no change: the agent was always like that
    alarms: bool = False  # it is no finding but an alarm, whatever that says

    def traffic(self, sessions_a_day: float) -> Traffic:
        return replace(Traffic(sessions_a_day), **self.changes)

    def is_named_by(self, finding: Finding) -> bool:
        """Whether the finding is about this: the right tool, and the right fact."""
        by_rule = not self.rules or finding.rule in self.rules
        return by_rule and finding.tool == self.tool and any(cite.name == self.fact for cite in finding.cites)

    def is_said_by(self, finding: Finding) -> bool:
        """Whether it also has the right figure."""
        return self.is_named_by(finding) and any(self._fits(cite) for cite in finding.cites if cite.name == self.fact)

    def _fits(self, cite: CitedFact) -> bool:
        figure = self._figure(cite)
        slack = 3.0 * self.spread / math.sqrt(cite.n or 1)
        return figure is not None and self.low - slack <= figure <= self.high + slack

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


# A ratio to the 30 days before is smaller on the seventh day, when six bad ones are in its base. The spread is
# the standard deviation of what one session (or call) adds: of yes or no, of a lognormal with sigma 1 over its
# mean (1.31), of the median of a lognormal with sigma 0.6 (0.75), each times the planted ratio; a median is read from
# buckets of 4 %.
PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="tool-errors",
        says=f"{FLAKY_TOOL} fails in 30 % of its calls (before: 5 %)",
        changes={"error_share": {FLAKY_TOOL: 0.30}},
        fact="tool.error_rate",
        figure=Figure.level,
        low=0.30,
        high=0.30,
        spread=0.46,
        tool=FLAKY_TOOL,
        required=True,
    ),
    Problem(
        name="success-down",
        says="success 20 points down",
        changes={"success_points_down": 0.20},
        fact="success_rate",
        figure=Figure.level,
        low=0.59,
        high=0.59,
        spread=0.49,
        required=True,
    ),
    Problem(
        name="cost-up",
        says="cost of a session 50 % up",
        changes={"cost_times": 1.5},
        fact="cost_usd.mean",
        figure=Figure.times,
        low=1.36,
        high=1.5,
        spread=1.97,
        required=True,
    ),
    Problem(
        name="silent-tool",
        says="get_invoice falls silent (before: 25 % of sessions)",
        changes={"silent_tools": frozenset({"get_invoice"})},
        fact="tool.session_share",
        figure=Figure.was,
        low=0.20,
        high=0.25,
        spread=0.43,
        tool="get_invoice",
    ),
    Problem(
        name="loops",
        says="search_help loops in 15 % of sessions",
        changes={"looping_share": 0.15},
        fact="loop.sessions",
        figure=Figure.share,
        low=0.15,
        high=0.16,
        spread=0.36,
        tool="search_help",
    ),
    Problem(
        name="slow-tool",
        says="get_order takes twice as long",
        changes={"latency_times": {"get_order": 2.0}},
        fact="tool.latency_ms.p50",
        figure=Figure.times,
        low=1.6,
        high=2.1,
        spread=1.5,
        tool="get_order",
    ),
    Problem(
        name="escalations",
        says=f"{HUMAN} in 9 % of sessions (before: 3 %)",
        changes={"escalated_share": 0.09},
        fact="escalations",
        figure=Figure.share,
        low=0.087,
        high=0.09,
        spread=0.29,
    ),
    Problem(
        name="long-talks",
        says="twice as many user messages in a session",
        changes={"messages_times": 2.0},
        fact="user_messages.mean",
        figure=Figure.times,
        low=1.5,
        high=1.8,
        spread=1.4,
    ),
    Problem(
        name="cheaper-model",
        says="the model at half the price is as good in faq",
        changes={"small_is_as_good_in": "faq"},
        fact="success_rate",
        figure=Figure.level,
        low=0.92,
        high=0.92,
        spread=0.27,
        rules=frozenset({"cheaper_model"}),
        steady=True,
    ),
    Problem(
        name="collapse",
        says="four of five sessions are missing (an alarm)",
        changes={"sessions_times": 0.2},
        fact="",
        figure=Figure.level,
        low=0.0,
        high=0.0,
        alarms=True,
    ),
)
