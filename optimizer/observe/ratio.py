"""Characters per token, learned from what the agent's own traces were charged for."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.prompts.includes import IncludeError, compose_includes
from optimizer.prompts.tokens import CHARACTERS_PER_TOKEN
from optimizer.records.facts import Measures
from optimizer.records.snapshot import PromptText

RATIO_MIN, RATIO_MAX = 2.5, 6.0
SESSIONS_MIN = 5


def characters_per_token(measures: Measures, prompts: Mapping[str, PromptText], tools_characters: int | None) -> float:
    """The ratio over the first responses: prompt, tool specs and first messages, by their tokens.

    3.8 where it cannot be learned: few first responses with tokens, tools known by name only, more than one
    prompt that no other includes, or a result outside 2.5 to 6 (the traces ran under something else).
    """
    tokens, messages = measures.get("first_tokens_in"), measures.get("first_characters")
    prompt = composed_characters(prompts)
    if tokens.n < SESSIONS_MIN or tokens.total <= 0 or prompt is None or tools_characters is None:
        return CHARACTERS_PER_TOKEN
    ratio = (tokens.n * (prompt + tools_characters) + messages.total) / tokens.total
    return ratio if RATIO_MIN <= ratio <= RATIO_MAX else CHARACTERS_PER_TOKEN


def composed_characters(prompts: Mapping[str, PromptText]) -> int | None:
    """The length of the one prompt that no other includes, with what it includes; None if there is none."""
    inner = {name for prompt in prompts.values() for name in prompt.includes.values()}
    outer = [prompt for name, prompt in prompts.items() if name not in inner]
    if len(outer) != 1:
        return None
    includes = {
        placeholder: prompts[name].text
        for prompt in prompts.values()
        for placeholder, name in prompt.includes.items()
        if name in prompts
    }
    try:
        return len(compose_includes(outer[0].text, includes))
    except IncludeError:
        return None
