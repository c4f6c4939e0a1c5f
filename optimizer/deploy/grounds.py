"""What a plan rests on beside the prompts themselves: what traces, the registry and past deployments say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from optimizer.prompts.protected import Protected
from optimizer.prompts.taint import Run


class Request(NamedTuple):
    """The inputs of one real request; `session_id` is that of its trace."""

    session_id: str
    inputs: Mapping[str, Any]


class Said(NamedTuple):
    """Where words stand in a trace: "a user message", "a result of search"."""

    what: str
    session_id: str


class Changed(NamedTuple):
    """What a session's earlier deployments changed of a prompt, in characters, and how many it had before them."""

    characters: int
    of_characters: int


@dataclass(frozen=True)
class Grounds:
    """By prompt, but for `said`, which is by words. Empty where nothing is known."""

    requests: Mapping[str, tuple[Request, ...]] = field(default_factory=dict[str, tuple[Request, ...]])  # newest first
    said: Mapping[Run, Said] = field(default_factory=dict[Run, Said])
    matched: Mapping[str, tuple[Protected, ...]] = field(default_factory=dict[str, tuple[Protected, ...]])
    changed: Mapping[str, Changed] = field(default_factory=dict[str, Changed])
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # sentences
