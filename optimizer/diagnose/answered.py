"""The snapshot as far as it speaks of a trouble that was answered: nothing may lie on both sides of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from optimizer.records.facts import Measure, Measures
from optimizer.records.findings import Finding
from optimizer.records.snapshot import MONTH, Look, Snapshot

NOTHING = Measures({})


def since_answer(snapshot: Snapshot, start: datetime) -> Snapshot | None:
    """The looks that begin at `start` or later, each against a time that lies wholly on one side of it.

    That is the time just before a look where no answer lies in it; else what came before the shortest look
    that began no later than the answer (how it was before the trouble was answered); else what the longest
    look holds besides this one. None where no look begins late enough.
    """
    kept = [look for look in snapshot.looks if look.window.since >= start]
    if not kept:
        return None
    older = [look for look in snapshot.looks if look.window.since <= start]
    looks = [_against(look, kept[-1], older, start) for look in kept]
    before = [slot for slot in snapshot.history if slot.window.until <= start]
    after = [slot for slot in snapshot.history if slot.window.since >= start]
    return replace(
        snapshot,
        main=looks[0],
        wider=tuple(looks[1:]),
        history=tuple(before or after),
        # Their baselines are of another time.
        facts=tuple(fact.model_copy(update={"baseline": None}) for fact in snapshot.facts),
    )


def name_the_baseline(finding: Finding, start: datetime) -> Finding:
    """The finding with the time that its cited baselines are from: the snapshot's own facts have others."""
    cites = tuple(
        cite
        if cite.baseline is None
        else cite.model_copy(update={"labels": {**cite.labels, "answered": f"{start:%Y-%m-%d}"}})
        for cite in finding.cites
    )
    return finding.model_copy(update={"cites": cites})


def _against(look: Look, longest: Look, older: Sequence[Look], start: datetime) -> Look:
    if look.window.since - MONTH >= start:
        return look
    if older:
        return replace(look, before=older[0].before)
    return replace(look, before=NOTHING if look is longest else _less(longest.measures, look.measures))


def _less(whole: Measures, part: Measures) -> Measures:
    """What the longer look holds besides the shorter one inside it; its largest values stay the whole's."""
    rows = {
        row: _without(measure, part.rows[row]) if row in part.rows else measure for row, measure in whole.rows.items()
    }
    return Measures({row: measure for row, measure in rows.items() if measure.n > 0})


def _without(whole: Measure, part: Measure) -> Measure:
    buckets = {bucket: n - part.buckets.get(bucket, 0) for bucket, n in whole.buckets.items()}
    return Measure(
        n=whole.n - part.n,
        total=whole.total - part.total,
        total_sq=whole.total_sq - part.total_sq,
        largest=whole.largest,
        buckets={bucket: n for bucket, n in buckets.items() if n > 0},
        samples=tuple(sample for sample in whole.samples if sample not in part.samples),
    )
