"""A PromptLayer workspace of a test's own, behind its API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.promptlayer import PromptLayer, serve


@pytest.fixture
def promptlayer_api() -> Iterator[PromptLayer]:
    """An empty workspace."""
    with serve(PromptLayer()) as simulator:
        yield simulator
