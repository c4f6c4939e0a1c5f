"""Where the shared traces lie, and the time that holds all of them."""

from __future__ import annotations

from datetime import UTC, datetime

from optimizer.records.window import Window
from tests.plugins.shared_data import SHARED

SHARED_TRACES = SHARED / "traces"
FILES = ("agentrx_tau_retail", "taubench_gpt4o_airline", "tau2")
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
WHOLE_TIME = Window(since=datetime(2024, 1, 1, tzinfo=UTC), until=NOW)
