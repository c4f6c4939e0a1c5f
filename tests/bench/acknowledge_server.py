"""The two servers that bench_acknowledge compares: `python -m tests.bench.acknowledge_server KIND DSN SLACK_URL PORT`.

`ours` is the whole service with its loops; `bare` inserts each body as one row, over a pool of the same size.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from bot.web.app import make_app
from bot.web.server import make_server
from bot.wiring import open_service
from optimizer.clock import SystemClock
from optimizer.db.postgres import PostgresDatabase
from optimizer.settings import AgentSettings, Environment, FileSettings, PersonSettings, Settings
from optimizer.wiring import open_ratchet
from tests.simulators.slack import BOT_TOKEN, SIGNING_SECRET

AGENT = "front-desk"
CONNECTIONS = 10
PEOPLE = tuple(f"U0P{n:02d}" for n in range(50))


def bare(dsn: str) -> FastAPI:
    pool = AsyncConnectionPool(dsn, min_size=1, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/slack/events")
    async def insert(request: Request) -> dict[str, bool]:  # pyright: ignore[reportUnusedFunction]
        body = await request.body()
        async with pool.connection() as connection:
            await connection.execute("insert into bare (body) values (%s)", (body.decode(),))
        return {"ok": True}

    return app


async def ours(dsn: str, slack_url: str, port: int) -> None:
    settings = Settings(
        environment=Environment(
            slack_bot_token=SecretStr(BOT_TOKEN),
            slack_signing_secret=SecretStr(SIGNING_SECRET),
            slack_base_url=slack_url,
        ),
        file=FileSettings(
            agents={AGENT: AgentSettings()}, people={one.lower(): PersonSettings(slack=one) for one in PEOPLE}
        ),
    )
    database = PostgresDatabase(dsn, connections_max=CONNECTIONS)
    await database.open()
    async with (
        open_ratchet(settings, database=database, clock=SystemClock()) as ratchet,
        open_service(ratchet) as opened,
    ):
        await ratchet.agents.register(AGENT, at=ratchet.clock.now(), environment="prod")
        await make_server(make_app(opened.service, opened.routers), "127.0.0.1", port).serve()
    await database.close()


if __name__ == "__main__":
    kind, dsn, slack_url, port = sys.argv[1:]
    asyncio.run(
        ours(dsn, slack_url, int(port)) if kind == "ours" else make_server(bare(dsn), "127.0.0.1", int(port)).serve()
    )
