from __future__ import annotations

import pytest

from tests.unit.demo.counting import Line, one_day


@pytest.fixture(scope="session")
def last_day() -> list[Line]:
    """The day that the first run looks at."""
    return one_day()
