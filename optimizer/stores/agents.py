"""Agents over the database port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from optimizer.db.port import Database
from optimizer.errors import NotFoundError
from optimizer.records.base import Record
from optimizer.records.deployment import PromptRef


class Agent(Record):
    """An agent as it is declared."""

    agent: str
    environment: str
    tools: tuple[Any, ...]  # specs as given: OpenAI's or Anthropic's form, or plain names
    prompts: dict[str, PromptRef]
    escalation_tools: tuple[str, ...]  # patterns with `*` and `?`
    revision: int
    registered_at: datetime


class AgentStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self,
        agent: str,
        *,
        at: datetime,
        environment: str | None = None,
        tools: Sequence[Any] | None = None,
        prompts: Mapping[str, PromptRef] | None = None,
        escalation_tools: Sequence[str] | None = None,
    ) -> Agent:
        """Adds or changes an agent; what is None stays as it is."""
        row = await self._database.call(
            "agents_register",
            agent=agent,
            environment=environment,
            tools=None if tools is None else list(tools),
            prompts=None if prompts is None else {name: ref.model_dump() for name, ref in prompts.items()},
            escalation_tools=None if escalation_tools is None else list(escalation_tools),
            at=at,
        )
        return Agent.model_validate(row)

    async def find(self, agent: str) -> Agent | None:
        row = await self._database.call("agents_read", agent=agent)
        return None if row is None else Agent.model_validate(row)

    async def get(self, agent: str) -> Agent:
        """Raises `NotFoundError` with the agents that are known."""
        found = await self.find(agent)
        if found is None:
            known = ", ".join(repr(other.agent) for other in (await self.list())[:5]) or "none yet"
            raise NotFoundError(
                f"There is no agent {agent!r} (known: {known}); import its traces with "
                f"`ratchet import FILE --agent {agent}`."
            )
        return found

    async def list(self) -> tuple[Agent, ...]:
        return tuple(Agent.model_validate(row) for row in await self._database.call("agents_list"))
