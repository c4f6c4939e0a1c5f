"""Back to a version, or without some items: planned from what the registry holds, decided, and done by the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve.door import Said
from optimizer.approve.people import People
from optimizer.clock import Clock, iso
from optimizer.deploy.ways_back import Leg, NoWay, WayBack, live_items, needed_by, standing_on, to_version, without
from optimizer.errors import NotFoundError, PromptNotFound, UsageError
from optimizer.loop.prompts import Prompts
from optimizer.records.deployment import Approval, Deployment, PromptRef, Provenance, ProvenItem
from optimizer.records.session import Item
from optimizer.records.states import LIVE
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.sessions import SessionStore

DEPLOYMENTS_MAX = 100


@dataclass(frozen=True)
class Scene:
    """What ways back of one agent are planned from."""

    refs: Mapping[str, PromptRef]
    deployments: Sequence[Deployment]
    items: Mapping[UUID, Item]  # all that stand in what stands


@dataclass(frozen=True)
class WaysBack:
    """The ways back that are deployments of their own, for all agents of one database."""

    prompts: Prompts
    sessions: SessionStore
    deployments: DeploymentStore
    audit: AuditStore
    people_of: Callable[[str], People]
    clock: Clock

    async def to_version(self, agent: str, prompt: str, version: int) -> WayBack | NoWay:
        """Back to a version of one prompt by its number.

        Where an item that leaves stands in another prompt too, that prompt is composed without it: both or neither.
        Raises `NotFoundError` for a prompt that the agent does not have, or a version that does not exist.
        """
        scene = await self._scene(agent)
        if prompt not in scene.refs:
            known = ", ".join(repr(name) for name in sorted(scene.refs))
            raise NotFoundError(f"{agent!r} has no prompt {prompt!r}; it has {known or 'none'}.")
        registry, ref = self.prompts.registry_of(agent), scene.refs[prompt]
        current = await registry.current(prompt, ref.label if ref.follow == "label" else None)
        try:
            target = await registry.version(prompt, version)
        except PromptNotFound as error:
            raise NotFoundError(f"{prompt!r} has no version {version}; it runs v{current.version}.") from error
        leg = to_version(target, current, ref, scene.deployments)
        if isinstance(leg, NoWay):
            return leg
        needed = _needed(scene, frozenset(leg.undone))
        if needed is not None:
            return needed
        others = await self._legs(agent, scene, frozenset(leg.undone), but=prompt)
        return others if isinstance(others, NoWay) else WayBack((leg, *others))

    async def without(self, agent: str, leaving: frozenset[UUID]) -> WayBack | NoWay:
        """The texts that run now without these items, which have to be live."""
        scene = await self._scene(agent)
        live = live_items(scene.deployments)
        if leaving - live:
            return NoWay("That is not live")
        needed = _needed(scene, leaving)
        if needed is not None:
            return needed
        legs = await self._legs(agent, scene, leaving)
        return legs if isinstance(legs, NoWay) else WayBack(tuple(sorted(legs, key=_gains_first)))

    async def go(self, agent: str, way: WayBack, said: Said, *, question: UUID | None = None) -> UUID | None:
        """Decides it; the worker does it. Returns the batch; None when someone was faster.

        Raises `UsageError` for someone who is not listed.
        """
        people = self.people_of(agent)
        if not people.may_take_back(said.actor):
            raise UsageError(f"{said.actor!r} may not take back deployments of {agent!r}; ask {people.to_ask}.")
        at, batch_id = self.clock.now(), uuid4()
        approval = Approval(person=people.person(said.actor), actor=said.actor, words=said.words, at=at)
        known = await self.deployments.newest(agent, DEPLOYMENTS_MAX)
        rows = [
            _row(leg, known, approval) | {"batch_id": str(batch_id), "ordinal": ordinal}
            for ordinal, leg in enumerate(way.legs)
        ]
        named = [_named(leg, known) for leg in way.legs]
        gone = await self.deployments.go_back(
            agent,
            rows,
            question=question,
            notices=[
                {
                    "kind": "rollback_decided",
                    "session_id": None,
                    "actor": said.actor,
                    "body": {"deployments": named},
                }
            ],
            audit=audit_body("rollback", at=iso(at), **vars(said), deployments=named),
            at=at,
        )
        return batch_id if gone else None

    async def in_the_way(self, agent: str, batch: Sequence[Deployment]) -> NoWay | None:
        """Why deployments are not to be taken back as they are: something else runs in the place of one of them.

        That may have the very text of it: what took a later item back has, and is what put the text there.
        """
        registry, known = self.prompts.registry_of(agent), await self.deployments.newest(agent, DEPLOYMENTS_MAX)
        for one in batch:
            now = await registry.current(one.prompt, one.label if one.follow == "label" else None)
            last = next(iter(standing_on(one.prompt, known)), one)
            if now.sha256 == one.sha256:
                if last.id == one.id:
                    continue
                not_last = f"{one.prompt} v{one.new_version} is not what went live last, so nothing was done"
                return NoWay(f"{not_last}; take back what came later first.")
            runs = f"{one.prompt} runs v{now.version} by now, not v{one.new_version}, so nothing was done"
            if last.sha256 == now.sha256:
                return NoWay(f"{runs}; take back what came later first.")
            base = await registry.version(one.prompt, one.base_version)
            return NoWay(f"{runs}; what someone else wrote would be lost", one.prompt, now.text, base.text)
        return None

    async def _legs(
        self, agent: str, scene: Scene, leaving: frozenset[UUID], but: str | None = None
    ) -> list[Leg] | NoWay:
        """One for each prompt in which items that leave are live, all or none."""
        registry = self.prompts.registry_of(agent)
        legs: list[Leg] = []
        for prompt in sorted({one.prompt for one in scene.deployments if one.stands and leaving & set(one.items)}):
            if prompt == but or prompt not in scene.refs or not leaving & live_items(scene.deployments, prompt):
                continue
            ref = scene.refs[prompt]
            current = await registry.current(prompt, ref.label if ref.follow == "label" else None)
            bases: dict[UUID, str] = {}
            for one in standing_on(prompt, scene.deployments):
                if leaving & set(one.items):
                    bases[one.id] = (await registry.version(prompt, one.base_version)).text
            leg = without(prompt, leaving, current, ref, scene.deployments, scene.items, bases)
            if isinstance(leg, NoWay):
                return leg
            legs.append(leg)
        return legs

    async def _scene(self, agent: str) -> Scene:
        refs = self.prompts.refs(await self.prompts.declared(agent))
        deployments = await self.deployments.newest(agent, DEPLOYMENTS_MAX)
        sessions = {one.session_id for one in deployments if one.stands and one.items and one.session_id}
        read = [await self.sessions.read(id_) for id_ in sessions]
        items = {item.id: item for session in read if session is not None for item in session.items}
        return Scene(refs, deployments, items)


def _needed(scene: Scene, leaving: frozenset[UUID]) -> NoWay | None:
    """Why these items cannot leave by themselves; None where nothing that stays needs them."""
    needing = needed_by(leaving, scene.items.values(), live_items(scene.deployments))
    if not needing:
        return None
    named = ", ".join(str(one.n) for one in needing)
    those = f"Item {named} needs" if len(needing) == 1 else f"Items {named} need"
    return NoWay(f"{those} what would leave, and would stay", instead=leaving | {one.id for one in needing})


def _gains_first(leg: Leg) -> tuple[int, str]:
    """The prompt that gains text goes first, so that no text is missing in between."""
    return len(leg.current.text) - len(leg.text), leg.prompt


def _named(leg: Leg, known: Iterable[Deployment]) -> dict[str, Any]:
    return {
        "prompt": leg.prompt,
        "version": leg.current.version,
        "kind": leg.kind,
        "target_version": leg.target_version,
        "undone": [str(id_) for id_ in leg.undone],
        "passes": [str(id_) for id_ in leg.passes],
        "items": sorted(item.n for item in _proven(leg, known)),
    }


def _brought(leg: Leg, known: Iterable[Deployment]) -> list[Deployment]:
    """The deployments that brought what leaves."""
    return [one for one in known if one.prompt == leg.prompt and one.state in LIVE and set(one.items) & set(leg.undone)]


def _proven(leg: Leg, known: Iterable[Deployment]) -> tuple[ProvenItem, ...]:
    """The items that leave, as they were approved."""
    items = {item.id: item for one in _brought(leg, known) for item in one.provenance.items}
    return tuple(items[id_] for id_ in leg.undone if id_ in items)


def _row(leg: Leg, known: Sequence[Deployment], approval: Approval) -> dict[str, Any]:
    """One deployment as it is stored."""
    sessions = {one.session_id for one in _brought(leg, known)}
    session_id = sessions.pop() if len(sessions) == 1 else None
    provenance = Provenance(session_id=session_id, items=_proven(leg, known), approvals=(approval,))
    return {
        "id": str(uuid4()),
        "session_id": str(session_id) if session_id else None,
        "prompt": leg.prompt,
        "label": leg.ref.label,
        "follow": leg.ref.follow,
        "actor": approval.actor,
        "base_version": leg.current.version,
        "base_sha256": leg.current.sha256,
        "text": leg.text,
        "sha256": leg.sha256,
        "provenance": provenance.model_dump(mode="json"),
        "kind": leg.kind,
        "target_version": leg.target_version,
        "undone": [str(id_) for id_ in leg.undone],
        "passes": [str(id_) for id_ in leg.passes],
    }
