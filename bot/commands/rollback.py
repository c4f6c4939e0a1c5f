"""`ratchet rollback`: the last deployment taken back, through the same door as in chat."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from bot.cards.words import safe
from bot.conversation.takeback import batch_of, standing, take_back
from bot.identity import console_actor
from optimizer.approve.door import Said
from optimizer.errors import NotFoundError, RatchetError
from optimizer.records.deployment import Deployment
from optimizer.records.states import LIVE, DeploymentState
from optimizer.settings import load_settings
from optimizer.wiring import open_ratchet


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_rollback(options.agent, options.prompt))


async def _rollback(agent: str, prompt: str | None) -> int:
    async with open_ratchet(load_settings()) as ratchet:
        await ratchet.agents.get(agent)
        await ratchet.decisions.work(agent)  # what a crash left behind may be what is to be taken back
        live = await standing(ratchet, agent)
        newest = next((one for one in live if prompt in (None, one.prompt)), None)
        if newest is None:
            raise NotFoundError(
                f"Nothing of {agent!r} is live that could be taken back; see `ratchet chat`, then history."
            )
        words = f"ratchet rollback{f' --prompt {prompt}' if prompt else ''}"
        said = Said(console_actor(), "console", "command line", words, "rollback")
        refused = await take_back(ratchet, agent, batch_of(live, newest), said)
        if refused is not None:
            raise RatchetError(refused)
        await ratchet.decisions.work(agent)
        await ratchet.watching.watch(agent)
        return _told(await ratchet.deployments.batch(newest.batch_id))


def _told(batch: Sequence[Deployment]) -> int:
    """Raises `RatchetError` with the reason unless nothing of the batch is live any more."""
    for one in batch:
        if one.state is DeploymentState.rolled_back:
            print(f"{safe(one.prompt)} is back on version {one.base_version} (was {one.new_version}).")
    left = [one for one in batch if one.state in LIVE]
    if not left:
        return 0
    failed = [one.rollback["failed"] for one in left if one.rollback is not None and "failed" in one.rollback]
    why = failed[0] if failed else "another process carries it out; see `ratchet chat`, then status."
    raise RatchetError(f"{safe(', '.join(one.prompt for one in left))} was not taken back: {safe(why, 500)}")
