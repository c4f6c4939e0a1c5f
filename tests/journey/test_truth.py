"""Every run of the shared traces, imported as an agent of its own, equals what independent code counted."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from optimizer.clock import ManualClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.observe.declare import read_tools
from optimizer.observe.ingest import import_file
from optimizer.observe.snapshot import take_snapshot
from optimizer.records.facts import Fact
from optimizer.records.snapshot import Snapshot
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.traces import TraceStore
from tests.journey.shared import FILES, NOW, SHARED_TRACES, WHOLE_TIME

pytestmark = pytest.mark.shared_data("traces")

RUNS = (
    "agentrx_tau_retail",
    "taubench_gpt4o_airline",
    *(
        f"tau2/{run}"
        for run in (
            "ftgpt41-airline",
            "ftgpt41-retail",
            "ftgpt41-telecom",
            "ftgpt41-telecom-solo",
            "gpt41-airline",
            "gpt41-retail",
            "gpt41-telecom",
            "gpt41-telecom-solo",
            "gpt4o-airline",
            "gpt4o-telecom",
            "gpt54-airline",
            "gptoss120b-airline",
            "opus46-airline",
            "qwen25-7b-airline",
            "sonnet45-airline",
        )
    ),
)


@cache
def truth() -> dict[str, Any]:
    return json.loads((SHARED_TRACES / "truth.json").read_text())


@cache
def runs() -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in FILES:
        with gzip.open(SHARED_TRACES / f"{name}.jsonl.gz") as file:
            for raw in file:
                line = json.loads(raw)
                grouped[f"{name}/{line['run']}" if "run" in line else name].append(line)
    return dict(grouped)


def test_every_run_of_the_shared_traces_is_compared() -> None:
    assert set(RUNS) == set(truth()) == set(runs())


async def observed(database: PostgresDatabase, run: str, folder: Path) -> Snapshot:
    lines = runs()[run]
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    agents, agent = AgentStore(database), run.replace("/", "-")
    imported = import_file(path, TraceStore(database), ManualClock(NOW), agent=agent)
    *_, report = [step async for step in imported]
    assert (report.new, report.refused_count, report.cleaned) == (len(lines), 0, 0)
    await agents.register(agent, at=NOW, tools=read_tools(SHARED_TRACES / lines[0]["tools_file"]))
    return await take_snapshot(agents, RollupStore(database), agent, WHOLE_TIME, exact=True, prompts={})


@pytest.mark.parametrize("run", RUNS)
async def test_the_facts_of_a_run_equal_the_truth(run: str, database: PostgresDatabase, tmp_path: Path) -> None:
    snapshot = await observed(database, run, tmp_path)
    dev = truth()[run]["dev"]
    check_sessions(snapshot, dev)
    check_repeats(snapshot, dev)
    check_tools(snapshot, dev)
    check_tokens_and_cost(snapshot, dev)


def plain_facts(snapshot: Snapshot) -> dict[str, Fact]:
    return {fact.name: fact for fact in snapshot.facts if not fact.labels}


def check_sessions(snapshot: Snapshot, dev: dict[str, Any]) -> None:
    facts, sums = plain_facts(snapshot), snapshot.main.measures
    assert facts["sessions"].value == dev["sessions"]
    assert facts["success_rate"].n == dev["sessions_with_outcome"]
    assert round(facts["success_rate"].value, 4) == dev["success_rate"]
    assert sums.get("success").total == dev["successes"]
    assert facts["tool.calls"].value == dev["tool_calls"]["total"]
    assert sums.get("tool.calls").largest == dev["tool_calls"]["max"]
    assert facts["tool.errors"].value == dev["tool_errors"]["total"]
    assert round(facts["tool.error_rate"].value, 4) == dev["tool_errors"]["rate"]
    assert sums.get("user_messages").total == dev["user_messages"]["total"]
    assert sums.get("user_messages").largest == dev["user_messages"]["max"]
    assert round(facts["user_messages.mean"].value, 2) == dev["user_messages"]["mean"]
    assert facts["escalations"].value == dev["escalations"]["sessions"]


def check_repeats(snapshot: Snapshot, dev: dict[str, Any]) -> None:
    facts = plain_facts(snapshot)
    assert facts["redundant_calls"].value == dev["repeated_identical_calls"]["redundant_calls"]
    assert facts["redundant_calls"].n == dev["repeated_identical_calls"]["sessions"]
    loops = dev["loops_same_tool_same_args_ge3"]
    assert facts["loop.sessions"].value == loops["sessions"]
    if loops["list"]:
        assert facts["loop.longest"].value == max(loop["max_repeat"] for loop in loops["list"])
    else:
        assert facts["loop.longest"].value == (2 if facts["redundant_calls"].value else 1)
    failing = sum(measure.n for _, measure in snapshot.main.measures.named("error_loop"))
    assert failing == dev["failing_loops_ge3_with_ge2_errors"]["sessions"]


def check_tools(snapshot: Snapshot, dev: dict[str, Any]) -> None:
    by_tool: dict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in snapshot.facts:
        if fact.labels.keys() == {"tool"}:
            by_tool[fact.labels["tool"]][fact.name] = fact
    never_called = sorted(tool for tool, facts in by_tool.items() if "tool.never_called" in facts)
    assert never_called == sorted(dev["tools_never_called"])
    assert sorted(snapshot.tools) == sorted(dev["tools_declared"])
    called = {tool: facts for tool, facts in by_tool.items() if "tool.calls" in facts}
    assert called.keys() == dev["tools"].keys()
    for tool, seen in dev["tools"].items():
        facts = called[tool]
        assert facts["tool.calls"].value == seen["calls"]
        assert facts["tool.calls"].n == seen["sessions"]
        assert facts["tool.errors"].value == seen["errors"]
        assert facts["tool.errors"].n == seen["error_sessions"]
        assert round(facts["tool.error_rate"].value, 4) == seen["error_rate"]


def check_tokens_and_cost(snapshot: Snapshot, dev: dict[str, Any]) -> None:
    facts, sums = plain_facts(snapshot), snapshot.main.measures
    if dev["tokens"] is None:
        assert not facts.keys() & {"tokens_in.mean", "tokens_out.mean"}
    else:
        assert sums.get("tokens_in").total == dev["tokens"]["in"]
        assert sums.get("tokens_out").total == dev["tokens"]["out"]
        assert round(facts["tokens_in.mean"].value * sums.get("tokens_in").n) == dev["tokens"]["in"]
    if dev["cost_usd"] is None:
        assert "cost_usd.mean" not in facts
    else:
        assert round(sums.get("cost_usd").total, 4) == dev["cost_usd"]["total"]
        assert round(facts["cost_usd.mean"].value, 4) == dev["cost_usd"]["per_session"]
