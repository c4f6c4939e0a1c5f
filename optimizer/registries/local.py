"""The local registry: versions and labels in our own PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from optimizer.clock import Clock
from optimizer.db.port import Database
from optimizer.errors import PromptNotFound
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LabelMove, PromptVersion
from optimizer.registries.conflicts import stands_elsewhere


class LocalRegistry:
    """Implements `Registry` for one agent."""

    def __init__(self, database: Database, agent: str, clock: Clock) -> None:
        self._database = database
        self._agent = agent
        self._clock = clock

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        row = await self._database.call("prompts_current", agent=self._agent, prompt=prompt, label=label)
        if row is None:
            under = f"under the label {label!r}" if label else "in any version"
            raise PromptNotFound(
                f"The local registry has no prompt {prompt!r} of {self._agent!r} {under}; "
                f"load it with `ratchet import --agent {self._agent} --prompt {prompt}=FILE`."
            )
        return version_of(row)

    async def version(self, prompt: str, version: int) -> PromptVersion:
        row = await self._database.call("prompts_read", agent=self._agent, prompt=prompt, version=version)
        if row is None:
            raise PromptNotFound(_no_version(prompt, version))
        return version_of(row)

    async def publish(
        self,
        prompt: str,
        text: str,
        *,
        commit_message: str,
        metadata: Mapping[str, Any],
        deployment_id: UUID,
        base_version: int | None = None,  # here a version is its text, and nothing else is to be kept
    ) -> PromptVersion:
        row = await self._database.call(
            "prompts_publish",
            agent=self._agent,
            prompt=prompt,
            text=text,
            sha256=sha256_of(text),
            commit_message=commit_message,
            metadata=dict(metadata),
            deployment_id=deployment_id,
            at=self._clock.now(),
        )
        return version_of(row)

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        answer = await self._database.call(
            "prompts_move_label",
            agent=self._agent,
            prompt=prompt,
            label=label,
            version=version,
            expected=expected,
            after_moves=after_moves,
            at=self._clock.now(),
        )
        if answer.get("missing"):
            raise PromptNotFound(_no_version(prompt, version))
        if not answer["ok"] and answer["version"] != version:
            raise stands_elsewhere(prompt, label, answer["version"], expected)

    async def labels(self, prompt: str) -> Mapping[str, int]:
        return await self._database.call("prompts_labels", agent=self._agent, prompt=prompt)

    async def history(self, prompt: str | None = None) -> tuple[PromptVersion, ...]:
        rows = await self._database.call("prompts_history", agent=self._agent, prompt=prompt, limit=1000)
        return tuple(version_of(row) for row in rows)

    async def moves(self) -> tuple[LabelMove, ...]:
        rows = await self._database.call("prompts_moves", agent=self._agent, limit=1000)
        return tuple(LabelMove.model_validate(row) for row in rows)


def _no_version(prompt: str, version: int) -> str:
    return f"The local registry has no version {version} of {prompt!r}; name one that it has."


def version_of(row: Mapping[str, Any]) -> PromptVersion:
    """A version as the functions of prompts give it; without its text where they leave that out."""
    return PromptVersion(
        prompt=row["prompt"],
        version=row["version"],
        text=row.get("text", ""),
        sha256=row["sha256"],
        metadata=row["metadata"],
        label_moves=row.get("label_moves"),
        created_at=datetime.fromisoformat(row["created_at"]).astimezone(UTC),
    )
