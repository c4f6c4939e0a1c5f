"""From planned to live: check, publish, read back, move the label, read back."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.clock import iso
from optimizer.deploy.aside import step_aside
from optimizer.deploy.back import decided
from optimizer.deploy.described import commit_message, metadata
from optimizer.deploy.journal import Changed, Failed, Journal, Later
from optimizer.errors import PromptNotFound, RegistryConflict, RegistryError
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.records.states import LIVE, DeploymentState
from optimizer.registries.port import Registry
from optimizer.stores.audit import AuditStore

_STEPS_MAX = 20  # of one deployment in one turn: more than any path has


@dataclass(frozen=True)
class Forward:
    """Carries out the deployments of one agent."""

    journal: Journal
    audit: AuditStore
    registry: Registry

    async def carry_out(self, deployment: Deployment, broken: Deployment | None) -> None:
        """From where the deployment stands to live, or to failed with its reason.

        `broken` is a deployment of the same item that did not go live: both or neither. What is live already though it
        must not be is recorded as live, so that it is taken back.
        """
        try:
            for _ in range(_STEPS_MAX):
                if broken is not None and not await self._is_live(deployment):
                    raise Failed(not_together(broken))
                if decided(deployment) and not await self._is_live(deployment):
                    await self._halt(deployment)
                    return
                if deployment.state is DeploymentState.planned:
                    await self._current(deployment)
                    deployment = await self.journal.record(
                        deployment, "publish", "before", to=DeploymentState.publishing
                    )
                elif deployment.state is DeploymentState.publishing:
                    deployment = await self._publish(deployment)
                elif deployment.state is DeploymentState.published:
                    await self._current(deployment)
                    deployment = await self.journal.record(
                        deployment, "move_label", "before", to=DeploymentState.verifying
                    )
                elif deployment.state is DeploymentState.verifying:
                    deployment = await self._go_live(deployment)
                else:
                    return
        except RegistryError as error:
            # Every step leaves the deployment as it is until it is done, so `deployment` is the one that failed.
            await self.journal.try_again(deployment, _step(deployment), error)
            await self._give_up(deployment, not_together(broken) if broken else str(error))
        except Failed as error:
            await self._fail(deployment, str(error), overtaken=isinstance(error, Changed))

    async def _is_live(self, deployment: Deployment) -> bool:
        """Whether the agent gets the new text already, with or without a record of it."""
        if deployment.state in LIVE:
            return True
        if not _may_be_live(deployment):
            return False
        await self.journal.hold(deployment)
        try:
            return _is_new(deployment, await self.registry.current(deployment.prompt, _label(deployment)))
        except PromptNotFound:
            return False

    async def _current(self, deployment: Deployment) -> PromptVersion:
        """What the agent gets now. Raises `Failed` unless it is the approved base, or already the new text."""
        await self.journal.hold(deployment)
        held = await self.registry.current(deployment.prompt, _label(deployment))
        if held.sha256 != deployment.base_sha256 and not _is_new(deployment, held):
            if deployment.new_version is not None and _label(deployment) is None:
                raise Changed(
                    f"version {deployment.new_version} of {deployment.prompt!r} ran until someone else published "
                    f"version {held.version}; look at both, then {_again(deployment)}"
                )
            raise Changed(
                f"{deployment.prompt!r} was changed in the registry after the approval (now version "
                f"{held.version}); {_again(deployment)}"
            )
        return held

    async def _publish(self, deployment: Deployment) -> Deployment:
        if sha256_of(deployment.text) != deployment.sha256:
            raise Failed("the stored text does not have the hash that was approved.")
        held = await self._current(deployment)
        # What a version holds beside its text is taken from the one that runs, which may be later than the base.
        over = deployment.base_version if _is_new(deployment, held) else held.version
        if deployment.kind == "to_version" and _label(deployment) is not None:
            return await self._find(deployment, over)
        head = await self.audit.head(deployment.agent)
        await self.journal.hold(deployment)
        try:
            published = await self.registry.publish(
                deployment.prompt,
                deployment.text,
                commit_message=commit_message(deployment),
                metadata=metadata(deployment, base_version=over, audit_head=head),
                deployment_id=deployment.id,
                base_version=over,
            )
        except RegistryConflict as error:
            published = await self._on_top(deployment, error)
        over = int(published.metadata.get("base_version", over))
        if _label(deployment) is None:
            try:
                await step_aside(self.journal, self.registry, deployment, over, published, _again(deployment))
            except RegistryConflict as error:
                raise Changed(str(error)) from error
        await self.journal.hold(deployment)
        _same_text(deployment, await self.registry.version(deployment.prompt, published.version))
        return await self.journal.record(
            deployment,
            "publish",
            "after",
            to=DeploymentState.published,
            detail={"version": published.version, "over": over},
            values={"new_version": published.version},
        )

    async def _on_top(self, deployment: Deployment, conflict: RegistryConflict) -> PromptVersion:
        """Our version, where it runs though the registry refused it. Raises `Changed` where it does not."""
        if _label(deployment) is None:
            await self.journal.hold(deployment)
            newest = await self.registry.current(deployment.prompt, None)
            if newest.sha256 == deployment.sha256:
                return newest
        raise Changed(str(conflict)) from conflict

    async def _go_live(self, deployment: Deployment) -> Deployment:
        assert deployment.new_version is not None  # published before: the state machine says so
        label = _label(deployment)
        if label is not None:
            held = await self._current(deployment)
            await self._same_frame(deployment, held)
            await self.journal.hold(deployment)
            # Stale is what has another text, whatever its number: so the label moves from where it was read.
            # And a worker that was stopped here for longer than its lease finds that the label has moved since.
            try:
                await self.registry.move_label(
                    deployment.prompt,
                    label,
                    deployment.new_version,
                    expected=held.version,
                    after_moves=held.label_moves,
                )
            except RegistryConflict:
                await self._current(deployment)  # says so where somebody else moved it to another text
                raise
        _same_text(deployment, await self._current(deployment))
        return await self.journal.record(
            deployment,
            "move_label",
            "after",
            to=DeploymentState.live,
            values={"live_at": iso(self.journal.clock.now()), "passed": _passed(deployment)},
            items=await self._whole(deployment),
            kind="deployment_live",
        )

    async def _same_frame(self, deployment: Deployment, held: PromptVersion) -> None:
        """Raises `Failed` where somebody changed what stands beside the text since the new version took it over."""
        if not held.frame_sha256 or held.version in (deployment.new_version, deployment.over_version):
            return
        await self.journal.hold(deployment)
        over = await self.registry.version(deployment.prompt, deployment.over_version)
        if over.frame_sha256 != held.frame_sha256:
            raise Changed(
                f"{deployment.prompt!r} was changed in the registry beside its text (now version {held.version}) while "
                f"it was deployed; {_again(deployment)}"
            )

    async def _find(self, deployment: Deployment, over: int) -> Deployment:
        """The version that the label goes back to is there already: nothing is published."""
        assert deployment.target_version is not None  # that is what the kind says
        await self.journal.hold(deployment)
        found = await self.registry.version(deployment.prompt, deployment.target_version)
        _same_text(deployment, found)
        return await self.journal.record(
            deployment,
            "find_version",
            "after",
            to=DeploymentState.published,
            detail={"version": found.version, "over": over},
            values={"new_version": found.version},
        )

    async def _whole(self, deployment: Deployment) -> list[dict[str, str]]:
        """What becomes of the items with this deployment: an item of two prompts waits for the other one."""
        batch = await self.journal.store.batch(deployment.batch_id)
        waiting = {item for one in batch if one.id != deployment.id and one.state not in LIVE for item in one.touched}
        moves = [(deployment.items, "approved", "deployed"), (deployment.undone, "deployed", "failed")]
        return [
            {"id": str(item), "from": before, "to": after}
            for items, before, after in moves
            for item in items
            if item not in waiting
        ]

    async def _give_up(self, deployment: Deployment, reason: str) -> None:
        """To failed, or to halted where someone stopped it. Raises `Later` where it is live, or nobody can tell."""
        try:
            is_live = await self._is_live(deployment)
        except RegistryError as error:
            raise Later(str(error)) from error
        if is_live:
            raise Later(f"{deployment.prompt!r} runs with the new text; that is recorded when the registry answers.")
        if decided(deployment):
            await self._halt(deployment)
        else:
            await self._fail(deployment, reason)

    async def _halt(self, deployment: Deployment) -> None:
        """Someone stopped it when it might have been live already, and it is not."""
        rollback = deployment.rollback or {}
        await self._end(deployment, DeploymentState.halted, str(rollback["reason"]), actor=rollback["actor"])

    async def _fail(self, deployment: Deployment, reason: str, *, overtaken: bool = False) -> None:
        await self._end(deployment, DeploymentState.failed, reason, overtaken=overtaken)

    async def _end(
        self,
        deployment: Deployment,
        to: DeploymentState,
        reason: str,
        *,
        overtaken: bool = False,
        actor: str | None = None,
    ) -> None:
        items_to = "stale" if overtaken else "failed"
        await self.journal.record(
            deployment,
            _step(deployment),
            "failed",
            to=to,
            detail={"reason": reason, **({"overtaken": True} if overtaken else {})},
            values={"reason": reason, "ended_at": iso(self.journal.clock.now())},
            items=[{"id": str(item), "from": "approved", "to": items_to} for item in deployment.items],
            kind=f"deployment_{to.value}",
            actor=actor,
        )


def _passed(deployment: Deployment) -> str:
    """Why the deployments whose place it takes are over."""
    if deployment.kind == "to_version":
        return f"{deployment.actor} went back to version {deployment.target_version}"
    return f"{deployment.actor} took back all that was in it"


def _again(deployment: Deployment) -> str:
    """What to do where the prompt is not what was approved any more."""
    return "run the optimization again." if deployment.kind == "change" else "say again what is to be taken back."


def not_together(broken: Deployment) -> str:
    """Why a deployment must not be live, in a sentence."""
    why = f": {broken.reason}" if broken.reason else "."
    return f"{broken.prompt!r}, which belongs to the same item, is not live{why}"


def _label(deployment: Deployment) -> str | None:
    return deployment.label if deployment.follow == "label" else None


def _step(deployment: Deployment) -> str:
    return "publish" if deployment.new_version is None else "move_label"


def _may_be_live(deployment: Deployment) -> bool:
    """Whether a label was about to move to it, or, where the newest version is what runs, it to be published."""
    if deployment.state is DeploymentState.verifying:
        return True
    at_once = (DeploymentState.publishing, DeploymentState.published)
    return deployment.follow == "latest" and deployment.state in at_once


def _is_new(deployment: Deployment, held: PromptVersion) -> bool:
    """Whether a crash came between going live and writing it down."""
    if deployment.new_version is not None:
        return held.version == deployment.new_version
    return held.metadata.get("deployment_id") == str(deployment.id) and held.sha256 == deployment.sha256


def _same_text(deployment: Deployment, held: PromptVersion) -> None:
    if held.sha256 != deployment.sha256 or sha256_of(held.text) != deployment.sha256:
        raise Failed(f"version {held.version} of {held.prompt!r} reads back with another text than was approved.")
