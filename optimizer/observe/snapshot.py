"""The snapshot of a window: fold what is new, merge the rollups, say the facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from optimizer.errors import CallTooLong, RatchetError
from optimizer.observe.declare import spec_characters, tool_names
from optimizer.observe.facts import facts_of
from optimizer.observe.ratio import characters_per_token
from optimizer.observe.resolve import Resolver
from optimizer.records.snapshot import MONTH, WEEK, Look, PromptText, Slot, Snapshot
from optimizer.records.verdict import Told
from optimizer.records.window import Window
from optimizer.stores.agents import AgentStore
from optimizer.stores.rollups import RollupStore

# One call of a fold stays well inside the 8 s that a hosted database gives it, and works on what its memory holds:
# one or two thousand agent sessions fold fastest.
FOLD_HOURS_FIRST = 1
FOLD_HOURS_MAX = 720
FOLD_SECONDS_AIM = 0.2
FOLD_GROWTH_MAX = 4
FOLD_DAYS_MAX = 10
# How long to wait for hours that another folder holds.
IDLE_SECONDS_MAX = 15.0
IDLE_STEP_SECONDS = 0.1
# A series of a handful of windows says nothing; one of hundreds says no more than its newest part.
HISTORY_WINDOW_MAX = timedelta(days=4)
HISTORY_SLOTS_MAX = 60


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

    The window itself is exact. The wider ones, and the 30 days before each, begin at midnight (UTC): up to a day
    earlier than their name says, so that they are read by whole days.
    Raises `NotFoundError` for an unknown agent, and `RatchetError` when another folder held hours of it for longer
    than the patience: facts are complete or there are none. An empty window gives a snapshot with the fact
    `sessions` 0.
    """
    declared = await agents.get(agent)
    resolver = resolver or Resolver()
    spans = [] if exact else [span for span in (WEEK, MONTH) if span > timedelta(hours=window.hours)]
    windows = [window, *(_from_midnight(window.last(span)) for span in spans)]
    before = [_from_midnight(one.before(MONTH)) for one in windows]
    if await fold_all(rollups, agent, patience_seconds=patience_seconds):
        await _require_folded(rollups, agent, Window(since=min(one.since for one in before), until=window.until))
    measured = [told.measures for told in await read_told(rollups, agent, [*windows, *before], resolver)]
    main, *wider = (
        Look(span=span, window=one, measures=measures, before=measures_before)
        for span, one, measures, measures_before in zip(
            [window.until - window.since, *spans], windows, measured, measured[len(windows) :], strict=False
        )
    )
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
        history=await _history(rollups, agent, window),
    )


async def read_told(rollups: RollupStore, agent: str, windows: Sequence[Window], resolver: Resolver) -> list[Told]:
    """The measures of each window by the versions that ran, told span by span where a reference changed its meaning;
    all are read in one call."""
    spans = [resolver.spans(window) for window in windows]
    read = iter(await rollups.read_all(agent, [span for of_window in spans for span in of_window]))
    return [Told.merged([resolver.told(next(read), span) for span in of_window]) for of_window in spans]


async def fold_all(rollups: RollupStore, agent: str | None, *, patience_seconds: float = IDLE_SECONDS_MAX) -> int:
    """Folds until nothing is queued; returns how many hours are left, where it had to stop before.

    Bounded: it stops after twice as many hours as were queued at first (others queue while it works), and
    loses patience with hours that another folder holds. Several may work at once. Afterwards the days of
    folded hours are merged.
    """
    hours, hours_max, folded, idle, wanted = FOLD_HOURS_FIRST, FOLD_HOURS_MAX, 0, 0.0, None
    while True:
        began = time.monotonic()
        try:
            done = await rollups.fold(agent, hours_max=hours)
        except CallTooLong:
            # A server that ends a call has undone it, so that nothing is lost but time.
            if hours == 1:
                raise
            hours = hours_max = hours // 2
            continue
        seconds = time.monotonic() - began
        wanted = done.hours + done.left if wanted is None else wanted
        folded += done.hours
        if done.left == 0 or folded >= 2 * wanted + FOLD_HOURS_MAX or idle >= patience_seconds:
            await _fold_days(rollups, agent)
            return done.left
        if done.hours == 0:
            await asyncio.sleep(IDLE_STEP_SECONDS)
            idle += IDLE_STEP_SECONDS
        else:
            fitting = round(done.hours * FOLD_SECONDS_AIM / max(seconds, 1e-3))
            hours = max(1, min(fitting, FOLD_GROWTH_MAX * hours, hours_max))


async def _fold_days(rollups: RollupStore, agent: str | None) -> None:
    """Until no day is ready, or only those that another folder holds are left to it."""
    while (done := await rollups.fold_days(agent, days_max=FOLD_DAYS_MAX)).days and done.left:
        pass


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


def _from_midnight(window: Window) -> Window:
    return Window(since=window.since.replace(hour=0, minute=0, second=0, microsecond=0), until=window.until)


async def _history(rollups: RollupStore, agent: str, window: Window) -> tuple[Slot, ...]:
    """The time before the window in slots of its length, newest first: 30 days, where these are not too many."""
    span = window.until - window.since
    if span > HISTORY_WINDOW_MAX:
        return ()
    number = min(HISTORY_SLOTS_MAX, MONTH // span)
    slots = [Window(since=window.since - n * span, until=window.since - (n - 1) * span) for n in range(number, 0, -1)]
    return (await rollups.slots(agent, slots))[::-1]
