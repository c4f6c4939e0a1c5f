"""How the demo's agent behaves under the prompts that are live: the text decides, not the version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo.prompts import GHOST_BLOCK, PLAYBOOKS, composed
from bot.demo.tools import TOOLS_CHARACTERS

CHARACTERS_PER_TOKEN = 3.8

_SUCCESS_RATE = 0.913
_SUCCESS_RATE_WITHOUT_PLAYBOOKS = 0.72
_REFUSED_PUSHES_WITHOUT_GHOST_BLOCK = 0.3


@dataclass(frozen=True)
class LivePrompt:
    """A prompt as the registry serves it."""

    text: str
    version: int


@dataclass(frozen=True)
class Behaviour:
    prompt_tokens: int  # the composed system prompt, sent again with every response
    tools_tokens: int  # the tool definitions, sent before it and kept in the provider's cache
    success_rate: float  # of sessions that nothing else went wrong in
    refused_pushes: float  # share of first push_to_ghost calls that Ghost refuses


def tokens(characters: int) -> int:
    return round(characters / CHARACTERS_PER_TOKEN)


def behaviour_under(prompts: Mapping[str, LivePrompt]) -> Behaviour:
    """What the agent does under `prompts`, which hold `master_system_core` and `playbooks`."""
    system = composed(prompts["master_system_core"].text, prompts["playbooks"].text)
    return Behaviour(
        prompt_tokens=tokens(len(system)),
        tools_tokens=tokens(TOOLS_CHARACTERS),
        success_rate=_SUCCESS_RATE if _taught(PLAYBOOKS, system) else _SUCCESS_RATE_WITHOUT_PLAYBOOKS,
        refused_pushes=0.0 if _taught(GHOST_BLOCK, system) else _REFUSED_PUSHES_WITHOUT_GHOST_BLOCK,
    )


def _taught(lesson: str, system: str) -> bool:
    """Whether at least a third of the rules of `lesson` still stand in the prompt, word for word."""
    rules = [line for line in lesson.splitlines() if line.startswith("- ")]
    present = set(system.splitlines())
    return 3 * sum(rule in present for rule in rules) >= len(rules)
