"""A workspace with one prompt, and the registry on it."""

from __future__ import annotations

import pytest

from optimizer.prompts.templates import new_template
from optimizer.registries.port import Registry
from optimizer.registries.promptlayer.api import REQUEST_SECONDS
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import Fault, PromptLayer

SOON_SECONDS = 1.0


@pytest.fixture
def api(promptlayer_api: PromptLayer) -> PromptLayer:
    """A workspace with one prompt, whose label stands at version 1."""
    promptlayer_api.workspace.publish("system", new_template("one"), labels=("prod",))
    return promptlayer_api


@pytest.fixture
def registry(api: PromptLayer, request: pytest.FixtureRequest) -> Registry:
    """Impatient where the answer does not come."""
    spec = getattr(request.node, "callspec", None)
    never = spec is not None and spec.params.get("fault") is Fault.slow
    return registry_on(api, request_seconds=SOON_SECONDS if never else REQUEST_SECONDS)


@pytest.fixture
def impatient(api: PromptLayer) -> Registry:
    return registry_on(api, request_seconds=SOON_SECONDS)
