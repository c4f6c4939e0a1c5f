"""The service as it is served: alive, ready, refusing what is too large, and gone in order when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter

from bot.service import Service
from bot.web.app import make_app
from optimizer.db.port import Database
from optimizer.errors import DatabaseUnavailable
from tests.contract.channels.test_messages import SETTINGS
from tests.contract.channels.test_working import Bot, Recording, running
from tests.journey.world import World

_ROOT = Path(__file__).parents[3]


@pytest.fixture
async def bot(database: Database, dsn: str) -> Bot:
    return Bot(World(database, SETTINGS), database, dsn, Recording())


def client_of(service: Service, *routers: APIRouter) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(make_app(service, routers))
    return httpx.AsyncClient(transport=transport, base_url="http://bot")


async def test_ready_means_that_messages_are_kept_and_worked_on(bot: Bot) -> None:
    async with client_of(bot.service) as client:
        assert (await client.get("/healthz")).status_code == 200
        stopped = await client.get("/readyz")
        assert (stopped.status_code, stopped.json()["loops"]) == (503, "stopped")
        async with running(bot.service):
            await asyncio.sleep(0.1)
            ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "database": "ok",
        "loops": "running",
        "inbox": "ok",
        "channels": {"console": "ok"},
    }


async def test_a_channel_that_is_late_is_told_and_takes_no_webhooks_away(bot: Bot) -> None:
    bot.must_say("Hello.", channel="console")
    bot.world.clock.advance(timedelta(minutes=2))
    slow = asyncio.Event()

    async def wait(*_: object) -> None:
        await slow.wait()

    bot.channel.before = wait
    async with client_of(bot.service) as client, running(bot.service):
        ready = await client.get("/readyz")
        slow.set()
    assert (ready.status_code, ready.json()["channels"]) == (200, {"console": "behind"})


async def test_a_schema_that_is_too_old_is_not_ready(bot: Bot) -> None:
    bot.sql(
        "delete from ratchet.schema_migrations where version = (select max(version) from ratchet.schema_migrations)"
    )
    async with client_of(bot.service) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "schema too old")


async def test_what_cannot_be_kept_is_to_be_sent_again_and_says_nothing_of_why(bot: Bot) -> None:
    router = APIRouter()

    @router.post("/hook")
    async def hook() -> None:  # pyright: ignore[reportUnusedFunction]
        raise DatabaseUnavailable("The database at db.internal is gone.")

    async with client_of(bot.service, router) as client:
        answer = await client.post("/hook")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "internal" not in answer.text


@pytest.fixture
def served(dsn: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`ratchet serve` in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "DATABASE_URL": dsn, "RATCHET_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "bot", "serve", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


async def _ready(address: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=address) as client:
        for _ in range(200):
            try:
                answer = await client.get("/readyz")
                if answer.status_code == 200:
                    return answer
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError("it was not ready in 20 seconds")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(served: tuple[subprocess.Popen[str], str], number: signal.Signals) -> None:
    process, address = served
    await _ready(address)
    process.send_signal(number)
    opening, said = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, said) == (0, "")
    assert f"serving on 127.0.0.1 port {httpx.URL(address).port}; no channel is set up yet" in opening
