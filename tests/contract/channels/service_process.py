"""A whole service in a process of its own, which may be killed at any moment.

`python -m tests.contract.channels.service_process DSN SLACK_URL PORT`
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from pydantic import SecretStr

from bot.web.app import make_app
from bot.web.server import make_server
from bot.wiring import open_service
from optimizer.clock import SystemClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from optimizer.wiring import open_ratchet
from tests.journey.hotel import AGENT
from tests.simulators.slack import BOT_TOKEN, SIGNING_SECRET

APPROVERS = ("dana", "rui")
LISTED = tuple(f"guest{n}" for n in range(8))
LEASE_SECONDS = 3  # so that what a killed process held goes on soon


def slack_id(name: str) -> str:
    return f"U0{name.upper()}"


def settings(slack_url: str) -> Settings:
    return Settings(
        environment=Environment(
            slack_bot_token=SecretStr(BOT_TOKEN),
            slack_signing_secret=SecretStr(SIGNING_SECRET),
            slack_base_url=slack_url,
        ),
        file=FileSettings(
            agents={AGENT: AgentSettings(approvers=APPROVERS)},
            people={name: PersonSettings(slack=slack_id(name)) for name in (*APPROVERS, *LISTED)},
        ),
    )


async def main(dsn: str, slack_url: str, port: int) -> None:
    database = PostgresDatabase(dsn, connections_max=6)
    await database.open()
    try:
        async with (
            open_ratchet(settings(slack_url), database=database, clock=SystemClock()) as ratchet,
            open_service(ratchet) as opened,
        ):
            service = opened.service
            service = replace(
                service,
                inbox=replace(service.inbox, lease_seconds=LEASE_SECONDS),
                outbox=replace(service.outbox, lease_seconds=LEASE_SECONDS),
            )
            await make_server(make_app(service, opened.routers), "127.0.0.1", port).serve()
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
