"""Where the newest version is what runs, one of ours must not take the place of what somebody else published."""

from __future__ import annotations

from uuid import uuid5

from optimizer.deploy.journal import Changed, Journal
from optimizer.errors import PromptNotFound
from optimizer.records.deployment import Deployment, PromptVersion
from optimizer.registries.port import Registry

_STEP = "step_aside"


async def step_aside(
    journal: Journal, registry: Registry, deployment: Deployment, over: int, published: PromptVersion
) -> None:
    """Does nothing where `published` follows on version `over`, for which it was approved.

    Where somebody published in between, their text is published again, so that it runs, and `Changed` is raised.
    """
    theirs = await _theirs(journal, registry, deployment, over, published)
    if theirs is None:
        return
    what = f"Someone else published version {theirs.version} of {deployment.prompt!r} while it was deployed"
    await journal.hold(deployment)
    newest = await registry.current(deployment.prompt, None)
    if newest.version != published.version:
        raise Changed(f"{what}, and version {newest.version} after it; run the optimization again.")
    await journal.hold(deployment)
    again = await registry.publish(
        deployment.prompt,
        theirs.text,
        commit_message=f"Ratchet: version {theirs.version} again, published in between",
        metadata={"steps_aside": str(deployment.id), "sha256": theirs.sha256, "base_version": theirs.version},
        deployment_id=uuid5(deployment.id, _STEP),
        base_version=theirs.version,
    )
    raise Changed(f"{what}: version {again.version} holds that text again; run the optimization again.")


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
        if held.sha256 != deployment.sha256:
            return held
    return None
