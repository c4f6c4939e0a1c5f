"""What `ratchet doctor` says about how agents load their prompts, and about what is deployed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from bot.cards.watched import standing_watched
from bot.cards.words import Reader
from optimizer.errors import RegistryError, SettingsError
from optimizer.observe.follow import contradictions, evidence, is_as_configured
from optimizer.records.deployment import PromptRef
from optimizer.records.watched import Loading
from optimizer.settings import Settings
from optimizer.stores.agents import Agent
from optimizer.wiring import Ratchet


async def prompt_lines(ratchet: Ratchet, agent: Agent) -> AsyncIterator[str]:
    """Lines about the prompts of one agent. Reads; tells nobody. A registry that does not answer is told elsewhere."""
    slug, prompts = agent.agent, ratchet.prompts
    refs = prompts.refs(agent)
    try:
        resolver = await prompts.resolver(slug, refs, await prompts.current(slug, refs))
        loadings = {one.prompt: one for one in await prompts.loadings(slug, refs, resolver, refs)}
    except (RegistryError, SettingsError) as error:
        yield f"prompts of {slug}: how they are loaded could not be looked at. {error}"
        return
    given = prompts.follow_given(slug)
    for name, ref in refs.items():
        for line in _loaded(slug, name, ref, loadings.get(name), name in given):
            yield line
    deployments = await ratchet.deployments.newest(slug)
    sightings = await ratchet.watching.sightings(slug)
    for line in standing_watched(deployments, sightings, Reader(ratchet.clock.now())):
        yield f"deployments of {slug}: {line.text}"


def reload_line(slug: str, settings: Settings) -> str | None:
    """Whether the agent is told to read its prompts again."""
    hook = settings.agent(slug).reload
    if hook is None:
        return None
    if settings.environment.ratchet_reload_secret is None:
        return f"agents.{slug}: reload: nothing is sent while RATCHET_RELOAD_SECRET is not set; set it here and there"
    address = urlsplit(hook.url)._replace(query="", fragment="").geturl()  # what follows may be a secret
    return f"agents.{slug}: reload: told at {address} after each deployment and rollback, signed"


def _loaded(slug: str, name: str, ref: PromptRef, loading: Loading | None, given: bool) -> Iterator[str]:
    where = f"prompt {name} of {slug}"
    line = f'follow = "{loading.follow if loading else ref.follow}"'
    if loading is not None and loading.follow == "label" and loading.label != ref.label:
        line = f"label = {json.dumps(loading.label)}, {line}"
    place = f"to say so, write in prompts.{name} of [agents.{slug}]: {line}"
    if loading is None:
        if not given:
            yield f"{where}: `follow` is not set, its label {ref.label} is assumed; no trace shows yet how it is loaded"
    elif not is_as_configured(loading, ref):
        (sentence,) = contradictions(slug, [loading], {name: ref}, frozenset({name} if given else ()))
        yield f"{where}: {sentence}; {place}"
    elif given:
        yield f"{where}: its traces agree with `follow` ({evidence(loading, ref)})"
    else:
        yield f"{where}: `follow` is not set; its traces show {ref.follow} ({evidence(loading, ref)}); {place}"
