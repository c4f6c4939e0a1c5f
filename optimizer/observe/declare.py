"""What an agent declares: its tools, out of a file of specs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from optimizer.errors import InputError
from optimizer.observe.parse import parse_line

TOOLS_BYTES_MAX = 16 * 1024 * 1024


def read_tools(path: Path) -> tuple[Any, ...]:
    """The tools in a JSON file: a list (or `{"tools": [...]}`) of specs (OpenAI's, Anthropic's) or names.

    Raises `InputError` for a file that cannot be read or holds something else.
    """
    where = repr(str(path))
    try:
        if path.stat().st_size > TOOLS_BYTES_MAX:
            raise InputError(f"The tools file {where} is larger than 16 MB; give a JSON list of tool specs.")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read the tools file {where} ({error.strerror}); give the path of a JSON list."
        ) from error
    try:
        # A list is no line: as a field of an object it goes through the same care.
        line, _ = parse_line(b'{"tools": ' + raw.removeprefix(b"\xef\xbb\xbf").strip() + b"}")
    except InputError as error:
        raise InputError(f"The tools file {where} cannot be used: {error}; give a JSON list of tool specs.") from error
    specs: Any = line["tools"]
    if isinstance(specs, dict):
        specs = cast("dict[str, Any]", specs).get("tools")
    if not isinstance(specs, list):
        raise InputError(f"The tools file {where} holds no list of tools; give a JSON list of specs or names.")
    for number, spec in enumerate(cast("list[Any]", specs), 1):
        if tool_name(spec) is None:
            raise InputError(
                f"Tool {number} in {where} has no name; write it as a name, or as a spec with 'name' or "
                "'function.name'."
            )
    return tuple(cast("list[Any]", specs))


def tool_name(spec: Any) -> str | None:
    """The tool's name, from OpenAI's form (`function.name`), Anthropic's (`name`) or a plain name."""
    if isinstance(spec, dict):
        fields = cast("dict[str, Any]", spec)
        function = fields.get("function")
        spec = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else fields.get("name")
    return spec if isinstance(spec, str) and spec else None


def tool_names(specs: Sequence[Any]) -> tuple[str, ...]:
    """The names, each once, in the order of the specs."""
    return tuple(dict.fromkeys(name for spec in specs if (name := tool_name(spec)) is not None))


def spec_characters(specs: Sequence[Any]) -> int | None:
    """How long the specs are as compact JSON text; None where only names are known."""
    if any(isinstance(spec, str) for spec in specs):
        return None
    return sum(len(json.dumps(spec, separators=(",", ":"), ensure_ascii=False)) for spec in specs)
