"""Registries in which something happens right before or after a call, and what the tests ask afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.errors import RegistryError
from optimizer.records.deployment import Deployment, LabelMove, PromptVersion
from optimizer.records.edits import Edit
from optimizer.records.states import DeploymentState
from optimizer.registries.port import Registry
from tests.builders import Office

MOVES_TEXT = [
    Edit(prompt="playbooks", find="Play 3:", replace="Play 3: moved here, and"),
    Edit(prompt="system", find="Rule 3: keep sentence 3 of the article short, true and to the point.\n", replace=""),
]


class Interfered:
    """A registry in which something happens right before or after a call: a test says what."""

    def __init__(self, inner: Registry) -> None:
        self.inner = inner
        self.calls: list[str] = []

    async def before(self, call: str, prompt: str) -> None:
        """For subclasses."""

    async def after(self, call: str, prompt: str) -> None:
        """For subclasses."""

    async def _meet(self, call: str, prompt: str) -> None:
        self.calls.append(call)
        await self.before(call, prompt)

    async def current(self, prompt: str, label: str | None) -> PromptVersion:
        await self._meet("current", prompt)
        answer = await self.inner.current(prompt, label)
        await self.after("current", prompt)
        return answer

    async def version(self, prompt: str, version: int) -> PromptVersion:
        await self._meet("version", prompt)
        answer = await self.inner.version(prompt, version)
        await self.after("version", prompt)
        return answer

    async def publish(self, prompt: str, text: str, **named: Any) -> PromptVersion:
        await self._meet("publish", prompt)
        answer = await self.inner.publish(prompt, text, **named)
        await self.after("publish", prompt)
        return answer

    async def move_label(
        self, prompt: str, label: str, version: int, *, expected: int | None, after_moves: int | None = None
    ) -> None:
        await self._meet("move_label", prompt)
        await self.inner.move_label(prompt, label, version, expected=expected, after_moves=after_moves)
        await self.after("move_label", prompt)

    async def labels(self, prompt: str) -> Mapping[str, int]:
        return await self.inner.labels(prompt)

    async def history(self, prompt: str | None = None) -> tuple[PromptVersion, ...]:
        return await self.inner.history(prompt)

    async def moves(self) -> tuple[LabelMove, ...]:
        return await self.inner.moves()


class Silent(Interfered):
    """Does not answer the named call for one prompt, so often."""

    def __init__(self, inner: Registry, call: str, prompt: str, times: int) -> None:
        super().__init__(inner)
        self._call, self._prompt, self._times = call, prompt, times

    async def before(self, call: str, prompt: str) -> None:
        if (call, prompt) == (self._call, self._prompt) and self._times > 0:
            self._times -= 1
            raise RegistryError("The registry did not answer within 10 s; try again.")


def states(batch: tuple[Deployment, ...]) -> dict[str, DeploymentState]:
    return {one.prompt: one.state for one in batch}


async def end_leases(office: Office) -> None:
    """As if the time of every lease were over: what a crashed worker leaves behind."""
    for deployment in await office.deployments.newest(office.agent):
        if deployment.worker:
            await office.deployments.release(deployment.batch_id, deployment.worker)
