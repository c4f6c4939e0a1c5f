"""From live to rolled back: the versions before get their places again, all of a decision or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from optimizer.clock import iso
from optimizer.deploy.aside import step_aside
from optimizer.deploy.described import going_back
from optimizer.deploy.journal import Journal
from optimizer.errors import RegistryConflict, RegistryError
from optimizer.records.deployment import Deployment, PromptVersion, Step
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry

_ITSELF = "ratchet"
_STEP = "roll_back"  # before a label moves back; after, or failed, when the rollback has ended for this deployment
_TOGETHER = "roll_back_together"  # after: every label is back; failed: none is to be
_AGAIN = "forward_again"  # the way back was taken for nothing
_ASK = "ask_registry"


@dataclass(frozen=True)
class Back:
    """Takes back the deployments of one agent."""

    journal: Journal
    registry: Registry

    async def roll_back(self, group: Sequence[Deployment], rollback: Mapping[str, Any]) -> None:
        """Takes back all of `group`, in its order, or none; what a crashed worker began is finished first, alone.

        `rollback` holds `actor` and `reason`, for those that nobody decided by name. What cannot be taken back is
        told, and is not tried again. What it comes to is written down on one deployment, the last to end, before the
        first ends: nothing that happens in between turns it around.
        """
        group = list(group)
        anchor = next((one for one in group if _outcome(one) is not None), None)
        if anchor is None:
            anchor = next((one for one in reversed(group) if decided(one)), group[-1])
            in_the_way = await self._move_all(group, rollback)
            anchor = await self.journal.record(
                _fresh(group, anchor),
                _TOGETHER,
                "failed" if in_the_way else "after",
                detail={"deployments": [str(one.id) for one in group], **in_the_way},
            )
        outcome = _outcome(anchor)
        assert outcome is not None  # just written, or found
        group = [one for one in group if str(one.id) in outcome.detail["deployments"] and one.id != anchor.id]
        group.append(anchor)
        if outcome.phase == "failed":
            await self._give_up(group, rollback, outcome.detail)
            return
        for one in group:
            await self._end(one, rollback)

    async def _move_all(self, group: list[Deployment], rollback: Mapping[str, Any]) -> dict[str, str]:
        """Empty when every label is back, else which one is in the way, and why. `group` is brought up to date.

        Nothing moves before all were looked at.
        """
        at = 0
        try:
            held: list[PromptVersion] = []
            for at in range(len(group)):
                held.append(await self._held(group[at]))
            for at in range(len(group)):
                if held[at].sha256 != group[at].base_sha256:
                    before = dict(_rollback_of(group[at], rollback))
                    group[at] = await self.journal.record(group[at], _STEP, "before", detail=before)
                    await self._move(group[at], held[at])
            for at in range(len(group)):
                now = await self._held(group[at])
                if now.sha256 != group[at].base_sha256:
                    raise _moved_on(group[at], now)
        except RegistryError as error:
            await self.journal.try_again(group[at], _ASK, error)
            alone = len(group) == 1
            why = str(error) if alone else f"all go back or none, and {group[at].prompt!r} could not: {error}"
            return {"in_the_way": str(group[at].id), "reason": why}
        return {}

    async def _held(self, deployment: Deployment) -> PromptVersion:
        """What the agent gets now. Raises `RegistryConflict` unless it is the deployed text, or the base already."""
        await self.journal.hold(deployment)
        held = await self.registry.current(deployment.prompt, _label(deployment))
        if held.sha256 not in (deployment.sha256, deployment.base_sha256):
            raise _moved_on(deployment, held)
        await self._same_frame(deployment, held)
        return held

    async def _same_frame(self, deployment: Deployment, held: PromptVersion) -> None:
        """Raises `RegistryConflict` where the way back would also undo what somebody changed beside the text."""
        known = (deployment.new_version, deployment.over_version)
        if not held.frame_sha256 or held.version in known or deployment.new_version is None or not _label(deployment):
            return
        await self.journal.hold(deployment)
        new = await self.registry.version(deployment.prompt, deployment.new_version)
        if new.frame_sha256 != held.frame_sha256:
            raise _moved_on(deployment, held)

    async def _move(self, deployment: Deployment, held: PromptVersion) -> None:
        label = _label(deployment)
        await self.journal.hold(deployment)
        if label is not None:
            await self.registry.move_label(
                deployment.prompt,
                label,
                deployment.over_version,
                expected=held.version,
                after_moves=held.label_moves,
            )
            return
        # Where the newest version is what runs, going back means publishing the old text again.
        base = await self.registry.version(deployment.prompt, deployment.base_version)
        message, metadata = going_back(deployment, deployment.rollback or {})
        await self.journal.hold(deployment)
        try:
            published = await self.registry.publish(
                deployment.prompt,
                base.text,
                commit_message=message,
                metadata=metadata,
                # A second id of the same deployment, the same at every try.
                deployment_id=uuid5(deployment.id, _STEP),
                base_version=held.version,
            )
        except RegistryConflict:
            await self.journal.hold(deployment)
            published = await self.registry.current(deployment.prompt, None)
            if published.sha256 != base.sha256:
                raise
        await step_aside(self.journal, self.registry, deployment, held.version, published, "look again.")

    async def _give_up(
        self, group: list[Deployment], rollback: Mapping[str, Any], in_the_way: Mapping[str, Any]
    ) -> None:
        """Leaves all of `group` live, and tells it once, with the last."""
        went_back = {one.id for one in group if _went_back(one) and str(one.id) != in_the_way["in_the_way"]}
        stuck: dict[UUID, str] = {}
        for at, one in enumerate(group):
            if one.id in went_back and one.follow == "label":
                group[at], why = await self._forward_again(one)
                if why:
                    stuck[one.id] = why
        for one in group:
            last = one is group[-1]
            if one.id in went_back and one.follow != "label":
                # The old text is the newest version by now; publishing the new one again is for a person to approve.
                await self._end(one, rollback)
            elif one.id in stuck or decided(one) or last:
                reason = stuck.get(one.id, str(in_the_way["reason"]))
                await self._fail(one, rollback, reason, told=last or one.id in stuck)

    async def _forward_again(self, deployment: Deployment) -> tuple[Deployment, str]:
        """Puts the label on the new version again; with why not, where it stands elsewhere than it was put."""
        deployment = await self.journal.record(deployment, _AGAIN, "before")
        assert deployment.new_version is not None  # live before: the state machine says so
        try:
            await self.journal.hold(deployment)
            await self.registry.move_label(
                deployment.prompt, deployment.label, deployment.new_version, expected=deployment.over_version
            )
        except RegistryError as error:
            await self.journal.try_again(deployment, _ASK, error)
            return deployment, f"it went back alone, and could not go forward again: {error}"
        return await self.journal.record(deployment, _AGAIN, "after"), ""

    async def _end(self, deployment: Deployment, rollback: Mapping[str, Any]) -> None:
        rollback = _rollback_of(deployment, rollback)
        reason = str(rollback.get("reason", ""))
        await self.journal.record(
            deployment,
            _STEP,
            "after",
            to=DeploymentState.rolled_back,
            detail={"reason": reason},
            values={"reason": reason, "rollback": dict(rollback), "ended_at": iso(self.journal.clock.now())},
            items=[
                {"id": str(item), "from": before, "to": after}
                for items, before, after in (
                    (deployment.items, "deployed", "failed"),
                    (deployment.items, "approved", "failed"),
                    (deployment.undone, "failed", "deployed"),
                )
                for item in items
            ],
            kind="deployment_rolled_back",
            actor=str(rollback.get("actor", _ITSELF)),
        )

    async def _fail(self, deployment: Deployment, rollback: Mapping[str, Any], reason: str, *, told: bool) -> None:
        await self.journal.record(
            deployment,
            _STEP,
            "failed",
            detail={"reason": reason},
            values={"rollback": {**_rollback_of(deployment, rollback), "failed": reason}},
            kind="rollback_failed" if told else None,
            actor=_ITSELF,  # nobody did this: the one who asked for it has to hear of it too
        )


def decided(deployment: Deployment) -> bool:
    """Whether someone decided that it goes back, and that is still to be done."""
    return deployment.rollback is not None and "failed" not in deployment.rollback


def _rollback_of(deployment: Deployment, rollback: Mapping[str, Any]) -> Mapping[str, Any]:
    return deployment.rollback if deployment.rollback is not None and decided(deployment) else rollback


def _fresh(group: Sequence[Deployment], deployment: Deployment) -> Deployment:
    return next(one for one in group if one.id == deployment.id)


def _outcome(deployment: Deployment) -> Step | None:
    """What a rollback came to that has not ended yet."""
    last = _last(deployment, _STEP, _TOGETHER)
    return last if last is not None and last.step == _TOGETHER else None


def _went_back(deployment: Deployment) -> bool:
    """Whether this rollback moved its label, or was about to."""
    last = _last(deployment, _STEP, _AGAIN)
    return last is not None and last.phase == "before"


def _last(deployment: Deployment, *names: str) -> Step | None:
    return next((step for step in reversed(deployment.steps) if step.step in names), None)


def _label(deployment: Deployment) -> str | None:
    return deployment.label if deployment.follow == "label" else None


def _moved_on(deployment: Deployment, held: PromptVersion) -> RegistryConflict:
    return RegistryConflict(
        f"{deployment.prompt!r} was to go back to version {deployment.over_version} and stands at version "
        f"{held.version}: someone else changed it; look again."
    )
