"""The prompt registry of one agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from optimizer.records.deployment import LabelMove, PromptVersion


class Registry(Protocol):
    """Versions of prompts, and labels that point at them.

    - Versions are numbered from 1 and never change; a published version carries no label.
    - Caching: none. What `current`, `version` and `labels` answer is what the registry holds now.
    - Idempotency: `publish` is once for each deployment. Asked again after a lost answer, it returns the same version,
      known by the deployment's id and the hash of its text. A version that a late publish leaves beside it is in the
      history, and is never labelled.
    - Concurrency: `move_label` compares. It raises `RegistryConflict` when the label stands elsewhere than `expected`,
      and when it did not move though the registry said so (it may be protected). A label that already stands at
      `version` is success. Where the registry itself cannot compare, it is done right before and right after the move.
      `publish` raises `RegistryConflict` when it could not keep somebody else from publishing in between: both
      versions stand, and no label was moved.
    - Errors: `PromptNotFound` for a prompt, version or label that does not exist (a prompt without labels has none:
      `labels` answers `{}`); `RegistryConflict` where trying again cannot help; `RegistryError` for the rest, with the
      cause chained: what was asked for may or may not have been done, and may be asked for again.
    - Time: each call ends well within the lease of a deployment; reads are tried again, a publish is not.
    - Texts come back byte for byte, and `sha256` is that of the text. What a version holds beside it is carried over.
    """

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        """The version under a label; with `label=None` the newest one."""
        ...

    async def version(self, prompt: str, version: int) -> PromptVersion: ...

    async def publish(
        self,
        prompt: str,
        text: str,
        *,
        commit_message: str,
        metadata: Mapping[str, Any],
        deployment_id: UUID,
        base_version: int | None = None,
    ) -> PromptVersion:
        """A new version with this text, the rest as in `base_version` (None: as in the newest, where there is one)."""
        ...

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
