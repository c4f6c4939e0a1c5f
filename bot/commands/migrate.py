"""`ratchet migrate`: the schema brought up to date, copied, or printed."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from optimizer.db import migrate
from optimizer.errors import SchemaTooOld
from optimizer.settings import Settings, load_settings
from optimizer.wiring import database_source, open_database


def run(options: argparse.Namespace) -> int:
    if options.into:
        copied = migrate.copy_into(Path(options.into))
        print(f"Copied {len(copied)} migration(s) into {options.into}.")
        return 0
    settings = load_settings()
    if options.sql:
        missing = asyncio.run(_missing(settings))
        print(migrate.as_script(missing) if missing else "-- Nothing is missing.\n", end="")
        return 0
    source = database_source(settings)
    if source == "SUPABASE_URL":
        return _say_what_to_paste(asyncio.run(_missing(settings)))
    url = settings.environment.database_url
    applied = migrate.apply(url.get_secret_value()) if url else asyncio.run(_embedded(settings))
    for migration in applied:
        print(f"Applied {migration.path.name}.")
    print("The schema is up to date.")
    return 0


def _say_what_to_paste(missing: tuple[migrate.Migration, ...]) -> int:
    """A project's key calls functions and cannot create them."""
    if not missing:
        print("The schema is up to date.")
        return 0
    raise SchemaTooOld(
        f"The key of Supabase cannot change the schema, which is {len(missing)} migration(s) behind; run "
        "`ratchet migrate --sql`, paste what it prints into the SQL editor of the project, and run it there."
    )


async def _missing(settings: Settings) -> tuple[migrate.Migration, ...]:
    async with open_database(settings, check_schema=False) as database:
        return await migrate.missing(database)


async def _embedded(settings: Settings) -> tuple[migrate.Migration, ...]:
    """Opening the embedded database brings its schema up to date."""
    async with open_database(settings):
        return ()
