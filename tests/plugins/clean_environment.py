"""Settings and keys of whoever runs the tests never reach a test, nor a process that a test starts."""

from __future__ import annotations

import os

PREFIXES = (
    "ANTHROPIC_",
    "DATABASE_",
    "GREEN_API_",
    "MLFLOW_",
    "OPTIMIZER_",
    "PG",
    "PROMPTLAYER_",
    "RATCHET_",
    "SLACK_",
    "SUPABASE_",
    "TWILIO_",
    "WHATSAPP_",
)
NAMES = ("PUBLIC_URL", "WEB_API_KEY")


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in NAMES:
            del os.environ[name]
