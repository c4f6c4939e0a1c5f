"""Which deployment brought each sentence of a prompt: its versions walked, with what is known of each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from optimizer.approve.provenance import provenance_of
from optimizer.deploy.described import deployment_in, provenance_in
from optimizer.errors import InputError, NotFoundError
from optimizer.loop.prompts import Prompts
from optimizer.prompts.blame import Origin, Source, blame, likeness
from optimizer.records.blame import Blamed, BlamedGone, BlamedSentence, Brought
from optimizer.records.deployment import Approval, Deployment, PromptRef, PromptVersion, Provenance
from optimizer.records.edits import Edit
from optimizer.records.states import LIVE
from optimizer.registries.port import Registry
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.sessions import SessionStore

VERSIONS_MAX = 100  # how far back is looked
CHARACTERS_MAX = 2_000_000  # of one text
_CHARACTERS_IN_ALL_MAX = 10_000_000  # of those that are compared: some seconds
_READS_AT_ONCE = 8
_UNDONE_KINDS = ("without", "to_version")


class _Published(NamedTuple):
    """One version, and the deployment that published it: as the database has it, or as the registry tells."""

    held: PromptVersion
    deployment: Deployment | None = None
    provenance: Provenance = Provenance()
    is_ours: bool = False
    restores: bool = False
    over: int | None = None  # the version whose place it took

    @property
    def stands(self) -> bool:
        return self.deployment is None or self.deployment.state in LIVE

    @property
    def edits(self) -> list[tuple[UUID, Edit]]:
        """What made it, with the items; nothing for what takes something back."""
        items = () if self.restores else self.provenance.items
        return [(item.id, edit) for item in items for edit in item.edits]


@dataclass(frozen=True)
class Blaming:
    """Blames the prompts of one database's agents."""

    prompts: Prompts
    deployments: DeploymentStore
    sessions: SessionStore

    async def blame(self, agent: str, prompt: str, version: int | None = None) -> Blamed:
        """Of the version that runs, or of the one that is named, over its newest `VERSIONS_MAX` versions.

        Raises `NotFoundError` for a prompt that the agent does not have, `RegistryError` for a version that the
        registry does not have, `InputError` for a text that is too long.
        """
        ref = _ref(agent, prompt, self.prompts.refs(await self.prompts.declared(agent)))
        registry = self.prompts.registry_of(agent)
        running = await registry.current(prompt, ref.label if ref.follow == "label" else None)
        target = running if version is None else await registry.version(prompt, version)
        older = [one for one in await registry.history(prompt) if one.version < target.version]
        recent = [target, *sorted(older, key=lambda one: one.version, reverse=True)][:VERSIONS_MAX]
        published = await self._published(agent, prompt, await _with_texts(registry, recent))
        line, is_cut = _line(target.version, published)
        sentences, gone = _told(line)
        named = {one.version for one in (*sentences, *gone)} | {line[-1].held.version}
        first = next((one.held.version for one in line if one.is_ours), None)
        labels = await registry.labels(prompt)
        return Blamed(
            agent=agent,
            prompt=prompt,
            version=target.version,
            text_of=line[-1].held.version,
            labels=tuple(sorted(label for label, stands in labels.items() if stands == target.version)),
            is_running=None if ref.follow == "pinned" else running.version == target.version,
            oldest=line[0].held.version,
            has_older=is_cut or len(older) >= VERSIONS_MAX,
            sentences=sentences,
            gone=gone,
            versions=tuple(_brought(one, first) for one in reversed(line) if one.held.version in named),
        )

    async def _published(self, agent: str, prompt: str, versions: Sequence[PromptVersion]) -> dict[int, _Published]:
        deployments = await self.deployments.of_prompt(agent, prompt)
        by_id = {one.id: one for one in deployments}
        # A registry that drops our metadata: then the number of the version is all there is.
        by_version = {one.new_version: one for one in reversed(deployments) if one.kind != "to_version"}
        found: dict[int, _Published] = {}
        for held in versions:
            id_ = deployment_in(held.metadata)
            known = by_id.get(id_) if id_ else None
            if known is None and id_ is None and (same := by_version.get(held.version)) and same.sha256 == held.sha256:
                known = same
            found[held.version] = await self._told(held, known)
        return found

    async def _told(self, held: PromptVersion, deployment: Deployment | None) -> _Published:
        said = held.metadata
        if deployment is not None:
            return _Published(
                held,
                deployment,
                await self._provenance(deployment),
                is_ours=True,
                restores=deployment.kind in _UNDONE_KINDS,
                over=deployment.over_version,
            )
        rolls_back = "rolls_back" in said
        is_ours = rolls_back or deployment_in(said) is not None
        over = said.get("base_version")
        return _Published(
            held,
            provenance=(provenance_in(said) if is_ours else None) or Provenance(),
            is_ours=is_ours,
            restores=rolls_back or said.get("kind") in _UNDONE_KINDS,
            over=over if is_ours and isinstance(over, int) else None,
        )

    async def _provenance(self, deployment: Deployment) -> Provenance:
        """As it was written with the decision; of a deployment from before that was written, out of its session."""
        if deployment.provenance.items or deployment.session_id is None:
            return deployment.provenance
        session = await self.sessions.read(deployment.session_id)
        if session is None:
            return deployment.provenance
        actor, at = deployment.actor, deployment.planned_at
        return provenance_of(session, deployment, [Approval(person=actor, actor=actor, words="", at=at)], {})


