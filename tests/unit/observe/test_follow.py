"""How an agent loads a prompt is told from what its sessions ran where a label and the newest version differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.observe.follow import (
    CACHES_LAST,
    SETTLED,
    Versions,
    contradictions,
    evidence,
    follow_windows,
    is_as_configured,
    loading_of,
)
from optimizer.observe.resolve import Composed, RegistryVersion, Resolver
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LabelMove, PromptRef
from optimizer.records.watched import Loading, Named, Span

T = datetime(2026, 2, 26, 14, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LABEL, LATEST, PINNED = PromptRef(), PromptRef(follow="latest"), PromptRef(follow="pinned")


def version(number: int, at: datetime, text: str | None = None) -> RegistryVersion:
    return RegistryVersion("core", number, sha256_of(text or f"text {number}"), at)


def move(number: int, at: datetime, label: str = "prod") -> LabelMove:
    return LabelMove(prompt="core", label=label, version=number, moved_at=at)


# Version 3 is published at 14:05, and prod stays at 2.
HISTORY = Resolver(
    versions=[version(1, T - 20 * DAY), version(2, T - 10 * DAY), version(3, T)],
    moves=[move(1, T - 20 * DAY), move(2, T - 10 * DAY)],
    main="core",
)
STANDING = {"prod": 2}


def seen(
    ran: dict[str, int],
    *,
    ref: PromptRef = LABEL,
    resolver: Resolver = HISTORY,
    standing: dict[str, int] | None = None,
    after: timedelta = timedelta(0),
    now: datetime = T + 5 * HOUR,
) -> Loading | None:
    """What is told where, from `after` the last change on, sessions named these references so often."""
    versions = Versions.of("core", ref, resolver, STANDING if standing is None else standing)
    windows = follow_windows(versions, now - 30 * DAY, now)
    names = {("core", reference): Named(n, n, now, now) for reference, n in ran.items()}
    last = max(versions.changes())
    spans = [
        Span(one, sum(ran.values()), sum(ran.values()), names if one.since >= last + after else {}) for one in windows
    ]
    return loading_of(versions, spans, resolver)


def test_sessions_that_run_what_stands_nowhere_but_on_top_show_latest() -> None:
    told = seen({"3": 9, "2": 1})
    assert told is not None
    assert (told.follow, told.agreeing, told.sessions) == ("latest", 9, 10)
    assert evidence(told, LABEL) == (
        "9 of 10 sessions after 2026-02-26 14:10 UTC ran v3, the newest, while prod stood at v2"
    )
    assert not is_as_configured(told, LABEL)
    assert is_as_configured(told, LATEST)
    (said,) = contradictions("front-desk", [told], {"core": LABEL}, frozenset({"core"}))
    assert said == (
        "ratchet.toml says that front-desk loads core by the label prod, and its traces show otherwise (9 of 10 "
        "sessions after 2026-02-26 14:10 UTC ran v3, the newest, while prod stood at v2): what is published runs at "
        "once, before the label moves, and moving it back changes nothing"
    )
    (said,) = contradictions("front-desk", [told], {"core": LABEL}, frozenset())
    assert said.startswith("it is assumed that front-desk loads core by the label prod")


def test_sessions_that_stay_where_the_label_stands_show_the_label() -> None:
    told = seen({"2": 10}, ref=LATEST)
    assert told is not None
    assert told.follow == "label"
    assert evidence(told, LATEST) == (
        "10 of 10 sessions after 2026-02-26 14:10 UTC ran v2, where prod stood, and v3 was the newest"
    )
    (said,) = contradictions("front-desk", [told], {"core": LATEST}, frozenset({"core"}))
    assert said.endswith("a version that is published does not run until somebody moves the label")
    assert contradictions("front-desk", [told], {"core": LABEL}, frozenset()) == ()


@pytest.mark.parametrize("reference", [sha256_of("text 3"), sha256_of("text 3")[:7]])
def test_a_hash_tells_as_well_as_a_number(reference: str) -> None:
    told = seen({reference: 6})
    assert told is not None
    assert (told.follow, told.version) == ("latest", 3)


@pytest.mark.parametrize(
    ("ran", "why"),
    [
        ({"3": 4}, "too few"),
        ({"3": 6, "2": 6}, "half and half"),
        ({"3": 7, "2": 3}, "not clear enough"),
        ({"0a1b2c3": 50}, "nobody knows the name"),
        ({"1": 50}, "an old version so soon after: a cache may hold it"),
        ({}, "nothing at all"),
    ],
)
def test_without_evidence_nothing_is_guessed(ran: dict[str, int], why: str) -> None:
    assert seen(ran) is None, why


def test_where_label_and_newest_are_one_nothing_can_be_told() -> None:
    resolver = Resolver(versions=HISTORY.versions[:2], moves=HISTORY.moves, main="core")
    assert seen({"2": 500}, resolver=resolver) is None


def test_nor_where_both_hold_the_same_text() -> None:
    resolver = Resolver(versions=[*HISTORY.versions[:2], version(3, T, "text 2")], moves=HISTORY.moves, main="core")
    assert seen({sha256_of("text 2"): 500}, resolver=resolver) is None


def test_a_label_that_somebody_moved_at_an_unknown_time_tells_nothing() -> None:
    """PromptLayer says where a label stands, not since when: what ran then may have been right."""
    assert seen({"3": 10}, standing={"prod": 3}) is None


def test_an_old_version_that_still_runs_a_day_later_is_pinned() -> None:
    now = T + 3 * DAY
    assert seen({"1": 50}, now=T + SETTLED) is None
    told = seen({"1": 50}, after=SETTLED, now=now)
    assert told is not None
    assert (told.follow, told.version, told.agreeing) == ("pinned", 1, 50)
    assert evidence(told, LABEL) == (
        "50 of 50 sessions after 2026-02-27 14:05 UTC ran v1, while prod stood at v2 and v3 was the newest"
    )
    (said,) = contradictions("front-desk", [told], {"core": LABEL}, frozenset())
    assert said.endswith("does not reach the agent until somebody changes the version that it is pinned to")
    assert is_as_configured(told, PINNED)


def test_what_caches_still_held_right_after_a_change_does_not_count() -> None:
    versions = Versions.of("core", LABEL, HISTORY, STANDING)
    windows = follow_windows(versions, T - 30 * DAY, T + 5 * HOUR)
    assert not any(one.since < T + CACHES_LAST and one.until > T for one in windows)


def test_the_newest_time_that_can_tell_counts() -> None:
    """The owner changed the agent meanwhile: what it did before is over."""
    later = Resolver(
        versions=[*HISTORY.versions, version(4, T + DAY)], moves=[*HISTORY.moves, move(3, T + HOUR)], main="core"
    )
    versions = Versions.of("core", LABEL, later, {"prod": 3})
    now = T + DAY + 5 * HOUR
    spans = [
        Span(one, 10, 10, {("core", "4" if one.since > T + DAY else "2"): Named(10, 10, now, now)})
        for one in follow_windows(versions, now - 30 * DAY, now)
        if one.since > T
    ]
    told = loading_of(versions, spans, later)
    assert told is not None
    assert (told.follow, told.version) == ("latest", 4)


def test_another_label_than_the_one_configured_is_named() -> None:
    resolver = Resolver(
        versions=HISTORY.versions, moves=[*HISTORY.moves, move(1, T - 3 * DAY, label="stage")], main="core"
    )
    told = seen({"1": 10}, resolver=resolver, standing={"prod": 2, "stage": 1})
    assert told is not None
    assert (told.follow, told.label) == ("label", "stage")
    assert not is_as_configured(told, LABEL)
    assert evidence(told, LABEL) == (
        "10 of 10 sessions after 2026-02-26 14:10 UTC ran v1, where stage stood, while prod stood at v2, and v3 was "
        "the newest"
    )
    (said,) = contradictions("front-desk", [told], {"core": LABEL}, frozenset({"core"}))
    assert said.endswith("moving the label that is configured reaches nobody")


@pytest.mark.parametrize(("name", "follow"), [("prod", "label"), ("latest", "latest")])
def test_a_trace_that_names_the_label_shows_it_by_itself(name: str, follow: str) -> None:
    told = seen({name: 20})
    assert told is not None
    assert (told.follow, told.agreeing, told.sessions) == (follow, 20, 20)
    assert evidence(told, LABEL) == f"20 of 20 sessions after 2026-02-26 14:10 UTC name '{name}' as what they loaded"


def test_an_include_is_told_by_the_text_that_holds_it() -> None:
    whole = sha256_of("core with rules 3")
    resolver = Resolver(
        versions=[RegistryVersion("desk", 1, sha256_of("desk"), T - 20 * DAY), *HISTORY.versions],
        moves=HISTORY.moves,
        composed=[Composed(whole, "desk", 1, {"core": 3})],
        main="desk",
    )
    versions = Versions.of("core", LABEL, resolver, STANDING)
    now = T + 5 * HOUR
    spans = [
        Span(one, 8, 8, {("", whole): Named(8, 8, now, now)})
        for one in follow_windows(versions, now - 30 * DAY, now)
        if one.since > T
    ]
    told = loading_of(versions, spans, resolver)
    assert told is not None
    assert (told.follow, told.version, told.agreeing) == ("latest", 3, 8)


@given(
    st.lists(st.integers(0, 60 * 24 * 40), max_size=25, unique=True),
    st.lists(st.tuples(st.integers(0, 60 * 24 * 40), st.integers(1, 25)), max_size=25),
)
def test_spans_are_apart_ascending_and_nothing_changes_inside(made: list[int], moved: list[tuple[int, int]]) -> None:
    begin = T - 35 * DAY
    resolver = Resolver(
        versions=[version(n, begin + timedelta(minutes=at)) for n, at in enumerate(sorted(made), 1)],
        moves=[move(n, begin + timedelta(minutes=at)) for at, n in moved],
    )
    last = max(resolver.moves, key=lambda one: one.moved_at, default=None)
    versions = Versions.of("core", LABEL, resolver, {"prod": last.version} if last else {})
    windows = follow_windows(versions, T - 30 * DAY, T)
    assert all(one.since < one.until for one in windows)
    assert all(a.until <= b.since for a, b in pairwise(windows))
    assert not any(one.since < at < one.until for one in windows for at in versions.changes())
    assert all(one.since >= T - 30 * DAY and one.until <= T for one in windows)
    assert len(windows) <= 24
