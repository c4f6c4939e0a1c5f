"""`ratchet rollback`: the last deployment taken back, through the same door as in chat."""

from __future__ import annotations

import argparse
import asyncio

from bot.identity import console_actor
from optimizer.approve.door import Said
from optimizer.errors import NotFoundError, RatchetError
from optimizer.records.states import LIVE, DeploymentState
from optimizer.settings import load_settings
from optimizer.wiring import open_ratchet


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_rollback(options.agent, options.prompt))


async def _rollback(agent: str, prompt: str | None) -> int:
    async with open_ratchet(load_settings()) as ratchet:
        await ratchet.agents.get(agent)
        newest = await ratchet.deployments.newest(agent)
        live = [one for one in newest if one.state in LIVE and prompt in (None, one.prompt)]
        if not live:
            raise NotFoundError(
                f"Nothing of {agent!r} is live that could be taken back; see `ratchet chat`, then history."
            )
        batch = [one for one in live if one.batch_id == live[0].batch_id]
        words = f"ratchet rollback{f' --prompt {prompt}' if prompt else ''}"
        said = Said(console_actor(), "console", "command line", words, "rollback")
        if not await ratchet.decisions.take_back(agent, batch, said):
            raise RatchetError("Someone else changed this deployment just now; look again and repeat.")
        await ratchet.decisions.work(agent)
        for one in await ratchet.deployments.batch(batch[0].batch_id):
            if one.state is DeploymentState.rolled_back:
                print(f"{one.prompt} is back on version {one.base_version} (was {one.new_version}).")
        return 0
