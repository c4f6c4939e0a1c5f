"""The one place that wires: settings become open resources, closed in reverse."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from optimizer.approve.people import People, people_of
from optimizer.clock import Clock, SystemClock
from optimizer.db import migrate
from optimizer.db.port import Database
from optimizer.errors import SettingsError
from optimizer.loop import Decisions, Measuring, Prompts, Runs
from optimizer.registries.local import LocalRegistry
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore, NoticeStore, QuestionStore
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore
from optimizer.stores.traces import TraceStore


@dataclass(frozen=True)
class Ratchet:
    """Everything that is open."""

    settings: Settings
    clock: Clock
    database: Database
    agents: AgentStore
    traces: TraceStore
    rollups: RollupStore
    sessions: SessionStore
    deployments: DeploymentStore
    audit: AuditStore
    notices: NoticeStore
    questions: QuestionStore
    prompts: Prompts
    runs: Runs
    decisions: Decisions
    registry_of: Callable[[str], Registry]
    people_of: Callable[[str], People]


@asynccontextmanager
async def open_database(settings: Settings, *, check_schema: bool = True) -> AsyncGenerator[Database]:
    """`DATABASE_URL` where it is set, else the embedded server, whose schema is kept current by itself."""
    # Drivers and servers are imported when they are needed: `ratchet --help` must answer at once.
    from optimizer.db.postgres import PostgresDatabase

    async with AsyncExitStack() as stack:
        url = settings.environment.database_url
        if url is not None:
            database = PostgresDatabase(url.get_secret_value())
        else:
            from optimizer.db.embedded import open_embedded

            server = await asyncio.to_thread(open_embedded, settings.home)
            stack.callback(server.close)
            await asyncio.to_thread(migrate.apply, server.dsn)
            database = PostgresDatabase(server.dsn, revive=server.ensure)
        await database.open()
        stack.push_async_callback(database.close)
        if check_schema:
            await migrate.require_current(database)
        yield database


@asynccontextmanager
async def open_ratchet(
    settings: Settings,
    *,
    clock: Clock | None = None,
    people: Callable[[str], People] | None = None,
    database: Database | None = None,
) -> AsyncGenerator[Ratchet]:
    """Opens everything; `database` is used as it is when it is given, and left open."""
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(open_database(settings))
        yield wire(settings, database, clock or SystemClock(), people or (lambda agent: people_of(settings, agent)))


def wire(settings: Settings, database: Database, clock: Clock, people: Callable[[str], People]) -> Ratchet:
    """Puts the parts together over an open database."""

    def registry_of(agent: str) -> Registry:
        registry = settings.agent(agent).registry
        if registry != "local":
            raise SettingsError(
                f'The registry of {agent!r} is {registry!r} in ratchet.toml, and only "local" exists in this release; '
                "write that, or leave it out."
            )
        return LocalRegistry(database, agent, clock)

    agents, rollups, sessions = AgentStore(database), RollupStore(database), SessionStore(database)
    traces = TraceStore(database)
    deployments, audit = DeploymentStore(database), AuditStore(database)
    worker_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    prompts = Prompts(settings, clock, agents, registry_of)
    measuring = Measuring(sessions, deployments, rollups, traces, clock)
    runs = Runs(prompts, sessions, measuring, traces, rollups, clock, worker_name)
    decisions = Decisions(prompts, sessions, deployments, audit, people, clock, worker_name)
    return Ratchet(
        settings=settings,
        clock=clock,
        database=database,
        agents=agents,
        traces=traces,
        rollups=rollups,
        sessions=sessions,
        deployments=deployments,
        audit=audit,
        notices=NoticeStore(database),
        questions=QuestionStore(database),
        prompts=prompts,
        runs=runs,
        decisions=decisions,
        registry_of=registry_of,
        people_of=people,
    )
