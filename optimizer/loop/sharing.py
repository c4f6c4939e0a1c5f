"""Who else is served by a prompt: other agents of the same registry, and prompts that have it inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from optimizer.loop.prompts import Prompts
from optimizer.records.deployment import PromptRef, PromptVersion
from optimizer.text.excerpt import one_line

_NAMED_MAX = 5
_NAME_CHARACTERS_MAX = 60


async def served_too(
    prompts: Prompts,
    agent: str,
    names: Iterable[str],
    current: Mapping[str, PromptVersion],
    refs: Mapping[str, PromptRef],
) -> dict[str, tuple[str, ...]]:
    """By prompt, the sentences that say who gets its change as well: other agents, and prompts that hold it.

    `current` and `refs` are all prompts of the agent. A prompt that serves nobody else is left out.
    """
    others = await _other_agents(prompts, agent)
    prefix = prompts.settings.environment.promptlayer_prompt_prefix
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(names):
        reached = [slug for slug, theirs in others.items() if name in theirs and _reaches(refs[name], theirs[name])]
        holders = [
            other
            for other, held in current.items()
            if other != name and (name in refs[other].includes.values() or _has_snippet(held.text, name, prefix))
        ]
        served = [
            *([f"the {_plural('agent', reached)} {_listed(reached)}"] if reached else []),
            *([f"the {_plural('prompt', holders)} {_listed(holders)}, where it is included"] if holders else []),
        ]
        if served:
            found[name] = (f"{one_line(name, _NAME_CHARACTERS_MAX)} also serves {' and '.join(served)}",)
    return found


async def _other_agents(prompts: Prompts, agent: str) -> dict[str, dict[str, PromptRef]]:
    """The prompts of all agents that load theirs from the same registry; a local one is an agent's own."""
    settings = prompts.settings
    registry = settings.agent(agent).registry
    if registry == "local":
        return {}
    held = {one.agent: prompts.refs(one) for one in await prompts.agents.list()}
    declared = {slug: prompts.configured(slug) for slug in settings.file.agents}
    return {
        slug: refs
        for slug, refs in sorted((declared | held).items())
        if slug != agent and settings.agent(slug).registry == registry
    }


def _reaches(own: PromptRef, theirs: PromptRef) -> bool:
    """Whether a deployment reaches the other agent: it publishes a version, and moves its label."""
    return theirs.follow == "latest" or (own.follow == theirs.follow == "label" and own.label == theirs.label)


def _has_snippet(text: str, name: str, prefix: str) -> bool:
    """Whether the text holds the prompt as PromptLayer's `@@@name@@@`, with a version or label or without."""
    names = "|".join(re.escape(one) for one in {name, f"{prefix}{name}"})
    return re.search(rf"@@@\s{{0,9}}(?:{names})\s{{0,9}}(?:[@:|][^@\n]{{0,100}})?@@@", text) is not None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(one_line(name, _NAME_CHARACTERS_MAX) for name in names[:_NAMED_MAX])


def _plural(word: str, names: Sequence[str]) -> str:
    return word if len(names) == 1 else f"{word}s"
