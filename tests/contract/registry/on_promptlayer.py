"""The adapter on the simulator. It does not pause between tries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optimizer.registries.promptlayer.api import Api
from optimizer.registries.promptlayer.registry import PromptLayerRegistry
from tests.simulators.promptlayer import Fault, PromptLayer
from tests.simulators.promptlayer_workspace import Prompt

PROMPTS = ("system", "playbooks")
NO_ANSWER = [Fault.failed_after, Fault.dropped_after, Fault.slow]  # though it was done


def registry_on(
    simulator: PromptLayer, *, prefix: str = "", names: Iterable[str] = PROMPTS, **limits: Any
) -> PromptLayerRegistry:
    async def of_the_agent() -> Iterable[str]:
        return names

    return PromptLayerRegistry(
        Api(simulator.key, simulator.url, **{"waits_seconds": (0.0, 0.0), **limits}), of_the_agent, prefix
    )


def held(api: PromptLayer) -> Prompt:
    return api.workspace.prompts["system"]
