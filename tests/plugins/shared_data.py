"""Tests over data that lies beside the checkout, marked `shared_data("<folder>")`, run where that data is.

Elsewhere they are deselected, and the run says so: a fresh clone has nothing to fetch and nothing to skip.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [
        item for item in items for marker in item.iter_markers("shared_data") if not (SHARED / marker.args[0]).exists()
    ]
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in absent]
