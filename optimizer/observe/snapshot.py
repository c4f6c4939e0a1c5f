"""The snapshot of a window: fold what is new, merge the rollups, say the facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from optimizer.errors import RatchetError
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
    patience_seconds: float = IDLE_SECONDS_MAX,
) -> Snapshot:
    """Everything measured of one window; with `exact` no wider windows are looked at.

    Raises `NotFoundError` for an unknown agent, and `RatchetError` when another folder held hours of it for longer
    than the patience: facts are complete or there are none. An empty window gives a snapshot with the fact
    `sessions` 0.
    """
    declared = await agents.get(agent)
    resolver = resolver or Resolver()
    spans = [] if exact else [span for span in (WEEK, MONTH) if span > timedelta(hours=window.hours)]
    oldest = min(window.since, *(window.until - span for span in spans)) if spans else window.since
    if await fold_all(rollups, agent, patience_seconds=patience_seconds):
        await _require_folded(rollups, agent, Window(since=oldest - MONTH, until=window.until))
    main = await _look(rollups, agent, window, resolver)
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


async def fold_all(rollups: RollupStore, agent: str | None, *, patience_seconds: float = IDLE_SECONDS_MAX) -> int:
    """Folds until nothing is queued; returns how many hours are left, where it had to stop before.

    Bounded: it stops after twice as many hours as were queued at first (others queue while it works), and
    loses patience with hours that another folder holds.
    """
    hours, folded, idle, wanted = FOLD_HOURS_FIRST, 0, 0.0, None
    while True:
        began = time.monotonic()
        done = await rollups.fold(agent, hours_max=hours)
        seconds = time.monotonic() - began
        wanted = done.hours + done.left if wanted is None else wanted
        folded += done.hours
        if done.left == 0 or folded >= 2 * wanted + FOLD_HOURS_MAX or idle >= patience_seconds:
            return done.left
        if done.hours == 0:
            await asyncio.sleep(IDLE_STEP_SECONDS)
            idle += IDLE_STEP_SECONDS
        elif seconds > FOLD_SECONDS_AIM:
            hours = max(1, hours // 2)
        elif done.hours == hours and seconds < FOLD_SECONDS_AIM / 2:
            hours = min(FOLD_HOURS_MAX, 2 * hours)


async def _require_folded(rollups: RollupStore, agent: str, window: Window) -> None:
    """The edges of a window are read from the traces: only its whole hours have to be folded."""
    since = _hour(window.since + timedelta(hours=1, microseconds=-1))
    until = _hour(window.until)
    queued = await rollups.queued(agent, Window(since=since, until=until)) if since < until else 0
    if queued:
        raise RatchetError(
            f"Another process is still counting the traces of {agent!r} (hours left: {queued}), so the facts would "
            "be incomplete; try again in a minute."
        )


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


async def _look(rollups: RollupStore, agent: str, window: Window, resolver: Resolver) -> Look:
    measures, before = await asyncio.gather(rollups.read(agent, window), rollups.read(agent, window.before(MONTH)))
    return Look(
        span=window.until - window.since,
        window=window,
        measures=resolver.relabel(measures),
        before=resolver.relabel(before),
    )
