"""The adapter on a real MLflow. It does not pause between tries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optimizer.registries.mlflow.client import Mlflow
from optimizer.registries.mlflow.registry import MlflowRegistry

PROMPTS = ("system", "playbooks")


def registry_in(uri: str, **limits: Any) -> MlflowRegistry:
    async def of_the_agent() -> Iterable[str]:
        return PROMPTS

    return MlflowRegistry(Mlflow(uri, **{"waits_seconds": (0.0, 0.0), **limits}), of_the_agent)
