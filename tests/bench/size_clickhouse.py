"""The same daily questions to embedded ClickHouse (`chdb`), where it can be imported: events in one MergeTree.

`python -m tests.bench.size_clickhouse FILE FOLDER` loads a file of events and answers in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.bench.size_clients import peak_mb
from tests.bench.size_plain import QUANTILE_ERROR_MAX, Facts
from tests.bench.traffic import AGENT

EXPORT = """
copy (
  select t.trace_id, t.model, t.task_category, 'system@' || (t.prompts ->> 'system'), t.success,
         e.type, e.name, e.call_id, e.t_ms, e.ok, coalesce(e.args::text, '{{}}'), coalesce(e.error, e.text),
         e.tokens_in, e.tokens_out, e.cost_usd
  from (select * from ratchet.traces where agent = {agent} order by trace_id) as t
  cross join lateral jsonb_to_recordset(t.events) as e (
    type text, name text, call_id text, t_ms bigint, ok boolean, text text, error text, args jsonb,
    tokens_in bigint, tokens_out bigint, cost_usd numeric)
) to stdout (format csv, null '\\N')
"""
COLUMNS = """
  session String, model LowCardinality(String), task_category LowCardinality(String),
  prompt_version LowCardinality(String), success Nullable(Bool), type LowCardinality(String),
  name LowCardinality(Nullable(String)), call_id LowCardinality(Nullable(String)), t_ms UInt32, ok Nullable(Bool),
  args String, text Nullable(String), tokens_in Nullable(UInt32), tokens_out Nullable(UInt32),
  cost_usd Nullable(Float64)
"""
QUESTIONS = {
    "tools": """
        select tool, uniqExact(session) as sessions, count() as calls, countIf(failed) as errors,
               quantileExact(0.5)(latency_ms) as p50, quantileExact(0.95)(latency_ms) as p95
        from (select session, call_id, any(name) as tool, max(ok = false) as failed,
                     maxIf(t_ms, type = 'tool_result') - minIf(t_ms, type = 'tool_call') as latency_ms
              from event where type in ('tool_call', 'tool_result') group by session, call_id)
        group by tool""",
    "signatures": """
        select name as tool, replaceRegexpAll(replaceRegexpAll(text, 'HTTP ([45])\\\\d\\\\d', 'HTTP \\\\1xx'),
                                              '\\\\b(?:[A-Z]+)?\\\\d+\\\\b', 'N') as signature, count() as errors
        from event where type = 'tool_result' and ok = false group by tool, signature""",
    "repeats": """
        select uniqExactIf(session, times >= 3) as loop_sessions, max(times) as loop_longest,
               sum(times - 1) as redundant_calls
        from (select session, name, args, count() as times from event where type = 'tool_call'
              group by session, name, args having times > 1)""",
    "labels": """
        select model, task_category, prompt_version, count() as sessions, count(succeeded) as rated,
               countIf(succeeded) as successes, countIf(escalated) as escalations,
               avg(cost) as cost_usd_mean, varSamp(cost) as cost_usd_variance,
               avg(ins) as tokens_in_mean, varSamp(ins) as tokens_in_variance,
               avg(outs) as tokens_out_mean, varSamp(outs) as tokens_out_variance,
               avg(step) as steps_mean, varSamp(step) as steps_variance,
               avg(messages) as user_messages_mean, varSamp(messages) as user_messages_variance
        from (select session, any(model) as model, any(task_category) as task_category,
                     any(prompt_version) as prompt_version, any(success) as succeeded,
                     sum(cost_usd) as cost, sum(tokens_in) as ins, sum(tokens_out) as outs,
                     countIf(type in ('tool_call', 'assistant_message')) as step,
                     countIf(type = 'user_message') as messages,
                     max(type = 'tool_call' and startsWith(name, 'transfer_to_human')) as escalated
              from event group by session)
        group by grouping sets ((), (model), (task_category), (prompt_version))""",
}


CALLS_FOR_QUANTILES_MIN = 1000


class Asked(NamedTuple):
    load_seconds: float
    seconds: float  # all questions, the median of three rounds
    peak_mb: float


def measure(dsn: str, plain: Facts) -> Asked:
    """Loads the events and asks. Raises AssertionError where ClickHouse counts otherwise than the plain pass."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.csv"
        with psycopg.connect(dsn) as connection, connection.cursor() as cursor, path.open("wb") as file:
            statement = EXPORT.format(agent=f"'{AGENT}'").encode()
            with cursor.copy(statement) as copy:
                for part in copy:
                    file.write(part)
        command = [sys.executable, "-m", "tests.bench.size_clickhouse", str(path), folder]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=1800).stdout)
    _require_same(answer["facts"], plain)
    return Asked(answer["load_seconds"], answer["seconds"], answer["peak_mb"])


def _require_same(asked: Facts, plain: Facts) -> None:
    for question, keys in {
        "tools": ("tool",),
        "signatures": ("tool", "signature"),
        "labels": ("model", "task_category", "prompt_version"),
    }.items():
        found = {tuple(row[key] or None for key in keys): row for row in asked[question]}
        expected = {tuple(row[key] for key in keys): row for row in plain[question]}
        assert found.keys() == expected.keys(), f"{question}: {found.keys() ^ expected.keys()}"
        for key, row in found.items():
            _require_same_row(f"{question} {key}", row, expected[key])
    _require_same_row("repeats", asked["repeats"][0], plain["repeats"])


def _require_same_row(name: str, row: Facts, expected: Facts) -> None:
    for figure, value in row.items():
        if figure in ("p50", "p95") and row["calls"] < CALLS_FOR_QUANTILES_MIN:
            continue  # ClickHouse may take the neighbour's rank: that shows among few values only
        if isinstance(value, int | float):
            tolerance = QUANTILE_ERROR_MAX if figure in ("p50", "p95") else 1e-6
            assert math.isclose(value, expected[figure], rel_tol=tolerance, abs_tol=1e-9), (
                f"{name} {figure}: {value!r}, by the plain pass {expected[figure]!r}"
            )


def main(path: str, folder: str) -> None:
    opened: Any = importlib.import_module("chdb.session").Session(f"{folder}/clickhouse")
    begun = time.perf_counter()
    opened.query(f"create table event ({COLUMNS}) engine = MergeTree order by session")
    opened.query(f"insert into event select * from file('{path}', 'CSV', $$ {COLUMNS} $$)")
    load_seconds = time.perf_counter() - begun
    rounds: list[float] = []
    facts: dict[str, Any] = {}
    for _ in range(3):
        begun = time.perf_counter()
        for name, query in QUESTIONS.items():
            settings = "settings output_format_json_quote_64bit_integers = 0"
            facts[name] = json.loads(opened.query(f"{query} {settings}", "JSON").bytes())["data"]
        rounds.append(time.perf_counter() - begun)
    opened.close()
    print(
        json.dumps({"load_seconds": load_seconds, "seconds": sorted(rounds)[1], "peak_mb": peak_mb(), "facts": facts})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
