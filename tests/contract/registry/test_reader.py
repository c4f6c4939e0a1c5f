"""The agent's side of the local registry: from memory, and never behind for long."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from optimizer.clock import ManualClock
from optimizer.db.port import Database
from optimizer.db.postgres import PostgresDatabase
from optimizer.errors import DatabaseError, PromptNotFound
from optimizer.records.base import sha256_of
from optimizer.registries.local import LocalRegistry
from optimizer.registries.reader import CHANGES_MAX, PromptRead, PromptReader, open_reader
from tests.journey.world import AGENT, World
from tests.plugins.transports import Transport

_ROOT = Path(__file__).parents[3]
_DEADLINE_SECONDS = 30


def registry_of(database: Database, agent: str = AGENT) -> LocalRegistry:
    return LocalRegistry(database, agent, ManualClock(datetime(2026, 3, 2, tzinfo=UTC)))


async def publish(registry: LocalRegistry, text: str, prompt: str = "core") -> int:
    published = await registry.publish(prompt, text, commit_message="", metadata={}, deployment_id=uuid4())
    return published.version


async def put(registry: LocalRegistry, text: str, prompt: str = "core", label: str = "prod") -> int:
    """A new version that the label stands at."""
    version = await publish(registry, text, prompt)
    stands = (await registry.labels(prompt)).get(label)
    await registry.move_label(prompt, label, version, expected=stands)
    return version


async def seen(
    reader: PromptReader, expected: Callable[[PromptRead], bool], prompt: str = "core", label: str | None = "prod"
) -> PromptRead:
    """What is read, once it is as expected."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            read = await reader.read(AGENT, prompt, label)
            if expected(read):
                return read
            await asyncio.sleep(0.01)


async def until(reader: PromptReader, version: int, prompt: str = "core", label: str | None = "prod") -> str:
    return (await seen(reader, lambda read: read.version.version == version, prompt, label)).version.text


