"""`Registry` over a PromptLayer workspace."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError
from optimizer.prompts.templates import TemplateError
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LabelMove, PromptVersion
from optimizer.registries.conflicts import require_nothing_between, stands_elsewhere
from optimizer.registries.promptlayer.api import Api, NotAnswered, Session
from optimizer.registries.promptlayer.versions import Held, LabelHeld, held_of, labels_of, publish_body

VERSIONS_MAX = 100  # of one prompt, the newest: how far back history and a lost publish are looked for
_AT_ONCE = 8
_HISTORY_CALLS = 4  # a history may take as long as so many calls
_KNOWN_MAX = 1000  # versions in memory
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class PromptLayerRegistry:
    """Implements `Registry` for one agent; the name of a prompt there is `prefix` and its name here.

    PromptLayer has no compare and set. A label is compared right before it is moved, and read back after; a publish is
    compared with the newest version before it. Within one process both are done one at a time for each prompt. Moves
    are not counted there, so a label that left and came back in between is not noticed.
    """

    def __init__(self, api: Api, names: Callable[[], Awaitable[Iterable[str]]], prefix: str = "") -> None:
        """`names` gives the agent's prompts: a workspace may hold those of others."""
        self._api = api
        self._names = names
        self._prefix = prefix
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Versions never change. The number of the prompt is part of the key: one that is made anew begins at 1 again.
        self._known: dict[tuple[int, int], Held] = {}

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        async with self._api.session() as session:
            if label is None:
                return (await self._read(session, prompt)).as_record(prompt)
            # Not by the label itself: where it splits traffic, PromptLayer answers with any of its versions.
            stands = (await self._labels(session, prompt)).get(label)
            if stands is None:
                raise PromptNotFound(
                    f"PromptLayer has no prompt {self._name(prompt)!r} under the label {label!r}; put the label on the "
                    "version that the agent runs with, or correct its name in ratchet.toml."
                )
            return (await self._read(session, prompt, stands.prompt_version_number)).as_record(prompt)

    async def version(self, prompt: str, version: int) -> PromptVersion:
        async with self._api.session() as session:
            return (await self._read(session, prompt, version)).as_record(prompt)

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
        async with self._turns[prompt], self._api.session() as session:
            newest = await self._newest(session, prompt)
            held = await self._of_deployment(session, prompt, newest, 0, deployment_id, sha256)
            if held is None:
                base = newest if base_version is None else await self._read(session, prompt, base_version)
                try:
                    body = publish_body(
                        self._name(prompt),
                        text,
                        base,
                        commit_message=commit_message,
                        metadata=metadata,
                        deployment_id=str(deployment_id),
                        after_version=newest.version if newest else 0,
                    )
                except TemplateError as error:
                    where = f"version {base.version} of {prompt!r}" if base else repr(prompt)
                    raise RegistryConflict(f"The text does not fit {where}: {error}") from error
                held = await self._publish(
                    session, prompt, body, newest.version if newest else 0, deployment_id, sha256
                )
            before = int(held.published.get("after_version", newest.version if newest else 0))
            require_nothing_between(prompt, before, held.version, "label")
            return held.as_record(prompt)

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        async with self._turns[prompt], self._api.session() as session:
            target = await self._read(session, prompt, version)
            stands = (await self._labels(session, prompt)).get(label)
            at = stands.prompt_version_number if stands else None
            if at == version:
                return
            if at != expected:
                raise stands_elsewhere(prompt, label, at, expected)
            what, number = f"the label {label!r} of {prompt!r}", {"prompt_version_number": version}
            lost: NotAnswered | None = None
            try:
                if stands is None:
                    await session.write("POST", f"/prompts/{target.id}/label", what, {**number, "name": label})
                else:
                    await session.write("PATCH", f"/prompt-labels/{stands.release_label_id}", what, number)
            except NotAnswered as error:
                lost = error
            await self._require_moved(session, prompt, label, version, expected, lost)

    async def labels(self, prompt: str) -> Mapping[str, int]:
        async with self._api.session() as session:
            found = await self._labels(session, prompt)
        return {label: held.prompt_version_number for label, held in found.items()}

    async def history(self, prompt: str | None = None) -> tuple[PromptVersion, ...]:
        names = sorted(await self._names()) if prompt is None else [prompt]
        found: list[PromptVersion] = []
        for name in names:
            async with self._api.session(calls=_HISTORY_CALLS) as session:
                newest = await self._newest(session, name)
                if newest is not None:
                    held = await self._versions(session, name, newest, 0)
                    found += [one.as_record(name).model_copy(update={"text": ""}) for one in held]
        return tuple(sorted(found, key=lambda one: (one.created_at or _LONG_AGO, one.version), reverse=True))

    async def moves(self) -> tuple[LabelMove, ...]:
        """None: PromptLayer tells where a label stands, not where it stood."""
        return ()

    # ---- reading

    def _name(self, prompt: str) -> str:
        return f"{self._prefix}{prompt}"

    def _path(self, prompt: str) -> str:
        return f"/prompt-templates/{quote(self._name(prompt), safe='')}"

    async def _read(self, session: Session, prompt: str, version: int | None = None) -> Held:
        """A version (None: the newest), with its snippets as they are written: published again, they stay snippets."""
        what = (
            f"the prompt {self._name(prompt)!r}" if version is None else f"version {version} of {self._name(prompt)!r}"
        )
        query: dict[str, str | int] = {"resolve_snippets": "false", "include_llm_kwargs": "false"}
        if version is not None:
            query["version"] = version
        held = held_of(await session.read(self._path(prompt), what, **query), self._name(prompt), version)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[held.id, held.version] = held
        return held

    async def _newest(self, session: Session, prompt: str, number: int | None = None) -> Held | None:
        """The newest version (or the one that is known to be); None where there is none."""
        try:
            return await self._read(session, prompt, number)
        except PromptNotFound:
            return None

    async def _labels(self, session: Session, prompt: str) -> dict[str, LabelHeld]:
        name = self._name(prompt)
        try:
            return labels_of(await session.read(f"{self._path(prompt)}/labels", f"the labels of {name!r}"), name)
        except PromptNotFound:
            return {}

    async def _versions(self, session: Session, prompt: str, newest: Held, after: int) -> list[Held]:
        """The versions above `after`, oldest first: there is no list of them, so each is asked for once."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> Held | None:
            known = self._known.get((newest.id, number))
            if known is not None:
                return known
            async with places:
                try:
                    return await self._read(session, prompt, number)
                except PromptNotFound:
                    return None  # removed

        lowest = max(after, newest.version - VERSIONS_MAX)
        numbers = range(lowest + 1, newest.version + 1)
        # All of them end before the first error is raised: none outlives its connection.
        found = await asyncio.gather(*map(one, numbers), return_exceptions=True)
        for held in found:
            if isinstance(held, BaseException):
                raise held
        return [held for held in found if isinstance(held, Held)]

    # ---- publishing

    async def _of_deployment(
        self, session: Session, prompt: str, newest: Held | None, after: int, deployment_id: UUID, sha256: str
    ) -> Held | None:
        """The version that this deployment has published already; the first, should lost answers have left more."""
        versions = await self._versions(session, prompt, newest, after) if newest else []
        mine = (one for one in versions if one.published.get("deployment_id") == str(deployment_id))
        return next((one for one in mine if one.sha256 == sha256), None)

    async def _publish(
        self, session: Session, prompt: str, body: Mapping[str, Any], before: int, deployment_id: UUID, sha256: str
    ) -> Held:
        """Sends it once. What is there afterwards counts, not the answer, which may be lost or wrong."""
        lost: NotAnswered | None = None
        number: Any = None
        try:
            answer = await session.write("POST", "/rest/prompt-templates", f"the new version of {prompt!r}", body)
            number = answer.get("version_number")
        except NotAnswered as error:
            lost = error
        newest = await self._newest(session, prompt, number if isinstance(number, int) else None)
        held = await self._of_deployment(session, prompt, newest, before, deployment_id, sha256)
        if held is None and newest is not None and newest.version == number and number > before:
            if newest.sha256 == sha256:
                return newest  # a server that drops our metadata: then its answer is all there is
            raise RegistryConflict(
                f"PromptLayer holds version {number} of {prompt!r} with another text than was sent, and would alter it "
                "again; compare that version with the approved text, and look at what the agent runs with."
            )
        if held is None and lost is not None:
            raise NotAnswered(f"{lost} The new version is not there yet; should it come, it is recognised.") from lost
        if held is None:
            raise RegistryError(
                f"PromptLayer said that it published {prompt!r}, and holds no version of it with the text that was "
                "sent; look at the prompt there."
            )
        return held

    async def _require_moved(
        self, session: Session, prompt: str, label: str, version: int, expected: int | None, lost: NotAnswered | None
    ) -> None:
        """Reads the label until it stands at the version: that a move was accepted says little."""
        for wait_seconds in (*self._api.waits_seconds, None):
            stands = (await self._labels(session, prompt)).get(label)
            at = stands.prompt_version_number if stands else None
            if at == version:
                return
            if at != expected:
                raise stands_elsewhere(prompt, label, at, version)
            if wait_seconds is not None:
                await asyncio.sleep(wait_seconds)
        if lost is not None:
            raise lost
        where = f"stands at version {expected} still" if expected else "does not exist yet"
        raise RegistryConflict(
            f"The label {label!r} of {prompt!r} did not move (it may be protected): it {where}; move it to version "
            f"{version} in PromptLayer, or lift its protection and approve the change again."
        )
