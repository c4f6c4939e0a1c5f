"""What rows of settings declare, and why one declares nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from optimizer.observe.owner.config import declared_in
from optimizer.observe.owner.mapping import map_table
from optimizer.settings.tables import AgentConfigSettings
from tests.unit.observe.owner.test_rows import table

MAPPED = map_table(
    AgentConfigSettings(table="agent_config"), table({"id": "integer", "agent": "text", "tools": "jsonb"}, ("id",))
)


@pytest.mark.parametrize(
    ("row", "agent", "said"),
    [
        ({"agent": "Blog Writer", "tools": []}, "wild", "agent is 'Blog Writer', not letters"),
        ({"agent": None, "tools": []}, None, "it names no agent; say whose rows these are"),
        ({"agent": "wild", "tools": [{}]}, None, "its tool 1 has no name"),
    ],
)
def test_a_row_that_declares_nothing_is_told_with_its_reason(row: dict[str, Any], agent: str | None, said: str) -> None:
    good = json.dumps({"agent": "other", "tools": [{"name": "search"}]})
    found, refused = declared_in([("1", json.dumps(row)), ("2", good)], MAPPED, agent)
    assert list(found) == ["other"]
    assert [one.startswith(f"1: {said}") for one in refused] == [True]
