"""How fast Slack is acknowledged with 50 messages in flight, beside a bare FastAPI endpoint that inserts one row.

Both run as they would in production, in a process each, on one database; rounds are taken in turns, so that a busy
machine slows both. In our rounds the messages are answered at the same time: that is the product.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import psycopg

from optimizer.db import migrate
from optimizer.db.embedded import open_embedded
from scripts.migration import changed
from tests.bench.acknowledge_server import PEOPLE
from tests.simulators.slack import Slack, slack
from tests.simulators.slack_events import PATH, signed

IN_FLIGHT = 50
TARGET = 1.5
_ROOT = Path(__file__).parents[2]


class Server:
    def __init__(self, kind: str, dsn: str, slack_url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.milliseconds: list[float] = []
        self.p99s: list[float] = []
        command = [sys.executable, "-m", "tests.bench.acknowledge_server", kind, dsn, slack_url, str(port)]
        self._process = subprocess.Popen(command, cwd=_ROOT)

    async def ready(self, client: aiohttp.ClientSession) -> None:
        for _ in range(300):
            try:
                async with client.get(self.url):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        raise RuntimeError(f"{self.url} does not answer")

    async def round(self, client: aiohttp.ClientSession, bodies: list[bytes]) -> None:
        """Posts them all, `IN_FLIGHT` at a time."""
        queue = bodies.copy()
        taken: list[float] = []

        async def post() -> None:
            while queue:
                body = queue.pop()
                headers = {"Content-Type": "application/json", **signed(body)}
                begun = time.perf_counter()
                async with client.post(f"{self.url}{PATH}", data=body, headers=headers) as answer:
                    await answer.read()
                    assert answer.status == 200, answer.status
                taken.append((time.perf_counter() - begun) * 1000)

        await asyncio.gather(*(post() for _ in range(IN_FLIGHT)))
        self.milliseconds += taken
        self.p99s.append(quantiles(taken, n=100)[98])

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(40)


def events(space: Slack, count: int) -> list[bytes]:
    """What people say to the bot, each in their own chat."""
    bodies: list[bytes] = []
    for n in range(count):
        user = PEOPLE[n % len(PEOPLE)]
        ts = space.workspace.next_ts()
        event = {
            "type": "message",
            "channel": space.workspace.direct(user),
            "channel_type": "im",
            "user": user,
            "text": "help",
            "ts": ts,
            "event_ts": ts,
        }
        body = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": f"Ev{ts}", "event": event}
        bodies.append(json.dumps(body).encode())
    return bodies


async def measure(dsn: str, space: Slack, rounds: int, requests: int) -> tuple[Server, Server]:
    bare, ours = (Server(kind, dsn, space.url) for kind in ("bare", "ours"))
    try:
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(connector=connector) as client:
            for server in (bare, ours):
                await server.ready(client)
                await server.round(client, events(space, 100))  # the first requests open connections
                server.milliseconds.clear()
                server.p99s.clear()
            for _ in range(rounds):
                await bare.round(client, events(space, requests))
                await ours.round(client, events(space, requests))
                await answered(dsn)
    finally:
        bare.end()
        ours.end()
    return bare, ours


async def answered(dsn: str) -> None:
    """Until the service is idle: its work is not the bare endpoint's burden."""
    waiting = (
        "select exists (select from ratchet.inbound where state = 'waiting')"
        " or exists (select from ratchet.deliveries where state = 'waiting')"
    )
    while True:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            row = await (await connection.execute(waiting)).fetchone()
        if row is None or not row[0]:
            return
        await asyncio.sleep(0.2)


def prepared(dsn: str) -> None:
    migrate.apply(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for source in changed().values():
            connection.execute(source.encode())
        connection.execute("create table bare (id bigint generated always as identity primary key, body text)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=400, help="of each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, open_embedded(Path(home)) as database, slack() as space:
        for user in PEOPLE:
            space.workspace.add_user(user, user.lower())
        prepared(database.dsn)
        bare, ours = asyncio.run(measure(database.dsn, space, options.rounds, options.requests))
    print(f"acknowledgement, {IN_FLIGHT} in flight, {options.rounds} rounds of {options.requests} in turns, in ms")
    for name, server in (("bare", bare), ("ours", ours)):
        parts = quantiles(server.milliseconds, n=100)
        print(f"  {name}   p50 {parts[49]:7.1f}   p99 {parts[98]:7.1f}   worst {max(server.milliseconds):7.1f}")
    by_round = median(ours / bare for ours, bare in zip(ours.p99s, bare.p99s, strict=True))
    whole = quantiles(ours.milliseconds, n=100)[98] / quantiles(bare.milliseconds, n=100)[98]
    print(f"  ratio of the p99s {whole:.2f}, median of the rounds {by_round:.2f} (target: at most {TARGET})")


if __name__ == "__main__":
    main()