def _ref(agent: str, prompt: str, refs: Mapping[str, PromptRef]) -> PromptRef:
    if prompt in refs:
        return refs[prompt]
    known = ", ".join(repr(name) for name in sorted(refs)) or "none yet"
    raise NotFoundError(f"{agent!r} has no prompt {prompt!r}; name one of those that it has: {known}.")


async def _with_texts(registry: Registry, versions: Sequence[PromptVersion]) -> list[PromptVersion]:
    """The versions with their texts; one that several share is read once."""
    places = asyncio.Semaphore(_READS_AT_ONCE)
    texts = {one.sha256: one.text for one in versions if one.text}

    async def read(one: PromptVersion) -> None:
        async with places:
            texts[one.sha256] = (await registry.version(one.prompt, one.version)).text

    missing = {one.sha256: one for one in versions if one.sha256 not in texts}
    # All of them end before the first error is raised: none outlives the registry's connection.
    answers = await asyncio.gather(*map(read, missing.values()), return_exceptions=True)
    for answer in answers:
        if answer is not None:
            raise answer
    for one in versions:
        if len(texts[one.sha256]) > CHARACTERS_MAX:
            raise InputError(
                f"Version {one.version} of {one.prompt!r} has more than {CHARACTERS_MAX:,} characters, which is more "
                "than can be compared; look at its history in the registry."
            )
    return [one.model_copy(update={"text": texts[one.sha256]}) for one in versions]


def _line(target: int, published: Mapping[int, _Published]) -> tuple[list[_Published], bool]:
    """The versions that the target was made from, oldest first, each from the one before it; whether more are left."""
    oldest_with = {published[number].held.sha256: number for number in sorted(published, reverse=True)}
    line: list[_Published] = []
    left_characters = _CHARACTERS_IN_ALL_MAX
    at: int | None = target
    while at is not None:
        # What has the same text went back to it, or never left it.
        one = published[oldest_with[published[at].held.sha256]]
        left_characters -= len(one.held.text)
        if line and left_characters < 0:
            return line[::-1], True
        line.append(one)
        at = _before(one.held.version, published)
    return line[::-1], False


def _before(number: int, published: Mapping[int, _Published]) -> int | None:
    """The version that this one was made from: as a deployment says, else the most alike of those that may be."""
    one = published[number]
    over = one.over
    if over is not None and over < number and over in published:
        return over
    may_be: list[int] = []
    other = max((earlier for earlier in published if earlier < number), default=None)
    while other is not None:
        may_be.append(other)
        # Of one that was taken back somebody may have gone on from what ran instead.
        over = None if published[other].stands else published[other].over
        other = over if over is not None and over < other and over in published else None
    return max(may_be, key=lambda other: likeness(one.held.text, published[other].held.text), default=None)


def _told(line: Sequence[_Published]) -> tuple[tuple[BlamedSentence, ...], tuple[BlamedGone, ...]]:
    """The sentences of the last one, and what is gone from it."""
    edits = {one.held.version: one.edits for one in line}
    whole = {one.held.version: tuple(item.id for item in one.provenance.items) for one in line}

    def items(origin: Origin) -> tuple[UUID, ...]:
        own = (edits[origin.version][place][0] for place in origin.edits)
        return tuple(dict.fromkeys(own)) or whole[origin.version]

    found = blame(
        [
            Source(one.held.version, one.held.text, tuple(edit for _, edit in edits[one.held.version]), one.restores)
            for one in line
        ]
    )
    return (
        tuple(
            BlamedSentence(text=one.text, version=one.origin.version, items=items(one.origin))
            for one in found.sentences
        ),
        tuple(
            BlamedGone(before=one.before, text=one.text, version=one.origin.version, items=items(one.origin))
            for one in found.gone
        ),
    )


def _brought(one: _Published, first: int | None) -> Brought:
    version, deployment = one.held.version, one.deployment
    by_hand = "base" if first is None or version < first else "hand"
    said = deployment_in(one.held.metadata)
    return Brought(
        version=version,
        by="ratchet" if one.is_ours else by_hand,
        published_at=one.held.created_at,
        deployment_id=deployment.id if deployment else said,
        kind=deployment.kind if deployment else "change",
        state=deployment.state if deployment else None,
        live_at=deployment.live_at if deployment else None,
        ended_at=deployment.ended_at if deployment else None,
        provenance=one.provenance,
        verdict=deployment.verdict if deployment else None,
    )
