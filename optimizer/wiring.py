"""The one place that wires: settings become open resources, closed in reverse."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from optimizer.approve.people import People, people_of
from optimizer.clock import Clock, SystemClock
from optimizer.db import migrate
from optimizer.db.port import Database
from optimizer.errors import SettingsError
from optimizer.loop import Blaming, Decisions, Freezing, Measuring, Prompts, Reloading, Runs, Watching
from optimizer.loop.ways_back import WaysBack
from optimizer.observe.owner.pull import OwnerTables
from optimizer.registries.local import LocalRegistry
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.stores.agents import AgentStore
from optimizer.stores.audit import AuditStore, NoticeStore, QuestionStore
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.freezes import FreezeStore
from optimizer.stores.owner_tables import OwnerTableStore
from optimizer.stores.references import ReferenceStore
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore
from optimizer.stores.traces import TraceStore
from optimizer.stores.watching import WatchingStore


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
    owner_tables: OwnerTables
    runs: Runs
    watching: Watching
    blaming: Blaming
    decisions: Decisions
    ways_back: WaysBack
    freezing: Freezing
    registry_of: Callable[[str], Registry]
    people_of: Callable[[str], People]


def database_source(settings: Settings) -> Literal["DATABASE_URL", "SUPABASE_URL", "embedded"]:
    """Where the database is: the first of these that is set. Raises `SettingsError` for half of Supabase."""
    environment = settings.environment
    if environment.database_url is not None:
        return "DATABASE_URL"
    if environment.supabase_url is None and environment.supabase_service_role_key is None:
        return "embedded"
    if environment.supabase_url is None:
        raise SettingsError(
            "SUPABASE_SERVICE_ROLE_KEY is set and SUPABASE_URL is not; set both, or DATABASE_URL instead."
        )
    if environment.supabase_service_role_key is None:
        raise SettingsError(
            "SUPABASE_URL is set and SUPABASE_SERVICE_ROLE_KEY is not; set both, or DATABASE_URL instead."
        )
    return "SUPABASE_URL"


@asynccontextmanager
async def open_database(settings: Settings, *, check_schema: bool = True) -> AsyncGenerator[Database]:
    """What `database_source` says; the schema of the embedded server is kept current by itself."""
    environment, source = settings.environment, database_source(settings)
    async with AsyncExitStack() as stack:
        # Drivers, clients and servers are imported when they are needed: `ratchet --help` must answer at once.
        if source == "SUPABASE_URL" and environment.supabase_url and environment.supabase_service_role_key:
            from optimizer.db.supabase import SupabaseDatabase

            database = SupabaseDatabase(
                environment.supabase_url, environment.supabase_service_role_key.get_secret_value()
            )
        else:
            from optimizer.db.postgres import PostgresDatabase

            if environment.database_url is not None:
                database = PostgresDatabase(environment.database_url.get_secret_value())
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

    opened: dict[str, Registry] = {}

    def registry_of(agent: str) -> Registry:
        registry = settings.agent(agent).registry
        if registry == "local":
            return LocalRegistry(database, agent, clock)
        if agent not in opened:
            opened[agent] = (_promptlayer if registry == "promptlayer" else _mlflow)(settings, agents, agent)
        return opened[agent]

    agents, rollups, sessions = AgentStore(database), RollupStore(database), SessionStore(database)
    traces = TraceStore(database)
    deployments, audit = DeploymentStore(database), AuditStore(database)
    worker_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    references, watched = ReferenceStore(database), WatchingStore(database)
    prompts = Prompts(settings, clock, agents, registry_of, deployments, references, traces, watched)
    measuring = Measuring(sessions, deployments, rollups, watched, clock)
    reloading = Reloading(prompts, watched, clock, worker_name)
    watching = Watching(prompts, deployments, watched, rollups, reloading, clock)
    owner_tables = OwnerTables(settings, OwnerTableStore(database), agents, audit, registry_of, clock)
    runs = Runs(prompts, sessions, measuring, watching, traces, rollups, clock, worker_name, owner_tables)
    freezes = FreezeStore(database)
    decisions = Decisions(prompts, sessions, freezes, deployments, audit, people, clock, worker_name)
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
        owner_tables=owner_tables,
        runs=runs,
        watching=watching,
        blaming=Blaming(prompts, deployments, sessions),
        decisions=decisions,
        ways_back=WaysBack(prompts, sessions, deployments, audit, people, clock),
        freezing=Freezing(freezes, audit, people, clock),
        registry_of=registry_of,
        people_of=people,
    )


def _promptlayer(settings: Settings, agents: AgentStore, agent: str) -> Registry:
    """Raises `SettingsError` without a key. Asks for nothing yet."""
    from optimizer.registries.promptlayer.api import Api
    from optimizer.registries.promptlayer.registry import PromptLayerRegistry

    environment = settings.environment
    if environment.promptlayer_api_key is None:
        raise SettingsError(
            f"The registry of {agent!r} is 'promptlayer' in ratchet.toml, and PROMPTLAYER_API_KEY is not set; set it "
            "to a key of the workspace that holds the prompts."
        )

    api = Api(environment.promptlayer_api_key.get_secret_value(), environment.promptlayer_base_url)
    return PromptLayerRegistry(api, _names(settings, agents, agent), environment.promptlayer_prompt_prefix)


def _mlflow(settings: Settings, agents: AgentStore, agent: str) -> Registry:
    """Raises `SettingsError` without an address. Imports and asks for nothing yet."""
    from optimizer.registries.mlflow.client import Mlflow
    from optimizer.registries.mlflow.registry import MlflowRegistry

    environment = settings.environment
    if environment.mlflow_tracking_uri is None:
        raise SettingsError(
            f"The registry of {agent!r} is 'mlflow' in ratchet.toml, and MLFLOW_TRACKING_URI is not set; set it to the "
            "address of the MLflow server that holds the prompts."
        )
    credentials = {
        "MLFLOW_TRACKING_USERNAME": environment.mlflow_tracking_username,
        "MLFLOW_TRACKING_PASSWORD": environment.mlflow_tracking_password,
        "MLFLOW_TRACKING_TOKEN": environment.mlflow_tracking_token,
    }
    given = {name: value.get_secret_value() for name, value in credentials.items() if value is not None}
    mlflow = Mlflow(environment.mlflow_tracking_uri.get_secret_value(), given)
    return MlflowRegistry(mlflow, _names(settings, agents, agent))


def _names(settings: Settings, agents: AgentStore, agent: str) -> Callable[[], Awaitable[set[str]]]:
    """The prompts of the agent: a registry may hold those of others."""

    async def names() -> set[str]:
        known = await agents.find(agent)
        return {*settings.agent(agent).prompts, *(known.prompts if known else ())}

    return names
