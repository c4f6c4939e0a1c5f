"""The prompt registry of one agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from optimizer.records.deployment import LabelMove, PromptVersion


class Registry(Protocol):
    """Versions of prompts, and labels that point at them.

    - Versions are numbered from 1 and never change; a published version carries no label.
    - `current` and `labels` are read past every cache: what they answer is what the registry holds now.
    - `publish` is idempotent by deployment: asked again after a lost answer, it returns the same version.
    - `move_label` compares: it raises `RegistryConflict` when the label stands elsewhere than `expected`.
      A label that already stands at `version` is success.
    - `PromptNotFound` for a prompt, version or label that does not exist (a prompt without labels has none:
      `labels` answers `{}`); `RegistryError` for the rest, with the cause chained.
    - Texts come back byte for byte, and `sha256` is that of the text.
    """

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        """The version under a label; with `label=None` the newest one."""
        ...

    async def version(self, prompt: str, version: int) -> PromptVersion: ...

    async def publish(
        self, prompt: str, text: str, *, commit_message: str, metadata: Mapping[str, Any], deployment_id: UUID
    ) -> PromptVersion: ...

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        """`after_moves`, as `current` gave it, also refuses a label that left `expected` and came back."""
        ...

    async def labels(self, prompt: str) -> Mapping[str, int]: ...

    async def history(self, prompt: str | None = None) -> tuple[PromptVersion, ...]:
        """Newest first, without texts; of all prompts when none is named."""
        ...

    async def moves(self) -> tuple[LabelMove, ...]:
        """Where labels were put, newest first, as far as the registry knows; of all prompts."""
        ...
