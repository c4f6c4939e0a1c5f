"""Who sits at this terminal."""

from __future__ import annotations

import os
import pwd


def console_actor() -> str:
    """`console:<user>`, by the user of the process: an environment variable could say anything."""
    try:
        return f"console:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"console:{os.getuid()}"
