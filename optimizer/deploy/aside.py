"""Where the newest version is what runs, one of ours must not take the place of what somebody else published."""

from __future__ import annotations

from uuid import uuid5

from optimizer.deploy.journal import Journal
from optimizer.errors import PromptNotFound, RegistryConflict
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.registries.port import Registry

_STEP = "step_aside"


async def step_aside(
    journal: Journal, registry: Registry, deployment: Deployment, over: int, published: PromptVersion, what_next: str
) -> None:
    """Does nothing where `published` follows on version `over`, which ran when it was decided.

    Where somebody published in between, their text is published again, so that it runs, and `RegistryConflict` is
    raised; its sentence ends in `what_next`.
    """
    theirs = await _theirs(journal, registry, deployment, over, published)
    if theirs is None:
        return
    what = f"Someone else published version {theirs.version} of {deployment.prompt!r} meanwhile"
    await journal.hold(deployment)
    newest = await registry.current(deployment.prompt, None)
    if newest.version != published.version:
        raise RegistryConflict(f"{what}, and version {newest.version} after it; {what_next}")
    await journal.hold(deployment)
    again = await registry.publish(
        deployment.prompt,
        theirs.text,
        commit_message=f"Ratchet: version {theirs.version} again, published in between",
        metadata={"steps_aside": str(deployment.id), "sha256": theirs.sha256, "base_version": theirs.version},
        deployment_id=uuid5(deployment.id, f"{_STEP} {theirs.version}"),
        base_version=theirs.version,
    )
    raise RegistryConflict(f"{what}: version {again.version} holds that text again; {what_next}")


async def _theirs(
    journal: Journal, registry: Registry, deployment: Deployment, over: int, published: PromptVersion
) -> PromptVersion | None:
    """The newest version in between that is not ours; a number may be of one that was removed."""
    for number in range(published.version - 1, over, -1):
        await journal.hold(deployment)
        try:
            held = await registry.version(deployment.prompt, number)
        except PromptNotFound:
            continue
        if held.sha256 != published.sha256:
            return held
    return None
