"""Fetches what a plan rests on beside the prompts: recent requests, words of traces, earlier deployments, policies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rapidfuzz.distance import Indel

from optimizer.deploy.grounds import Changed, Grounds, Request, Said
from optimizer.loop.matching import matches
from optimizer.loop.prompts import Prompts
from optimizer.loop.sharing import served_too
from optimizer.prompts.edits import compose, problems
from optimizer.prompts.taint import Run, Search, added_runs
from optimizer.records.deployment import PromptRef, PromptVersion
from optimizer.records.session import Item, Session
from optimizer.records.snapshot import WEEK
from optimizer.records.states import LIVE, UNDER_WAY
from optimizer.records.window import Window
from optimizer.stores.traces import Inputs, Spoken

REQUESTS_MAX = 20  # distinct ones, of each prompt
TRACES_MAX = 400  # the newest of the last 7 days, and those that the items name
CHARACTERS_MAX = 4_000_000  # of what they say: about a second's work
_SAMPLES_MAX = 25  # sessions that the items name
_INPUTS_MAX = 200  # of all prompts together
_AHEAD = timedelta(days=1)  # an agent's clock may be fast

_WHAT = {
    "user_message": "a user message",
    "assistant_message": "an answer of the agent",
    "tool_call": "a call of a tool",
    "tool_result": "a tool's result",
    "error": "an error",
    "llm_call": "the inputs of a request",
}


@dataclass(frozen=True)
class Evidence:
    """Looks things up for the plans of one agent after the other; changes nothing."""

    prompts: Prompts

    async def grounds(
        self,
        session: Session,
        items: Sequence[Item],
        current: Mapping[str, PromptVersion],
        refs: Mapping[str, PromptRef],
    ) -> Grounds:
        """For a plan of these items. `current` and `refs` are all prompts of the agent."""
        agent = session.agent
        touched = {prompt for item in items for prompt in item.prompts if prompt in current and prompt in refs}
        if not touched:
            return Grounds()
        protected = self.prompts.settings.agent(agent).policy.protected
        return Grounds(
            requests=await self._requests(agent, touched),
            said=await self._said(session, items, current),
            matched=await matches(protected, {name: current[name].text for name in touched}),
            changed=await self._changed(session, touched),
            also=await served_too(self.prompts, agent, touched, current, refs),
        )

    async def _requests(self, agent: str, touched: Iterable[str]) -> dict[str, tuple[Request, ...]]:
        recent = await self.prompts.traces.inputs(
            agent, self.prompts.clock.now() - WEEK, traces_max=TRACES_MAX, limit=_INPUTS_MAX
        )
        return {name: tuple(_of(name, recent))[:REQUESTS_MAX] for name in touched}

    async def _said(
        self, session: Session, items: Sequence[Item], current: Mapping[str, PromptVersion]
    ) -> Mapping[Run, Said]:
        """Where the traces say, word for word, what the items add."""
        runs = _added(items, current)
        if not runs:
            return {}
        search, seen, left = Search[Said](runs), set[str](), CHARACTERS_MAX
        samples = dict.fromkeys(
            id_ for item in items for name in item.facts if (fact := session.fact(name)) for id_ in fact.samples
        )
        traces, now = self.prompts.traces, self.prompts.clock.now()
        if samples:
            spoken = await traces.spoken_in(session.agent, list(samples)[:_SAMPLES_MAX])
            left -= await asyncio.to_thread(_look, search, seen, spoken)
        async for page in traces.spoken(session.agent, Window(since=now - WEEK, until=now + _AHEAD), TRACES_MAX):
            left -= await asyncio.to_thread(_look, search, seen, page)
            if left <= 0:
                break
        return search.found

    async def _changed(self, session: Session, touched: Iterable[str]) -> dict[str, Changed]:
        """What deployments of this session changed of the prompts already, and what those had before."""
        deployments = await self.prompts.deployments.newest(session.agent)
        own = [one for one in deployments if one.session_id == session.id and one.state in LIVE | UNDER_WAY]
        registry = self.prompts.registry_of(session.agent)
        found: dict[str, Changed] = {}
        for one in sorted(own, key=lambda one: one.base_version):
            if one.prompt in touched and one.kind == "change":
                base = (await registry.version(one.prompt, one.base_version)).text
                so_far = found.get(one.prompt, Changed(0, len(base)))
                found[one.prompt] = Changed(so_far.characters + Indel.distance(base, one.text), so_far.of_characters)
        return found


def _of(prompt: str, recent: Sequence[Inputs]) -> Iterator[Request]:
    """The requests that name the prompt; one that names none may be one of any."""
    for one in recent:
        if not one.prompts or prompt in one.prompts or "" in one.prompts:
            yield Request(one.session_id, one.inputs)


def _added(items: Sequence[Item], current: Mapping[str, PromptVersion]) -> frozenset[Run]:
    """The runs of words that each item by itself adds to what the agent's prompts say."""
    known = [held.text for held in current.values()]
    found: set[Run] = set()
    for item in items:
        for prompt in item.prompts:
            own = [edit for edit in item.edits if edit.prompt == prompt]
            if prompt in current and not problems(current[prompt].text, own):
                found |= added_runs(compose(current[prompt].text, own), known)
    return frozenset(found)


def _look(search: Search[Said], seen: set[str], page: Sequence[Spoken]) -> int:
    """Looks into what was not seen before; returns how many characters that were."""
    characters = 0
    for one in page:
        if one.text not in seen:
            seen.add(one.text)
            characters += len(one.text)
            search.look_into(one.text, Said(_what(one), one.session_id))
    return characters


def _what(one: Spoken) -> str:
    return "the arguments of a call" if one.field == "args" else _WHAT.get(one.type, "a text")
