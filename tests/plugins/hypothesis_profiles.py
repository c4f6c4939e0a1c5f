"""The same examples on every run in CI, fresh ones elsewhere; time never decides whether a property holds."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)


def pytest_configure() -> None:
    settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")
