"""A thousand webhooks, doubled and out of order, to two services of which one is killed again and again.

Every decision once, every message answered, none more than twice, none lost. TEST_MESSAGES says how many messages
people write (600 by default); two thirds of them are delivered once more.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg

from optimizer.clock import SystemClock
from optimizer.db.postgres import PostgresDatabase
from tests.contract.channels.service_process import APPROVERS, LISTED, settings, slack_id
from tests.journey import hotel
from tests.journey.hotel import AGENT
from tests.journey.world import START, Proposed, World
from tests.simulators.slack import Slack, slack
from tests.simulators.slack_events import Sender, event_of

MESSAGES = int(os.environ.get("TEST_MESSAGES", "600"))
ITEMS_EACH = 12
KILLS = 3
DONE_SECONDS = 240
_ROOT = Path(__file__).parents[3]


class Copy:
    """One copy of the service; what it says goes to a file."""

    def __init__(self, dsn: str, slack_url: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        self._command = [
            sys.executable,
            "-m",
            "tests.contract.channels.service_process",
            dsn,
            slack_url,
            str(self.port),
        ]
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=_ROOT)

    def kill(self) -> None:
        """As the machine would: no farewell. Then it is started again."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.start()

    def end(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@contextmanager
def copies(dsn: str, slack_url: str, folder: Path) -> Iterator[list[Copy]]:
    started = [Copy(dsn, slack_url, folder / f"{name}.log") for name in ("one", "two")]
    try:
        yield started
        assert [one.end() for one in started] == [0, 0], "\n".join(one.log.read_text() for one in started)
    finally:
        for one in started:
            one.process.kill()
            one.process.wait(10)


async def test_nothing_is_lost_and_nothing_done_twice(dsn: str, tmp_path: Path) -> None:
    with slack() as space:
        space.workspace.base_seconds = int(time.time())  # the services' clock is the real one
        for name in (*APPROVERS, *LISTED):
            space.workspace.add_user(slack_id(name), name)
        await _propose(dsn, space)
        with copies(dsn, space.url, tmp_path) as services:
            await _until(lambda: all(_listed(space, name) for name in APPROVERS), services)
            random = Random(7)
            posted = await _talk(space, services, random)
            await _until(lambda: _waiting(dsn) == 0, services)
        _check(dsn, space, posted)


async def _propose(dsn: str, space: Slack) -> None:
    database = PostgresDatabase(dsn, connections_max=2)
    await database.open()
    world = World(database, settings(space.url), SystemClock())
    world.clock.at = START
    await world.ratchet.agents.register(AGENT, at=START, environment="prod", tools=hotel.TOOLS)
    await world.edit_prompts(hotel.PROMPTS)
    lines = [line for line in hotel.PROMPTS["core"].splitlines() if line.startswith("- ")]
    items = [Proposed(f"Item {n}", (World.edit(lines[n % len(lines)], n),)) for n in range(len(APPROVERS) * ITEMS_EACH)]
    await world.propose(*items)
    await database.close()


def _listed(space: Slack, name: str) -> bool:
    return any(one.buttons for one in space.workspace.channels.get(space.workspace.direct(slack_id(name)), []))


async def _until(done: Any, services: list[Copy]) -> None:
    for _ in range(DONE_SECONDS * 5):
        if done():
            return
        await asyncio.sleep(0.2)
    raise AssertionError("\n".join(one.log.read_text()[-3000:] for one in services))


def _said_by(name: str) -> Iterator[str]:
    """An approver takes items out and in again, one after the other; the others ask."""
    if name not in APPROVERS:
        yield from itertools.cycle(("help", "help", "help", "status"))
    first = APPROVERS.index(name) * ITEMS_EACH + 1
    for n in itertools.cycle(range(first, first + ITEMS_EACH)):
        yield f"remove {n}"
        yield "help"
        yield f"restore {n}"
        yield "help"


async def _talk(space: Slack, services: list[Copy], random: Random) -> Counter[str]:
    """Delivers what everybody says, two thirds of it twice, a little out of order; vendor id -> times acknowledged."""
    names = (*APPROVERS, *LISTED)
    words = {name: _said_by(name) for name in names}
    events: list[dict[str, Any]] = []
    for n in range(MESSAGES):
        name = names[n % len(names)]
        message = space.workspace.said(space.workspace.direct(slack_id(name)), slack_id(name), next(words[name]))
        events.append(event_of(message))
    again = random.sample(events, len(events) * 2 // 3)
    places = {id(event): n + random.uniform(0, 15) for n, event in enumerate(events)}
    deliveries = sorted(
        [(places[id(one)], n, one, 0) for n, one in enumerate(events)]
        + [(places[id(one)] + random.uniform(0, 30), n, one, 1) for n, one in enumerate(again)],
        key=lambda one: one[:2],
    )
    posted: Counter[str] = Counter()
    kills = {len(deliveries) * (n + 1) // (KILLS + 1) for n in range(KILLS)}
    gate = asyncio.Semaphore(20)

    async def deliver(sender: Sender, event: dict[str, Any], retry: int) -> None:
        async with gate:
            for _ in range(200):  # Slack gives up after three; that the message comes at all is its business
                try:
                    answer = await sender.post_event(event, event_id=f"Ev{event['ts']}", retry=retry)
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == 200:
                    posted[f"{event['channel']}:{event['ts']}"] += 1
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(f"never acknowledged: {event}")

    async with AsyncExitStack() as stack:
        addresses = [f"http://127.0.0.1:{one.port}" for one in services]
        clients = [httpx.AsyncClient(base_url=address, timeout=30) for address in addresses]
        senders = [Sender(space, await stack.enter_async_context(client)) for client in clients]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for n, (_, _, event, retry) in enumerate(deliveries):
            if n in kills:
                services[0].kill()
            group.create_task(deliver(random.choice(senders), event, retry))
            await asyncio.sleep(0.01)
    return posted


def _rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def _waiting(dsn: str) -> int:
    query = (
        "select (select count(*) from ratchet.inbound where state = 'waiting')"
        " + (select count(*) from ratchet.deliveries where state = 'waiting')"
    )
    return int(_rows(dsn, query)[0][0])


def _check(dsn: str, space: Slack, posted: Counter[str]) -> None:
    inbound = dict(_rows(dsn, "select vendor_id, state from ratchet.inbound"))
    assert set(inbound) == set(posted)
    assert set(inbound.values()) == {"done"}
    # Every decision once.
    decided = Counter(
        message
        for (message,) in _rows(
            dsn,
            "select body::jsonb ->> 'message' from ratchet.decisions where body::jsonb ->> 'kind' = 'decision'",
        )
    )
    assert len(decided) > MESSAGES // 100
    assert set(decided.values()) == {1}
    # Every message at least once, none more than twice.
    sent = dict(_rows(dsn, "select key, state from ratchet.deliveries"))
    assert set(sent.values()) == {"sent"}
    answered = {int(key.split(":")[1]) for key in sent if key.startswith("answer:")}
    assert answered == {id_ for (id_,) in _rows(dsn, "select id from ratchet.inbound")}
    shown = Counter(
        one.metadata["event_payload"]["token"]
        for messages in space.workspace.channels.values()
        for one in messages
        if one.metadata
    )
    expected = {str(id_) for (id_,) in _rows(dsn, "select id from ratchet.deliveries where not body ? 'update'")}
    assert {token.split(":")[0] for token in shown} == expected
    assert max(shown.values()) <= 2
    twice = sum(count - 1 for count in shown.values())
    retried = _rows(dsn, "select count(*) from ratchet.inbound where attempts > 1")[0][0]
    print(
        f"\n{sum(posted.values())} webhooks of {len(posted)} messages, {len(decided)} decisions, {len(sent)} said,"
        f" {KILLS} kills: {twice} said twice, {retried} messages taken up again"
    )
