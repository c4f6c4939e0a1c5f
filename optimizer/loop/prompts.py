"""An agent as it is declared, and its prompts as the registry holds them now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

from optimizer.clock import Clock
from optimizer.errors import InputError
from optimizer.observe.appearance import EVE, Publication, appearances, cuts_of, publications
from optimizer.observe.follow import Versions, contradictions, follow_windows, loading_of
from optimizer.observe.resolve import Appearance, Composed, RegistryVersion, Resolver
from optimizer.prompts.includes import compose_includes
from optimizer.records.base import sha256_of
from optimizer.records.deployment import Deployment, LabelMove, PromptRef, PromptVersion
from optimizer.records.snapshot import MONTH, WEEK
from optimizer.records.traced import Segment, Traced
from optimizer.records.watched import Loading
from optimizer.records.window import Window
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.stores.agents import Agent, AgentStore
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.references import ReferenceStore
from optimizer.stores.traces import TraceStore
from optimizer.stores.watching import WatchingStore

DEPLOYMENTS_MAX = 50
PUBLICATIONS_MAX = 4  # of each prompt, the newest: for those before them, references that nobody knows stay unknown
VERSIONS_MAX = 8  # of each prompt that is composed with others
LOADED_TRACES = 200  # of each span without a change: enough to tell how a prompt is loaded
COMPOSED_MAX = 512  # texts of one prompt with its includes


@dataclass(frozen=True)
class Prompts:
    """What runs and decisions both need to know of an agent."""

    settings: Settings
    clock: Clock
    agents: AgentStore
    registry_of: Callable[[str], Registry]
    deployments: DeploymentStore
    references: ReferenceStore
    traces: TraceStore
    watching: WatchingStore

    async def declared(self, agent: str) -> Agent:
        """The agent, with what ratchet.toml says of it. Raises `NotFoundError` for one that nobody knows."""
        section = self.settings.file.agents.get(agent)
        if section is None:
            return await self.agents.get(agent)
        # Where the owner's table says the same things, a default must not win over it.
        only_written = self.settings.file.agent_config is not None
        said = section.model_dump(include={"environment", "escalation_tools"}, exclude_unset=only_written)
        return await self.agents.register(agent, at=self.clock.now(), **said)

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
        """Maps what traces of the last 30 days say about their prompts to versions. Reads folded hours."""
        registry = self.registry_of(agent)
        history = await registry.history()
        deployments = await self.deployments.newest(agent, DEPLOYMENTS_MAX)
        known = Resolver(
            versions=[RegistryVersion(held.prompt, held.version, held.sha256, held.created_at) for held in history],
            moves=[*_with_deployed(await registry.moves(), deployments), *_latest_moves(refs, history)],
            main=_main_of(refs),
        )
        now = self.clock.now()
        published = {name: publications(name, deployments, now)[-PUBLICATIONS_MAX:] for name in refs}
        segments = await self.references.read(
            agent, cuts_of([one for many in published.values() for one in many], now - MONTH, now)
        )
        in_use = frozenset(said for segment in segments for said in segment.references)
        if not all(known.knows(*said) for said in in_use):
            known = replace(known, composed=await self._composed(registry, refs, current, history))
        found = [
            await self._appearances(agent, name, many, segments, known)
            for name, many in published.items()
            if any(not known.knows(*said) for said in in_use if said[0] in _names(name, known.main))
        ]
        return replace(known, appearances=[one for many in found for one in many], in_use=in_use)

    async def traced(
        self, agent: str, refs: Mapping[str, PromptRef], resolver: Resolver, names: Iterable[str]
    ) -> dict[str, Traced]:
        """What the traces of the last 7 days say about these prompts: whether a deployment could be told apart."""
        now = self.clock.now()
        spans = resolver.spans(Window(since=now - WEEK, until=now))
        segments = await self.references.read(agent, [spans[0].since, *(span.until for span in spans)])
        return {name: resolver.traced(name, refs[name].label, segments, WEEK.days) for name in names if name in refs}

    async def loadings(
        self, agent: str, refs: Mapping[str, PromptRef], resolver: Resolver, names: Iterable[str]
    ) -> tuple[Loading, ...]:
        """How these prompts are loaded, as the traces of the last 30 days show it; nothing where they do not."""
        now, found = self.clock.now(), list[Loading | None]()
        for name in sorted(set(names) & set(refs)):
            standing = await self.registry_of(agent).labels(name)
            versions = Versions.of(name, refs[name], resolver, standing)
            windows = follow_windows(versions, now - MONTH, now)
            spans = await self.watching.named(agent, windows, traces_max=LOADED_TRACES)
            found.append(loading_of(versions, spans, resolver))
        return tuple(one for one in found if one is not None)

    async def misread(
        self, agent: str, refs: Mapping[str, PromptRef], resolver: Resolver, names: Iterable[str]
    ) -> tuple[str, ...]:
        """A sentence for each of these prompts that is loaded otherwise than deploying it assumes."""
        loadings = await self.loadings(agent, refs, resolver, names)
        return contradictions(agent, loadings, refs, self.follow_given(agent))

    def follow_given(self, agent: str) -> frozenset[str]:
        """The prompts of which ratchet.toml says how they are loaded; of the others the label is assumed."""
        prompts = self.settings.agent(agent).prompts
        return frozenset(name for name, prompt in prompts.items() if prompt.follow_given)

    async def _appearances(
        self, agent: str, name: str, published: Sequence[Publication], segments: Sequence[Segment], known: Resolver
    ) -> tuple[Appearance, ...]:
        eves = [Window(since=one.live_at - EVE, until=one.live_at) for one in published]
        ran_before = {eve.until: (await self.traces.first_under(agent, eve)).keys() for eve in eves}
        names = _names(name, known.main)

        def unknown(reference: str, window: Window) -> bool:
            return all(known.resolve(said, reference, window) is None for said in names)

        return appearances(published, segments, ran_before, unknown, names)

    async def _composed(
        self,
        registry: Registry,
        refs: Mapping[str, PromptRef],
        current: Mapping[str, PromptVersion],
        history: Sequence[PromptVersion],
    ) -> list[Composed]:
        """The texts that the agent may have sent: the newest versions of each prompt with those of its includes."""
        found: list[Composed] = []
        texts: dict[tuple[str, int], PromptVersion] = {(held.prompt, held.version): held for held in current.values()}
        for name, ref in refs.items():
            known = {holder: other for holder, other in ref.includes.items() if other in current}
            prompts = [name, *dict.fromkeys(known.values())]
            if not known:
                continue
            depth = next(n for n in range(VERSIONS_MAX, 0, -1) if n ** len(prompts) <= COMPOSED_MAX or n == 1)
            for versions in product(*(_recent(current[prompt], history, depth) for prompt in prompts)):
                chosen = dict(zip(prompts, versions, strict=True))
                for key in chosen.items():
                    texts[key] = texts[key] if key in texts else await registry.version(*key)
                parts = {holder: texts[other, chosen[other]].text for holder, other in known.items()}
                try:
                    text = compose_includes(texts[name, chosen[name]].text, parts)
                except InputError:
                    continue  # a version that cannot be composed never ran
                version = chosen.pop(name)
                found.append(Composed(sha256_of(text), name, version, chosen))
        return found


def _recent(current: PromptVersion, history: Sequence[PromptVersion], depth: int) -> list[int]:
    """The version that is current, and the newest others."""
    others = sorted((one.version for one in history if one.prompt == current.prompt), reverse=True)
    return list(dict.fromkeys([current.version, *others]))[:depth]


def _with_deployed(moves: Sequence[LabelMove], deployments: Sequence[Deployment]) -> list[LabelMove]:
    """The moves that the registry knows, and before them those that deployments made."""
    earliest: dict[tuple[str, str], datetime] = {}
    for move in moves:
        earliest[move.prompt, move.label] = min(move.moved_at, earliest.get((move.prompt, move.label), move.moved_at))
    made = [
        LabelMove(prompt=one.prompt, label=one.label, version=version, moved_at=at)
        for one in deployments
        for version, at in ((one.new_version, one.live_at), (one.base_version, one.live_at and one.ended_at))
        if one.follow == "label"
        and version is not None
        and at is not None
        and (version == one.new_version or not one.was_passed)  # then a later deployment moved it, elsewhere
    ]
    never = datetime.max.replace(tzinfo=UTC)
    return [*(one for one in made if one.moved_at < earliest.get((one.prompt, one.label), never)), *moves]


def _latest_moves(refs: Mapping[str, PromptRef], history: Sequence[PromptVersion]) -> list[LabelMove]:
    """Where an agent loads the latest version, "latest" is a label that every new version moves."""
    return [
        LabelMove(prompt=one.prompt, label="latest", version=one.version, moved_at=one.created_at)
        for one in history
        if one.created_at is not None and one.prompt in refs and refs[one.prompt].follow == "latest"
    ]


def _main_of(refs: Mapping[str, PromptRef]) -> str | None:
    """The prompt that a reference without a name means: the only one that no other includes."""
    included = {other for ref in refs.values() for other in ref.includes.values()}
    roots = [name for name in refs if name not in included]
    return roots[0] if len(roots) == 1 else None


def _names(prompt: str, main: str | None) -> tuple[str, ...]:
    """Under which names traces speak of the prompt."""
    return (prompt, "") if prompt == main else (prompt,)
