"""References that nobody knows, told by when they first appeared: a git hash, `v3-final`. Pure.

A name says nothing by itself. But where exactly one new one appears after a deployment went live, and those before it
stop or give way, it stands for the new version; the one that ran before stands for the version before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from optimizer.observe.resolve import Appearance
from optimizer.records.deployment import Deployment
from optimizer.records.traced import Ran, Segment
from optimizer.records.window import Window

EVE = timedelta(days=1)  # sessions that begin before a deployment may go on after it: here traces are asked one by one
_STOPPED_WITHIN = timedelta(hours=1)  # rollups are by the hour

Unknown = Callable[[str, Window], bool]  # whether a reference is told by nothing else, in this span


@dataclass(frozen=True)
class Publication:
    """One version of a prompt while it was live."""

    prompt: str
    base_version: int
    version: int
    live_at: datetime
    until: datetime  # when the next one went live, or it was taken back; else now


def publications(prompt: str, deployments: Sequence[Deployment], now: datetime) -> tuple[Publication, ...]:
    """What Ratchet put live of one prompt, oldest first."""
    went_live = sorted(
        (live_at, one.new_version, one)
        for one in deployments
        if (live_at := one.live_at) is not None and one.new_version is not None and one.prompt == prompt
        if live_at < now
    )
    ends = [*(live_at for live_at, _, _ in went_live), now][1:]
    return tuple(
        Publication(prompt, one.base_version, version, live_at, min(end, one.ended_at or end))
        for (live_at, version, one), end in zip(went_live, ends, strict=True)
    )


def appearances(
    published: Sequence[Publication],
    segments: Sequence[Segment],
    ran_before: Mapping[datetime, Collection[tuple[str, str]]],
    unknown: Unknown,
    names: Collection[str],
) -> tuple[Appearance, ...]:
    """`published`: of one prompt, oldest first. `segments`: cut at least at each `live_at`, at its eve, and at `until`.
    `ran_before`: what traces name that began on the eve of each `live_at`. `names`: under which names traces speak of
    the prompt ("" where a reference without a name means it).

    Each appearance holds until the next deployment of the prompt, and further where that one is told apart, too.
    """
    found: list[Appearance] = []
    standing: dict[str, int] = {}  # what references have been told to mean
    for place, one in enumerate(published):
        earliest = published[place - 1].live_at if place else segments[0].window.since
        before = _ran(segments, names, earliest, one.live_at)
        after = _ran(segments, names, one.live_at, one.until)
        ever = _ran(segments, names, segments[0].window.since, one.live_at - EVE).keys()
        eve = {reference for name, reference in ran_before.get(one.live_at, ()) if name in names}
        window = Window(since=one.live_at, until=one.until)
        new = [said for said in after if said not in ever | eve and unknown(said, window)]
        if len(new) != 1 or not _took_over(new[0], after) or not _complete(segments, earliest, one.until):
            standing.clear()
            continue
        old = [said for said in before if said != new[0] and unknown(said, window)]
        if not standing and len(old) == 1:
            standing[old[0]] = one.base_version
            earlier = Window(since=earliest, until=one.live_at)
            found.append(Appearance(one.prompt, old[0], one.base_version, earlier))
        standing[new[0]] = one.version
        found += [Appearance(one.prompt, said, version, window) for said, version in standing.items()]
    return tuple(found)


def cuts_of(published: Sequence[Publication], since: datetime, now: datetime) -> list[datetime]:
    """Where segments have to be cut for `appearances`."""
    cuts = {cut for one in published for cut in (one.live_at - EVE, one.live_at, one.until)}
    return [since, *sorted(cut for cut in cuts if since < cut < now), now]


def _within(segments: Sequence[Segment], since: datetime, until: datetime) -> list[Segment]:
    return [one for one in segments if since <= one.window.since and one.window.until <= until]


def _complete(segments: Sequence[Segment], since: datetime, until: datetime) -> bool:
    return all(one.complete for one in _within(segments, since, until))


def _ran(segments: Sequence[Segment], names: Collection[str], since: datetime, until: datetime) -> dict[str, Ran]:
    ran: dict[str, Ran] = {}
    for segment in _within(segments, since, until):
        for (name, reference), one in segment.references.items():
            if name in names:
                other = ran.get(reference, one)
                n = one.n + (other.n if reference in ran else 0)
                ran[reference] = Ran(n, min(one.first, other.first), max(one.last, other.last))
    return ran


def _took_over(new: str, after: Mapping[str, Ran]) -> bool:
    """Whether the others stopped when it began, or are the smaller part by now."""
    others = [ran for said, ran in after.items() if said != new]
    stopped = all(ran.last <= after[new].first + _STOPPED_WITHIN for ran in others)
    return stopped or sum(ran.n for ran in others) <= after[new].n
