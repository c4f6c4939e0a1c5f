"""Why the server did not start, as one sentence that says what to do next."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from optimizer.errors import EmbeddedServerError

MEGABYTE = 1_000_000
NEEDED_MEGABYTES = 200
# PostgreSQL cannot go on without room for one WAL segment of 16 MB. On a full disk its log may be empty.
FULL_MEGABYTES = 20
CAUSE_CHARACTERS_MAX = 500


def check_space(folder: Path, shown: str) -> None:
    """Refuse to create a database where there is no room for one.

    Raises:
        EmbeddedServerError: less than `NEEDED_MEGABYTES` are free.
    """
    free = _free_megabytes(folder)
    if free < NEEDED_MEGABYTES:
        raise _no_space(shown, free)


def start_failure(folder: Path, shown: str, log_since: int) -> EmbeddedServerError:
    """The error for a start that failed; its log lines begin at the byte `log_since` of the log."""
    lines = _log_lines(folder / "server.log", log_since)
    free = _free_megabytes(folder)
    enospc = any("No space left on device" in line for line in lines)
    if free < FULL_MEGABYTES or (enospc and free < NEEDED_MEGABYTES):
        return _no_space(shown, free)
    return EmbeddedServerError(
        f"The embedded PostgreSQL in {shown!r} did not start: {_cause(lines)}; "
        f"mend that (the log is {shown + '/server.log'!r}), or set DATABASE_URL to another PostgreSQL."
    )


def _no_space(shown: str, free_megabytes: int) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"Not enough disk space in {shown!r}: {free_megabytes} MB free, about {NEEDED_MEGABYTES} MB needed; "
        "free some space or set RATCHET_HOME to another folder."
    )


def _free_megabytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free // MEGABYTE


def _log_lines(log: Path, since: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(since if since <= log.stat().st_size else 0)
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _cause(lines: list[str]) -> str:
    """The last line that names an error, with the detail and hint that follow it."""
    for index in range(len(lines) - 1, -1, -1):
        named = re.search(r"(?:FATAL|PANIC|error|Error): +(.*)", lines[index])
        if named:
            more = [
                found.group(1)
                for line in lines[index + 1 : index + 4]
                if (found := re.search(r"(?:DETAIL|HINT|detail|hint): +(.*)", line))
            ]
            return " ".join([named.group(1), *more]).rstrip(".")[:CAUSE_CHARACTERS_MAX]
    return lines[-1][:CAUSE_CHARACTERS_MAX] if lines else "it ended without a word"
