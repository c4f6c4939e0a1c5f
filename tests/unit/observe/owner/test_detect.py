"""Which tables look like an agent's, and what is proposed for them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from optimizer.observe.owner.detect import EXPLAINED, propose_tables, toml_lines, wanted_index
from optimizer.observe.owner.mapping import USUAL, map_table
from optimizer.settings import parse_values
from optimizer.settings.tables import TracesSettings
from optimizer.stores.owner_tables import Listed
from tests.unit.observe.owner.test_rows import TIMESTAMP, WILD, table

MESSAGES = {"id": "bigint", "session_id": "text", "role": "text", "content": "text", "created_at": TIMESTAMP}
ORDERS = {"id": "uuid", "total": "numeric", "created_at": TIMESTAMP, "data": "jsonb"}


def listed(**tables: dict[str, str]) -> list[Listed]:
    return [
        Listed.model_validate(
            {
                "schema_name": "public",
                "name": name,
                "columns": [{"name": column, "type": type_, "not_null": False} for column, type_ in columns.items()],
            }
        )
        for name, columns in tables.items()
    ]


def proposed(**tables: dict[str, str]) -> dict[str, str]:
    return {proposal.kind: proposal.table for proposal in propose_tables(listed(**tables))}


def test_the_three_are_found_among_others() -> None:
    config = {"key": "text", "value": "jsonb"}
    assert proposed(orders=ORDERS, observability_traces=WILD, messages=MESSAGES, agent_config=config, users=config) == {
        "traces": "public.observability_traces",
        "messages": "public.messages",
        "agent_config": "public.agent_config",
    }


def test_nothing_is_proposed_where_nothing_looks_like_it() -> None:
    assert proposed(orders=ORDERS, events={**WILD, "created_at": "bigint"}, sessions={"id": "uuid"}) == {}


def test_the_table_with_the_telling_name_comes_first() -> None:
    assert proposed(aaa=WILD, agent_runs=WILD)["traces"] == "public.agent_runs"


def test_the_lines_can_be_pasted_and_map_the_table() -> None:
    proposals = propose_tables(listed(**{"observability_traces": WILD, 'odd "messages"': MESSAGES}))
    lines = [line for proposal in proposals for line in toml_lines(proposal, "blog-writer")]
    file = parse_values(tomllib.loads("\n".join(lines)))
    assert file.traces is not None
    assert file.messages is not None
    assert (file.traces.agent, file.traces.columns.events) == ("blog-writer", "payload.events")
    assert file.messages.table == 'public.odd "messages"'
    assert map_table(file.traces, table(WILD)).paths["cost_usd"] == (("cost",),)


def test_every_column_is_explained_in_a_word() -> None:
    fields = {field for names in USUAL.values() for field in names}
    assert fields == EXPLAINED.keys()
    assert all(" " not in word for word in EXPLAINED.values())


@pytest.mark.parametrize(
    ("columns", "facts", "expected"),
    [
        ({}, {"indexes": ("id",)}, "create index concurrently on public.t (created_at, id);"),
        ({}, {"indexes": ("id", "created_at")}, None),
        ({}, {"rows": 9_999}, None),
        ({}, {"kind": "v"}, None),
        ({}, {"kind": "p"}, "create index on public.t (created_at, id);"),
        (
            {"updated_at": TIMESTAMP},
            {"indexes": ("created_at",)},
            "create index concurrently on public.t ((coalesce(updated_at, created_at)), id);",
        ),
        ({"updated_at": TIMESTAMP}, {"indexes": ("COALESCE(updated_at, created_at)",)}, None),
    ],
)
def test_the_index_that_is_missing_is_named(
    columns: dict[str, str], facts: dict[str, Any], expected: str | None
) -> None:
    described = table({**WILD, **columns}, **{"rows": 50_000, **facts})
    assert wanted_index(map_table(TracesSettings(table="t"), described), described) == expected


def test_names_that_need_quotes_get_them() -> None:
    columns = {name: type_ for name, type_ in WILD.items() if name != "created_at"} | {'made "At"': TIMESTAMP}
    settings = TracesSettings.model_validate({"table": "My.Runs", "columns": {"created_at": 'made "At"'}})
    described = table(columns, rows=50_000)
    statement = 'create index concurrently on "My"."Runs" ("made ""At""", id);'
    assert wanted_index(map_table(settings, described), described) == statement
