from __future__ import annotations

import re
from collections import Counter

import pytest

from bot.demo.prompts import GHOST_BLOCK, MASTER_SYSTEM_CORE, PLAYBOOKS, composed
from bot.demo.tools import TOOL_NAMES, TOOLS
from tests.unit.demo.counting import WITHOUT_COPY, Line, calls


def test_the_master_holds_the_placeholder_once_on_a_line_of_its_own() -> None:
    assert MASTER_SYSTEM_CORE.count("{{PLAYBOOKS}}") == 1
    assert "{{PLAYBOOKS}}" in MASTER_SYSTEM_CORE.splitlines()
    assert "{{" not in PLAYBOOKS


def test_the_playbooks_stand_in_the_master_too_and_cost_650_tokens() -> None:
    assert MASTER_SYSTEM_CORE.count(PLAYBOOKS) == 1
    assert len(PLAYBOOKS) / 3.8 == pytest.approx(650, abs=3)


def test_the_ghost_block_stands_twice_and_costs_210_tokens() -> None:
    assert MASTER_SYSTEM_CORE.count(GHOST_BLOCK) == 2
    assert len(GHOST_BLOCK) / 3.8 == pytest.approx(210, abs=2)


def test_nothing_else_stands_twice() -> None:
    text = WITHOUT_COPY.replace(GHOST_BLOCK, "", 1) + "\n" + PLAYBOOKS
    lines = Counter(line for line in text.splitlines() if line)
    assert [line for line, count in lines.items() if count > 1] == []


def test_the_composed_prompt_has_the_size_of_a_real_one() -> None:
    assert 2_500 <= len(composed(MASTER_SYSTEM_CORE, PLAYBOOKS)) / 3.8 <= 3_200


def test_the_prompt_names_only_tools_that_are_declared() -> None:
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", MASTER_SYSTEM_CORE))
    assert named
    assert named <= set(TOOL_NAMES)


def test_every_spec_is_a_function_with_described_parameters() -> None:
    for tool in TOOLS:
        assert tool["type"] == "function"
        function = tool["function"]
        assert function["description"].endswith(".")
        parameters = function["parameters"]
        assert set(parameters["required"]) <= set(parameters["properties"])
        assert all(parameter["description"] for parameter in parameters["properties"].values())
    assert len(set(TOOL_NAMES)) == len(TOOL_NAMES) == 13


def test_calls_fit_the_declared_parameters(last_day: list[Line]) -> None:
    specs = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    types = {"string": str, "integer": int}
    for call in (call for line in last_day for call in calls(line)):
        spec = specs[call["name"]]
        assert set(spec["required"]) <= set(call["args"]), call
        for name, value in call["args"].items():
            assert isinstance(value, types[str(spec["properties"][name]["type"])]), call
