"""What every test shares. Behaviour of the run lives in `tests/plugins`, one module for each rule."""

from __future__ import annotations

pytest_plugins = [
    "pytester",
    "tests.plugins.clean_environment",
    "tests.plugins.database",
    "tests.plugins.hypothesis_profiles",
    "tests.plugins.mlflow",
    "tests.plugins.network_guard",
    "tests.plugins.pgbouncer",
    "tests.plugins.promptlayer",
    "tests.plugins.shared_data",
    "tests.plugins.skips_fail_in_ci",
    "tests.plugins.supabase",
    "tests.plugins.transports",
]
