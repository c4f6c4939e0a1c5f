"""Amounts as a finding says them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizer.diagnose.evidence import looks
from optimizer.records.snapshot import DAY
from tests.unit.diagnose.builders import Traffic, snapshot


@pytest.mark.parametrize(
    ("span", "sessions", "said"),
    [
        (DAY, 9, "9 sessions a day"),
        (DAY, 1, "1 session a day"),
        (30 * DAY, 31, "1 session a day"),  # 1.03
        (2 * DAY, 5, "2.5 sessions a day"),
        (30 * DAY, 10, "10 sessions in this window"),
    ],
)
def test_a_pace_is_a_day_or_the_whole_window(span: timedelta, sessions: int, said: str) -> None:
    assert looks(snapshot(Traffic(100), span=span))[0].pace(sessions, "session") == said
