"""Rows of the owner's through the mapping: whatever stands in them, a trace comes out or a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import InputError, SettingsError
from optimizer.observe.owner.fields import CALL_ID, ERROR, KINDS, NAME, OUTPUT, STATUS, TEXT, TIME, TYPE
from optimizer.observe.owner.mapping import USUAL, Mapped, map_table
from optimizer.observe.owner.rows import trace_of
from optimizer.records.base import canonical_json
from optimizer.records.trace import Trace
from optimizer.settings.tables import (
    AgentConfigSettings,
    ConfigColumns,
    MessageColumns,
    MessagesSettings,
    TraceColumns,
    TracesSettings,
)
from optimizer.stores.owner_tables import Table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TIMESTAMP = "timestamp with time zone"
WILD = {"id": "uuid", "session_id": "text", "created_at": TIMESTAMP, "cost": "numeric", "tokens": "jsonb"} | {
    "steps": "integer",
    "success": "text",
    "payload": "jsonb",
}


def table(columns: dict[str, str], not_null: tuple[str, ...] = (), **more: Any) -> Table:
    described = [{"name": name, "type": type_, "not_null": name in not_null} for name, type_ in columns.items()]
    facts = {"rows": 1, "kind": "r", "indexes": (), "readable": True, "hidden": False, **more}
    return Table.model_validate({"columns": described, **facts})


def mapped(columns: dict[str, str] = WILD, **given: str) -> Mapped:
    settings = TracesSettings.model_validate({"table": "public.traces", "columns": given})
    return map_table(settings, table(columns))


def trace(row: dict[str, Any], columns: dict[str, str] = WILD, **given: str) -> Trace:
    whole = {"id": "r1", "session_id": "s1", "created_at": "2026-03-02T11:00:00+00:00", **row}
    _, found = trace_of(json.dumps(whole), "r1", mapped(columns, **given), "agent", now=NOON)
    return found


def usage(found: Trace) -> list[dict[str, Any]]:
    names = ("cost_usd", "tokens_in", "tokens_out")
    events = [dict(event) for event in found["events"]]
    return [{name: event[name] for name in names if name in event} for event in events]


def test_a_usual_table_needs_only_its_name() -> None:
    found = mapped()
    assert found.ref.as_json() == {
        "schema": "public",
        "name": "traces",
        "id": "id",
        "key": "created_at",
        "columns": tuple(sorted(WILD)),
    }
    assert found.paths["events"][0] == ("payload", "events")
    assert found.paths["cost_usd"] == (("cost",), ("payload", "cost_usd"), ("payload", "cost"))
    assert not found.paths["updated_at"]


def test_updated_at_is_the_order_where_there_is_one_and_created_at_stands_in_for_null() -> None:
    columns = {**WILD, "updated_at": TIMESTAMP}
    settings = TracesSettings(table="t")
    ref = map_table(settings, table(columns)).ref
    assert (ref.key, ref.key_or) == ("updated_at", "created_at")
    ref = map_table(settings, table(columns, not_null=("updated_at",))).ref
    assert (ref.key, ref.key_or) == ("updated_at", None)
    other = {**WILD, "updated_at": "timestamp without time zone"}
    assert map_table(settings, table(other)).ref.key == "created_at"
    with pytest.raises(SettingsError, match="one order needs one type"):
        mapped(other, updated_at="updated_at")


def test_what_the_row_costs_is_counted_where_its_events_say_nothing() -> None:
    silent = trace({"cost": "0.5", "tokens": {"input": "10", "output": 2}, "payload": {"events": [{"role": "user"}]}})
    assert usage(silent) == [{}, {"cost_usd": 0.5, "tokens_in": 10, "tokens_out": 2}]
    event = {"type": "llm_call", "t_ms": 7, "cost": 0.4, "tokens_in": 9}
    partly = trace({"cost": 0.5, "tokens": {"input": 10, "output": 2}, "payload": {"events": [event]}})
    assert usage(partly) == [{"cost_usd": 0.4, "tokens_in": 9}, {"tokens_out": 2}]


@pytest.mark.parametrize(
    ("payload", "prompts"),
    [
        ({"prompt_version": "3f2a9c1"}, {"": "3f2a9c1"}),
        ({"prompt_version": 12}, {"": "12"}),
        ({"prompt_version": {"system": 3, "tone": "ab12cd3"}}, {"system": "3", "tone": "ab12cd3"}),
        ({"prompts": [{"name": "system", "version": 3}, {"name": "tone", "sha": "x"}]}, {"system": "3", "tone": "x"}),
        ({"prompts": {"system": {"version": 4}}}, {"system": "4"}),
        ({"prompt_version": None}, {}),
        ({"prompt_version": ""}, {}),
    ],
)
def test_prompt_versions_are_read_in_every_form(payload: dict[str, Any], prompts: dict[str, str]) -> None:
    assert trace({"payload": payload})["prompts"] == prompts


def test_several_prompts_in_one_session_are_all_kept() -> None:
    calls = [{"type": "llm", "prompt_name": "system", "prompt_version": version} for version in ("a1", "b2", "a1")]
    assert trace({"payload": {"events": calls}})["prompts"] == {"system": ["a1", "b2"]}


@pytest.mark.parametrize(("said", "success"), [("true", True), ("failed", False), (None, None), ("running", None)])
def test_success_is_read_in_words(said: Any, success: bool | None) -> None:
    assert trace({"success": said}).get("success") is success


def test_a_row_is_a_trace_of_its_own_and_a_session_where_it_names_none() -> None:
    found = trace({"session_id": None})
    assert (found["trace_id"], found["session_id"]) == ("r1", "r1")
    assert trace({})["session_id"] == "s1"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"created_at": None}, "created_at is missing"),
        ({"session_id": "x" * 501}, "session_id has more than 500 characters"),
        ({"payload": '{"events": ['}, "payload is a text that begins like JSON, but it is not JSON"),
        ({"payload": {"events": [{"role": "user"}] * 20_001}}, "it has more than 20000 events"),
        ({"created_at": "2031-01-01T00:00:00Z"}, "more than 24 hours in the future"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        trace(row)
    assert reason in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(sorted(KINDS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*TYPE, *NAME, *TEXT, *ERROR, *CALL_ID, *OUTPUT, *STATUS, *TIME, "events", "usage", "data"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON, JSON, JSON)
def test_whatever_stands_in_a_row_a_storable_trace_comes_out_or_a_reason(
    payload: Any, tokens: Any, events: Any
) -> None:
    row = {"payload": payload, "tokens": tokens, "session_id": "s", "cost": tokens, "created_at": NOON.isoformat()}
    for held in (payload, {"events": events}, {"events": [events]}):
        try:
            _, found = trace_of(json.dumps({**row, "payload": held}), "r", mapped(), "agent", now=NOON)
        except InputError:
            continue
        assert "\\u0000" not in canonical_json(found)


def test_every_field_of_the_settings_has_its_usual_names() -> None:
    """A field that could be written and was never looked at would be a silence."""
    sections = {"traces": TraceColumns, "messages": MessageColumns, "agent_config": ConfigColumns}
    assert {kind: set(section.model_fields) for kind, section in sections.items()} == {
        kind: set(fields) for kind, fields in USUAL.items()
    }


def test_another_mapping_has_another_digest() -> None:
    assert mapped().digest == mapped().digest
    assert mapped().digest != mapped(cost_usd="payload.cost").digest


@pytest.mark.parametrize(
    ("settings", "columns", "said"),
    [
        (TracesSettings(table="t"), {"id": "uuid", "created_at": TIMESTAMP, "events": "jsonb"}, "called session_id or"),
        (
            TracesSettings(table="t"),
            {"id": "uuid", "created_at": TIMESTAMP, "session_id": "text"},
            "no column of events",
        ),
        (TracesSettings(table="t"), {**WILD, "payload": "jsonb", "created_at": "bigint"}, "is bigint, no time"),
        (MessagesSettings(table="m"), {"id": "int", "session_id": "text", "created_at": TIMESTAMP}, "called role or"),
        (AgentConfigSettings(table="c"), {"name": "text"}, "has no column of tools"),
    ],
)
def test_what_a_table_lacks_is_named(settings: Any, columns: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        map_table(settings, table(columns))
    assert said in str(caught.value)
    assert str(caught.value).endswith((".", '".'))
