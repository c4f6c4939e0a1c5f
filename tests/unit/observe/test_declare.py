"""Files of tools in the forms that people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.observe.declare import read_tools, spec_characters, tool_names

OPENAI = {"type": "function", "function": {"name": "search", "parameters": {}}}
ANTHROPIC = {"name": "publish", "input_schema": {}}


@pytest.mark.parametrize("given", [[OPENAI, ANTHROPIC, "think"], {"tools": [OPENAI, ANTHROPIC, "think", "think"]}])
def test_specs_of_either_form_and_names_are_read(tmp_path: Path, given: Any) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(given), encoding="utf-8-sig")
    assert tool_names(read_tools(path)) == ("search", "publish", "think")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[{]", "cannot be used: it is not JSON"),
        ("", "cannot be used: it is not JSON"),
        ('"search"', "holds no list of tools"),
        ('{"functions": []}', "holds no list of tools"),
        ('["search", {"function": {}}]', "Tool 2 in .* has no name"),
        ('[{"name": 7}]', "Tool 1 in .* has no name"),
    ],
)
def test_what_is_no_list_of_tools_is_said_in_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "tools.json"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_tools(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_tools(tmp_path / "tools.json")


def test_the_length_of_specs_is_known_only_where_all_are_specs() -> None:
    assert spec_characters([ANTHROPIC]) == len('{"name":"publish","input_schema":{}}')
    assert spec_characters(["search", ANTHROPIC]) is None
    assert spec_characters([]) == 0