class Reading:
    """Another process that reads."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.seen: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        self.seen.append(json.loads(self._process.stdout.readline()))
        return self.seen[-1]

    async def until(self, version: int) -> dict[str, Any]:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while (seen := await asyncio.to_thread(self.next))["version"] != version:
                pass
        return seen


@contextmanager
def another_process(dsn: str, prompt: str = "core") -> Iterator[Reading]:
    command = [sys.executable, "-m", "tests.contract.registry.reading", dsn, AGENT, prompt, "prod"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        yield Reading(process)
        process.communicate(timeout=_DEADLINE_SECONDS)
        assert process.returncode == 0


@pytest.fixture
async def reader(database: PostgresDatabase) -> AsyncIterator[PromptReader]:
    async with open_reader(database, poll_seconds=0.02) as opened:
        yield opened


async def test_a_deployment_is_seen_in_another_process(database: PostgresDatabase, dsn: str) -> None:
    world = await World.begin(database)
    dana = await world.morning()
    with another_process(dsn) as process:
        assert (await process.until(1))["of_text"] == sha256_of(await world.text())
        assert "Live: core v2" in await dana.say(f"deploy {await world.number('House_rules')}")
        assert (await process.until(2))["of_text"] == sha256_of(await world.text())
        await dana.say("rollback")
        await dana.say("yes")
        await process.until(1)


async def test_a_text_never_stands_under_the_number_of_another(database: PostgresDatabase, dsn: str) -> None:
    registry = registry_of(database)
    texts = {await put(registry, text): text for text in ("one", "two", "three")}
    with another_process(dsn) as process:
        stands = 3
        for _ in range(10):
            for version in texts:
                await registry.move_label("core", "prod", version, expected=stands)
                stands = version
        last = await put(registry, "four")
        await process.until(last)
    texts[last] = "four"
    for seen in process.seen:
        assert seen["of_text"] == seen["sha256"] == sha256_of(texts[seen["version"]])


async def test_reads_follow_over_every_transport(transport: Transport) -> None:
    database = await transport.open()
    registry = registry_of(database)
    await put(registry, "one")
    await put(registry, "Zoë 日本語 🚀", prompt="playbooks", label="staging")
    async with open_reader(database, poll_seconds=0.02) as reader:
        assert await until(reader, 1) == "one"
        assert await until(reader, 1, "playbooks", None) == "Zoë 日本語 🚀"
        assert await until(reader, await put(registry, "two")) == "two"
        # A draft is the newest version, and is not live.
        draft = await publish(registry, "three")
        assert await until(reader, draft, label=None) == "three"
        assert await until(reader, 2) == "two"


async def test_agents_have_prompts_of_their_own(database: PostgresDatabase, reader: PromptReader) -> None:
    await put(registry_of(database), "mine")
    await put(registry_of(database, "another"), "theirs")
    assert (await reader.read("another", "core")).version.text == "theirs"
    assert (await reader.read(AGENT, "core")).version.text == "mine"


async def test_what_does_not_exist_is_named_and_is_there_once_it_does(
    database: PostgresDatabase, reader: PromptReader
) -> None:
    registry = registry_of(database)
    with pytest.raises(PromptNotFound, match="no prompt 'core' of 'front-desk' under the label 'prod'"):
        await reader.read(AGENT, "core")
    with pytest.raises(PromptNotFound, match="in any version"):
        await reader.read(AGENT, "core", None)
    await put(registry, "one")
    assert (await reader.read(AGENT, "core")).version.text == "one"


async def test_everything_that_changed_at_once_is_seen_at_once(database: PostgresDatabase) -> None:
    registry, reader = registry_of(database), PromptReader(database)
    names = [f"prompt-{number}" for number in range(2 * CHANGES_MAX + 1)]
    for name in names:
        await put(registry, "one", name)
        await reader.read(AGENT, name)
    for name in names:
        await put(registry, f"two of {name}", name)
    await reader.catch_up()
    assert [(await reader.read(AGENT, name)).version.text for name in names] == [f"two of {name}" for name in names]


@pytest.mark.parametrize("limits", [{"prompts_max": 2}, {"characters_max": 10}])
async def test_memory_is_bounded_and_forgets_what_was_read_longest_ago(
    database: PostgresDatabase, limits: dict[str, Any]
) -> None:
    registry = registry_of(database)
    for name in ("a", "b", "c"):
        await put(registry, f"text{name}", name)
    reader = PromptReader(database, **limits)  # it does not follow: what it remembers stays as it was read
    for name in ("a", "b", "a", "c"):
        await reader.read(AGENT, name)
    for name in ("a", "b", "c"):
        await put(registry, "new", name)
    assert [(await reader.read(AGENT, name)).version.version for name in ("a", "c", "b")] == [1, 1, 2]


async def test_while_the_database_is_away_the_last_text_is_served_and_that_is_told(
    dsn: str, server_dsn: str, database: PostgresDatabase
) -> None:
    await put(registry_of(database), "one")
    name = conninfo_to_dict(dsn)["dbname"]
    assert isinstance(name, str)
    open_to = sql.SQL("alter database {} allow_connections {}")
    own = PostgresDatabase(dsn, connections_max=1)
    await own.open()
    async with open_reader(own, poll_seconds=0.02) as reader:
        await until(reader, 1)
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(open_to.format(sql.Identifier(name), sql.SQL("false")))
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            read = await seen(reader, lambda read: read.problem is not None)
            assert read.version.text == "one"
            assert "went away" in (read.problem or "")
            with pytest.raises(DatabaseError):
                await reader.read(AGENT, "another")
            connection.execute(open_to.format(sql.Identifier(name), sql.SQL("true")))
        await seen(reader, lambda read: read.problem is None)
        again = PostgresDatabase(dsn, connections_max=1)
        await again.open()
        assert await until(reader, await put(registry_of(again), "two")) == "two"
        await again.close()
    await own.close()


async def test_the_age_of_what_is_read_is_the_time_since_the_database_said_it(database: PostgresDatabase) -> None:
    await put(registry_of(database), "one")
    times = itertools.chain([100.0, 100.25, 107.0], itertools.repeat(110.0))
    reader = PromptReader(database, poll_seconds=0.01, monotonic=lambda: next(times))
    assert (await reader.read(AGENT, "core")).stale_seconds == 0.25
    assert (await reader.read(AGENT, "core")).stale_seconds == 7.0
    following = asyncio.create_task(reader.follow())
    await seen(reader, lambda read: read.stale_seconds == 0.0)
    following.cancel()


async def test_a_reader_that_was_closed_says_so(database: PostgresDatabase) -> None:
    await put(registry_of(database), "one")
    async with open_reader(database) as reader:
        assert (await reader.read(AGENT, "core")).problem is None
    assert "does not follow any more" in ((await reader.read(AGENT, "core")).problem or "")
