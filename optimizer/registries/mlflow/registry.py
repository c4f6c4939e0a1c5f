"""`Registry` over MLflow's prompts."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError
from optimizer.prompts.templates import TemplateError
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LabelMove, PromptVersion
from optimizer.registries.conflicts import require_nothing_between, stands_elsewhere
from optimizer.registries.mlflow.client import Mlflow, NotAnswered, Session
from optimizer.registries.mlflow.versions import Held, NewVersion, held_of, new_version

VERSIONS_MAX = 100  # of one prompt, the newest: how far back history and a lost publish are looked for
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")  # what MLflow allows; part of its queries, which have no arguments
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class MlflowRegistry:
    """Implements `Registry` for one agent.

    MLflow has no compare and set. A label is compared right before it is moved, and read back after; a publish is
    compared with the newest version before it. Within one process both are done one at a time for each prompt. Moves
    are not counted there, so a label that left and came back in between is not noticed.
    """

    def __init__(self, mlflow: Mlflow, names: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """`names` gives the agent's prompts: a server may hold those of others."""
        self._mlflow = mlflow
        self._names = names
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        async with self._mlflow.session() as session:
            if label is None:
                newest = await _newest(session, prompt)
                if newest is None:
                    raise PromptNotFound(f"MLflow has no prompt {prompt!r}; check the name, or publish it there.")
                return newest.as_record(prompt)
            # Not by the alias itself: MLflow would take a label such as "latest" or "3" for a version.
            at = (await _labels(session, prompt)).get(label)
            if at is None:
                raise PromptNotFound(
                    f"MLflow has no prompt {prompt!r} under the alias {label!r}; put the alias on the version that the "
                    "agent runs with, or correct its name in ratchet.toml."
                )
            return (await _read(session, prompt, at)).as_record(prompt)

    async def version(self, prompt: str, version: int) -> PromptVersion:
        async with self._mlflow.session() as session:
            return (await _read(session, prompt, version)).as_record(prompt)

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
        sha256 = sha256_of(text)
        async with self._turns[prompt], self._mlflow.session() as session:
            versions = await _versions(session, prompt)
            before = versions[0].version if versions else 0
            held = _of_deployment(versions, deployment_id, sha256)
            if held is None:
                newest = versions[0] if versions else None
                base = newest if base_version is None else await _read(session, prompt, base_version)
                try:
                    new = new_version(
                        text,
                        base,
                        commit_message=commit_message,
                        metadata=metadata,
                        deployment_id=str(deployment_id),
                        after_version=before,
                    )
                except TemplateError as error:
                    where = f"version {base.version} of {prompt!r}" if base else repr(prompt)
                    raise RegistryConflict(f"The text does not fit {where}: {error}") from error
                held = await _publish(session, prompt, new, deployment_id, sha256, is_first=not versions)
            require_nothing_between(prompt, int(held.published.get("after_version", before)), held.version, "alias")
            return held.as_record(prompt)

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        async with self._turns[prompt], self._mlflow.session() as session:
            at = (await _labels(session, prompt)).get(label)
            if at == version:
                return
            if at != expected:
                raise stands_elsewhere(prompt, label, at, expected, "alias")
            lost: NotAnswered | None = None
            try:
                await session.write(
                    f"the alias {label!r} on version {version} of {prompt!r}",
                    lambda mlflow: mlflow.set_prompt_alias(prompt, label, version),
                )
            except NotAnswered as error:
                lost = error
            at = (await _labels(session, prompt)).get(label)
            if at == version:
                return
            if at != expected:
                raise stands_elsewhere(prompt, label, at, version, "alias")
            if lost is not None:
                raise lost
            raise RegistryConflict(
                f"The alias {label!r} of {prompt!r} did not move, though MLflow said so: it stands at "
                f"{f'version {at}' if at else 'no version'}; move it to version {version} in MLflow, or approve the "
                "change again."
            )

    async def labels(self, prompt: str) -> Mapping[str, int]:
        async with self._mlflow.session() as session:
            return await _labels(session, prompt)

    async def history(self, prompt: str | None = None) -> tuple[PromptVersion, ...]:
        names = sorted(await self._names()) if prompt is None else [prompt]
        found: list[PromptVersion] = []
        for name in names:
            async with self._mlflow.session() as session:
                held = await _versions(session, name)
            found += [one.as_record(name).model_copy(update={"text": ""}) for one in held]
        return tuple(sorted(found, key=lambda one: (one.created_at or _LONG_AGO, one.version), reverse=True))

    async def moves(self) -> tuple[LabelMove, ...]:
        """None: MLflow tells where an alias stands, not where it stood."""
        return ()


# ---- reading


async def _read(session: Session, prompt: str, version: int) -> Held:
    what = f"version {version} of {_checked(prompt)!r}"
    return held_of(await session.read(what, lambda mlflow: mlflow.get_prompt_version(prompt, version)), prompt)


async def _versions(session: Session, prompt: str, limit: int = VERSIONS_MAX) -> list[Held]:
    """The newest first; none of a prompt that does not exist."""
    what = f"the prompt {_checked(prompt)!r}"
    try:
        found = await session.read(what, lambda mlflow: mlflow.search_prompt_versions(prompt, limit))
    except PromptNotFound:
        return []
    return [held_of(one, prompt) for one in found]


async def _newest(session: Session, prompt: str) -> Held | None:
    return next(iter(await _versions(session, prompt, 1)), None)


async def _labels(session: Session, prompt: str) -> dict[str, int]:
    """A prompt is a registered model with a mark, and only as such it tells all of its aliases."""
    query = f"name = '{_checked(prompt)}' AND tag.`mlflow.prompt.is_prompt` = 'true'"
    found = await session.read(
        f"the aliases of {prompt!r}", lambda mlflow: mlflow.search_registered_models(query, max_results=1)
    )
    return {str(alias): int(version) for model in found for alias, version in model.aliases.items()}


def _checked(prompt: str) -> str:
    if not _NAME.fullmatch(prompt):
        raise RegistryError(
            f"MLflow cannot hold a prompt named {prompt!r}; use letters, digits, '_', '-' and '.' for its name."
        )
    return prompt


# ---- publishing


def _of_deployment(versions: Iterable[Held], deployment_id: UUID, sha256: str) -> Held | None:
    """The version that this deployment has published already; the first, should lost answers have left more."""
    mine = [one for one in versions if one.published.get("deployment_id") == str(deployment_id)]
    return min((one for one in mine if one.sha256 == sha256), key=lambda one: one.version, default=None)


async def _publish(
    session: Session, prompt: str, new: NewVersion, deployment_id: UUID, sha256: str, *, is_first: bool
) -> Held:
    """Sends it once, and looks for it where the answer is lost."""
    what = f"the new version of {prompt!r}"
    try:
        if is_first:
            await _create(session, prompt)
        return held_of(
            await session.write(what, lambda mlflow: mlflow.create_prompt_version(prompt, **asdict(new))), prompt
        )
    except NotAnswered as error:
        held = _of_deployment(await _versions(session, prompt), deployment_id, sha256)
        if held is None:
            raise NotAnswered(f"{error} The new version is not there yet; should it come, it is recognised.") from error
        return held


async def _create(session: Session, prompt: str) -> None:
    try:
        await session.write(f"the prompt {prompt!r}", lambda mlflow: mlflow.create_prompt(prompt))
    except RegistryConflict:
        return  # it exists
