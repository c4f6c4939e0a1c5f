"""An agent as it is declared, and its prompts as the registry holds them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from optimizer.clock import Clock
from optimizer.errors import InputError
from optimizer.observe.resolve import RegistryVersion, Resolver
from optimizer.prompts.includes import compose_includes
from optimizer.records.base import sha256_of
from optimizer.records.deployment import PromptRef, PromptVersion
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.stores.agents import Agent, AgentStore


@dataclass(frozen=True)
class Prompts:
    """What runs and decisions both need to know of an agent."""

    settings: Settings
    clock: Clock
    agents: AgentStore
    registry_of: Callable[[str], Registry]

    async def declared(self, agent: str) -> Agent:
        """The agent, with what ratchet.toml says of it. Raises `NotFoundError` for one that nobody knows."""
        section = self.settings.file.agents.get(agent)
        if section is None:
            return await self.agents.get(agent)
        return await self.agents.register(
            agent,
            at=self.clock.now(),
            environment=section.environment,
            escalation_tools=section.escalation_tools,
        )

    def refs(self, declared: Agent) -> dict[str, PromptRef]:
        """How the agent loads its prompts: what ratchet.toml says, else what was registered with the import."""
        return {**declared.prompts, **self.configured(declared.agent)}

    def configured(self, agent: str) -> dict[str, PromptRef]:
        return {name: PromptRef(**prompt.model_dump()) for name, prompt in self.settings.agent(agent).prompts.items()}

    async def current(self, agent: str, refs: Mapping[str, PromptRef]) -> dict[str, PromptVersion]:
        """What runs now, by name: the version under the label, or the newest where the agent follows that."""
        registry = self.registry_of(agent)
        return {
            name: await registry.current(name, ref.label if ref.follow == "label" else None)
            for name, ref in refs.items()
        }

    async def resolver(
        self, agent: str, refs: Mapping[str, PromptRef], current: Mapping[str, PromptVersion]
    ) -> Resolver:
        """Maps what traces say about their prompts to versions: numbers, hashes, hashes of composed texts."""
        registry = self.registry_of(agent)
        history = [RegistryVersion(held.prompt, held.version, held.sha256) for held in await registry.history()]
        recent = {name: [held, *await self._before(registry, held)] for name, held in current.items()}
        composed: dict[str, tuple[str, int]] = {}
        for name, ref in refs.items():
            known = {holder: recent[other] for holder, other in ref.includes.items() if other in recent}
            if not known:
                continue
            for outer, *inner in product(recent[name], *known.values()):
                texts = {holder: held.text for holder, held in zip(known, inner, strict=True)}
                try:
                    text = compose_includes(outer.text, texts)
                except InputError:
                    continue  # a version that cannot be composed never ran
                composed.setdefault(sha256_of(text), (name, outer.version))
        return Resolver(history, composed)

    async def _before(self, registry: Registry, held: PromptVersion) -> list[PromptVersion]:
        """The version before, which traffic may still run under."""
        return [await registry.version(held.prompt, held.version - 1)] if held.version > 1 else []
