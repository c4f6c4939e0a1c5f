"""The measures once more, counted in plain Python from trace lines: the oracle of the SQL fold."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

Key = tuple[str, tuple[tuple[str, str], ...]]
Line = dict[str, Any]
IDLE = timedelta(hours=6)
PRODUCT = ("sessions", "success", "cost_usd", "cost_usd_log", "tool.errors", "tool.calls")


def agent_sessions(lines: Iterable[Line]) -> list[list[Line]]:
    """The traces of one session id, parted where nothing happened for more than six hours."""
    by_id: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_id[line["session_id"]].append(line)
    sessions: list[list[Line]] = []
    for group in by_id.values():
        end: datetime | None = None
        for line in sorted(group, key=lambda line: (line["started_at"], line["trace_id"])):
            start = datetime.fromisoformat(line["started_at"])
            if end is None or start - end > IDLE:
                sessions.append([])
            sessions[-1].append(line)
            last = max([start, *(start + timedelta(milliseconds=event["t_ms"]) for event in line["events"])])
            end = last if end is None else max(end, last)
    return sessions


class Counts:
    """Values per session, by measure."""

    def __init__(self) -> None:
        self.values: dict[Key, list[tuple[float, float, bool]]] = defaultdict(list)

    def add(
        self,
        name: str,
        value: float,
        labels: dict[str, str] | None = None,
        *,
        peak: float | None = None,
        counted: bool = True,
    ) -> None:
        row = (value, value if peak is None else peak, counted)
        self.values[name, tuple(sorted((labels or {}).items()))].append(row)

    def rows(self) -> dict[Key, tuple[int, float, float, float]]:
        """n, total, total of squares, largest."""
        return {
            key: (
                sum(counted for _, _, counted in rows),
                math.fsum(value for value, _, counted in rows if counted),
                math.fsum(value * value for value, _, counted in rows if counted),
                max(peak for _, peak, _ in rows),
            )
            for key, rows in self.values.items()
        }


def count(
    lines: Sequence[Line],
    since: datetime,
    until: datetime,
    escalation: Sequence[str] = ("transfer_to_human*",),
) -> dict[Key, tuple[int, float, float, float]]:
    counts = Counts()
    for session in agent_sessions(lines):
        if since <= datetime.fromisoformat(session[0]["started_at"]) < until:
            _count_session(counts, session, escalation)
    return counts.rows()


def _count_session(counts: Counts, session: list[Line], escalation: Sequence[str]) -> None:
    events = [event for line in session for event in line["events"]]
    calls = [event for event in events if event["type"] == "tool_call"]
    outcomes = [line["outcome"]["success"] for line in session if "outcome" in line]
    prompts = {f"{name}@{version}" for line in session for name, version in line.get("prompts", {}).items()}
    models = {line["model"] for line in session if "model" in line}
    models |= {event["model"] for event in events if event["type"] == "llm_call" and "model" in event}
    categories = {line["task_category"] for line in session if "task_category" in line}
    splits = [{"model": m} for m in models] + [{"task_category": c} for c in categories]
    splits += [{"prompt_version": p} for p in prompts]
    product = {"model": next(iter(models), ""), "task_category": next(iter(categories), "")}
    for labels in ({}, *splits, *([product] if len(models) == len(categories) == 1 else [])):
        whole = Counts()
        _count_whole(whole, events, calls, outcomes, escalation, labels)
        for (name, _), rows in whole.values.items():
            if len(labels) < 2 or name in PRODUCT:
                counts.values[name, tuple(sorted(labels.items()))] += rows
    _count_messages(counts, events)
    _count_tools(counts, events, calls, splits)
    _count_repeats(counts, session, calls)


def _count_whole(
    counts: Counts,
    events: list[Line],
    calls: list[Line],
    outcomes: list[bool],
    escalation: Sequence[str],
    labels: dict[str, str],
) -> None:
    counts.add("sessions", 1, labels)
    if outcomes:
        counts.add("success", float(outcomes[-1]), labels)
    for name in ("cost_usd", "tokens_in", "tokens_out"):
        carried = [event[name] for event in events if name in event]
        if carried:
            counts.add(name, math.fsum(carried), labels)
    cost = math.fsum(event.get("cost_usd", 0) for event in events)
    if cost > 0:
        counts.add("cost_usd_log", math.log(cost), labels)
    counts.add("steps", sum(event["type"] in ("tool_call", "assistant_message") for event in events), labels)
    counts.add("user_messages", sum(event["type"] == "user_message" for event in events), labels)
    failed = sum(event["type"] == "tool_result" and not event["ok"] for event in events)
    if calls:
        counts.add("tool.calls", len(calls), labels)
    if failed:
        counts.add("tool.errors", failed, labels)
    if any(fnmatchcase(call["name"], pattern) for call in calls for pattern in escalation):
        counts.add("escalations", 1, labels)


def _count_messages(counts: Counts, events: list[Line]) -> None:
    said = [event["text"] for event in events if event["type"] == "user_message"]
    steps = sum(event["type"] in ("tool_call", "assistant_message") for event in events)
    counts.add("steps_log", math.log(1 + steps))
    counts.add("user_messages_log", math.log(1 + len(said)))
    if len(said) >= 10:
        counts.add("many_messages", 1)
    squeezed = [re.sub(r"[\s!-/:-@\[-`{-~]+", " ", text.lower()).strip()[:500] for text in said]
    times = Counter(text for text in squeezed if len(text) >= 12)
    if repeats := sum(times.values()) - len(times):
        counts.add("repeated_request", repeats)
    carried = [event for event in events if "tokens_in" in event]
    uncached = sum(event["tokens_in"] - event.get("tokens_cached", 0) for event in carried)
    if uncached >= 10_000 and uncached > 50 * sum(event["tokens_out"] for event in carried):
        counts.add("input_heavy", uncached)


def _count_tools(counts: Counts, events: list[Line], calls: list[Line], splits: list[dict[str, str]]) -> None:
    for tool in {call["name"] for call in calls}:
        own = [event for event in events if event.get("name") == tool]
        results = [event for event in own if event["type"] == "tool_result"]
        counts.add("tool.calls", sum(event["type"] == "tool_call" for event in own), {"tool": tool})
        if failed := sum(not event["ok"] for event in results):
            counts.add("tool.errors", failed, {"tool": tool})
        if own[-1]["type"] == "tool_result" and not own[-1]["ok"]:
            counts.add("tool.abandoned", 1, {"tool": tool})
        for result in results:
            for labels in ({"tool": tool}, *splits):
                counts.add("tool.latency_ms", result["latency_ms"], labels)
        if results:
            logs = [math.log(1 + result["latency_ms"]) for result in results]
            counts.add("tool.latency_log", math.fsum(logs) / len(logs), {"tool": tool})


def _count_repeats(counts: Counts, session: list[Line], calls: list[Line]) -> None:
    times = Counter((call["name"], json.dumps(call.get("args", {}), sort_keys=True)) for call in calls)
    if not times:
        return
    failures: Counter[tuple[str, str]] = Counter()
    for line in session:
        made = {event["call_id"]: event for event in line["events"] if event["type"] == "tool_call"}
        for event in line["events"]:
            if event["type"] == "tool_result" and not event["ok"]:
                call = made[event["call_id"]]
                failures[call["name"], json.dumps(call.get("args", {}), sort_keys=True)] += 1
    loops = {call: n for call, n in times.items() if n >= 3}
    counts.add("loop", sum(n - 1 for n in loops.values()), peak=max(times.values()), counted=bool(loops))
    if redundant := sum(n - 1 for n in times.values()):
        counts.add("redundant_calls", redundant)
    for tool in {name for name, _ in times}:
        looped = [n for (name, _), n in loops.items() if name == tool]
        failing = {call: n for call, n in loops.items() if call[0] == tool and failures[call] >= 2}
        repeated = sum(n - 1 for (name, _), n in times.items() if name == tool)
        if looped:
            counts.add("loop", sum(n - 1 for n in looped), {"tool": tool}, peak=max(looped))
        if failing:
            counts.add(
                "error_loop", sum(failures[call] for call in failing), {"tool": tool}, peak=max(failing.values())
            )
        if repeated:
            counts.add("redundant_calls", repeated, {"tool": tool})
