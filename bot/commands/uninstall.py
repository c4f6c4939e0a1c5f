"""`ratchet uninstall`: the audit in a file, and nothing of Ratchet left in the database."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import closing
from pathlib import Path

from optimizer.db import uninstall
from optimizer.db.embedded import open_embedded
from optimizer.errors import UsageError
from optimizer.settings import Settings, load_settings
from optimizer.wiring import database_source, open_database

_NOTHING = "Nothing of Ratchet is in this database."
_WORD = "uninstall"


def run(options: argparse.Namespace) -> int:
    settings, export = load_settings(), Path(options.export)
    if export.exists():
        raise UsageError(f"{options.export!r} is there already; name a file that is not, for the audit.")
    source = database_source(settings)
    if source == "embedded" and not (settings.home / "postgres").is_dir():
        return _nothing()  # and no database is made only to say so
    if options.sql:
        return asyncio.run(_script(settings, export))
    if source == "SUPABASE_URL":
        raise UsageError(
            "The key of Supabase cannot drop anything; run `ratchet uninstall --sql --export FILE`, and paste what it "
            "prints into the SQL editor of the project."
        )
    url = settings.environment.database_url
    if url is not None:
        return _uninstall(url.get_secret_value(), export, sure=options.yes)
    with closing(open_embedded(settings.home)) as server:
        return _uninstall(server.dsn, export, sure=options.yes)


def _uninstall(dsn: str, export: Path, *, sure: bool) -> int:
    found = uninstall.installed(dsn)
    if found is None:
        return _nothing()
    print(
        f"In {found.where}: {found.agents:,} agent(s), {found.traces:,} trace(s), {found.prompt_versions:,} prompt "
        f"version(s) and {found.decisions:,} audit row(s). The audit is written to {export}; all of it is then "
        "dropped for good, and nothing else is touched."
    )
    if not sure:
        _require_word()
    exported = uninstall.uninstall(dsn, export)
    if exported is None:
        return _nothing()
    print(f"Exported {exported:,} audit row(s) to {export}. Ratchet is out of {found.where}.")
    return 0


def _require_word() -> None:
    print(f'Type "{_WORD}" to go on: ', end="", flush=True)
    if sys.stdin.readline().strip() != _WORD:
        raise UsageError(f'Nothing was dropped: that was not "{_WORD}". Run it again, or with --yes.')


async def _script(settings: Settings, export: Path) -> int:
    """What is said goes to standard error: the script alone is to be pasted."""
    async with open_database(settings, check_schema=False) as database:
        exported = await uninstall.export_audit(database, export)
    if exported is None:
        print(f"-- {_NOTHING}")
        return 0
    print(uninstall.as_script(exported), end="")
    print(f"Exported {exported:,} audit row(s) to {export}; paste the script to drop the rest.", file=sys.stderr)
    return 0


def _nothing() -> int:
    print(_NOTHING)
    return 0
