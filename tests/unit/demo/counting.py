"""Little counters over trace lines, written apart from the code that makes the lines."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from statistics import mean
from typing import Any

from bot.demo.prompts import GHOST_BLOCK, MASTER_SYSTEM_CORE, PLAYBOOKS
from bot.demo.traffic import LivePrompt, day_of_traffic

Line = dict[str, Any]

FIRST_RUN = date(2026, 2, 26)
SEED = 7

_GHOST_AT_END = MASTER_SYSTEM_CORE.rindex(GHOST_BLOCK)
WITHOUT_COPY = MASTER_SYSTEM_CORE.replace(PLAYBOOKS + "\n\n", "")
WITHOUT_PLAYBOOKS = WITHOUT_COPY.replace("{{PLAYBOOKS}}", "")
WITHOUT_GHOST = MASTER_SYSTEM_CORE.replace(GHOST_BLOCK, "")
GHOST_ONCE = MASTER_SYSTEM_CORE[:_GHOST_AT_END] + MASTER_SYSTEM_CORE[_GHOST_AT_END + len(GHOST_BLOCK) :]


def live(master: str = MASTER_SYSTEM_CORE, version: int = 1) -> dict[str, LivePrompt]:
    return {"master_system_core": LivePrompt(master, version), "playbooks": LivePrompt(PLAYBOOKS, 1)}


def one_day(days_after_first_run: int = 0, master: str = MASTER_SYSTEM_CORE, **options: Any) -> list[Line]:
    day = FIRST_RUN + timedelta(days=days_after_first_run)
    arguments = {"seed": SEED, "first_run": FIRST_RUN, **options}
    return list(day_of_traffic(day, live(master), **arguments))


def calls(line: Line, tool: str | None = None) -> list[Line]:
    return [e for e in line["events"] if e["type"] == "tool_call" and tool in (None, e["name"])]


def failures(line: Line) -> list[Line]:
    return [e for e in line["events"] if e["type"] == "tool_result" and not e["ok"]]


def repeats(line: Line) -> Counter[tuple[str, str]]:
    return Counter((e["name"], json.dumps(e["args"], sort_keys=True)) for e in calls(line))


def with_timeouts(lines: list[Line]) -> list[Line]:
    return [line for line in lines if any("timed out" in e["error"] for e in failures(line))]


def share_calling(lines: list[Line], tool: str) -> float:
    return mean(bool(calls(line, tool)) for line in lines)


def success_rate(lines: list[Line]) -> float:
    return mean(line["outcome"]["success"] for line in lines)


def cost_usd(line: Line) -> float:
    return sum(e.get("cost_usd", 0.0) for e in line["events"])


def mean_cost_usd(lines: list[Line]) -> float:
    return mean(map(cost_usd, lines))


def started_at(line: Line) -> datetime:
    return datetime.strptime(line["started_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def ended_at(line: Line) -> datetime:
    return started_at(line) + timedelta(milliseconds=line["events"][-1]["t_ms"])
