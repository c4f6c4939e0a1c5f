"""The snapshot of a window: fold what is new, merge the rollups, say the facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

from optimizer.observe.declare import spec_characters, tool_names
from optimizer.observe.facts import facts_of
from optimizer.observe.ratio import characters_per_token
from optimizer.observe.resolve import Resolver
from optimizer.records.snapshot import MONTH, WEEK, Look, PromptText, Snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore

# One call of a fold stays well inside the 8 s that a hosted database gives it.
FOLD_HOURS_FIRST = 48
FOLD_HOURS_MAX = 720
FOLD_SECONDS_AIM = 2.0
# How long to wait for hours that another folder holds.
IDLE_SECONDS_MAX = 15.0
IDLE_STEP_SECONDS = 0.1


async def take_snapshot(
    agents: AgentStore,
    rollups: RollupStore,
    agent: str,
    window: Window,
    *,
    exact: bool,
    prompts: Mapping[str, PromptText],
    resolver: Resolver | None = None,
) -> Snapshot:
    """Everything measured of one window; with `exact` no wider windows are looked at.

    Raises `NotFoundError` for an unknown agent. An empty window gives a snapshot with the fact `sessions` 0.
    """
    declared = await agents.get(agent)
    await fold_all(rollups, agent)
    resolver = resolver or Resolver()
    main = await _look(rollups, agent, window, resolver)
    spans = [] if exact else [span for span in (WEEK, MONTH) if span > timedelta(hours=window.hours)]
    wider = [await _look(rollups, agent, window.last(span), resolver) for span in spans]
    learned_from = wider[-1].measures if wider else main.measures
    ratio = characters_per_token(learned_from, prompts, spec_characters(declared.tools))
    tools = tool_names(declared.tools)
    return Snapshot(
        agent=agent,
        environment=declared.environment,
        window=window,
        main=main,
        wider=tuple(wider),
        prompts=prompts,
        tools=tools,
        escalation_tools=declared.escalation_tools,
        characters_per_token=ratio,
        tokens_estimated=True,
        facts=facts_of(main.measures, main.before, tools=tools, prompts=prompts, characters_per_token=ratio),
    )


async def fold_all(rollups: RollupStore, agent: str | None) -> int:
    """Folds until nothing is queued; returns how many hours it folded.

    Bounded: it stops after twice as many hours as were queued at first (others queue while it works), and
    waits 15 seconds at most for hours that another folder holds.
    """
    hours, folded, idle, wanted = FOLD_HOURS_FIRST, 0, 0.0, None
    while idle < IDLE_SECONDS_MAX:
        began = time.monotonic()
        done = await rollups.fold(agent, hours_max=hours)
        seconds = time.monotonic() - began
        wanted = done.hours + done.left if wanted is None else wanted
        folded += done.hours
        if done.left == 0 or folded >= 2 * wanted + FOLD_HOURS_MAX:
            break
        if done.hours == 0:
            await asyncio.sleep(IDLE_STEP_SECONDS)
            idle += IDLE_STEP_SECONDS
        elif seconds > FOLD_SECONDS_AIM:
            hours = max(1, hours // 2)
        elif done.hours == hours and seconds < FOLD_SECONDS_AIM / 2:
            hours = min(FOLD_HOURS_MAX, 2 * hours)
    return folded


async def _look(rollups: RollupStore, agent: str, window: Window, resolver: Resolver) -> Look:
    measures, before = await asyncio.gather(rollups.read(agent, window), rollups.read(agent, window.before(MONTH)))
    return Look(
        span=window.until - window.since,
        window=window,
        measures=resolver.relabel(measures),
        before=resolver.relabel(before),
    )
