"""What traces say about their prompt, the version that it means, and how that is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optimizer.observe.resolve import Appearance, Composed, RegistryVersion, Resolver
from optimizer.records.base import sha256_of
from optimizer.records.deployment import LabelMove
from optimizer.records.facts import Measure, Measures, labels_of
from optimizer.records.traced import Ran, Segment
from optimizer.records.verdict import Told, ToldBy
from optimizer.records.window import Window
from tests.builders import NOON

DAY = timedelta(days=1)
ONE, TWO, TONE, COMPOSED = (sha256_of(text) for text in ("one", "two", "tone", "composed"))
RESOLVER = Resolver(
    [
        RegistryVersion("master", 1, ONE, NOON - 9 * DAY),
        RegistryVersion("master", 2, TWO, NOON - 5 * DAY),
        RegistryVersion("master", 3, ONE, NOON - 2 * DAY),
        RegistryVersion("tone", 1, TONE),
        RegistryVersion("copy", 4, TWO),
    ],
    composed=[Composed(COMPOSED, "master", 2, {"tone": 1})],
    moves=[
        LabelMove(prompt="master", label="prod", version=3, moved_at=NOON - 2 * DAY),
        LabelMove(prompt="master", label="prod", version=2, moved_at=NOON - 5 * DAY),
    ],
)


def days(first: float, last: float) -> Window:
    """So many days before noon."""
    return Window(since=NOON - first * DAY, until=NOON - last * DAY)


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ("master@2", "master@2"),
        (f"master@{TWO}", "master@2"),
        (f"master@{TWO.upper()[:7]}", "master@2"),  # as git abbreviates
        (f"master@{ONE}", "master@3"),  # published again, and under the label now
        (f"copy@{TWO}", "copy@4"),
        (f"@{TONE}", "tone@1"),
        (f"@{COMPOSED}", "master@2"),
        ("master@prod", "master@prod"),  # it moved: only with a time does it mean a version
        (f"@{TWO}", f"@{TWO[:8]}"),  # two prompts have this text
        (f"master@{TWO[:6]}", f"master@{TWO[:6]}"),  # too short for a hash
        (f"tone@{TWO}", f"tone@{TWO[:8]}"),
        ("master@9", "master@9"),
        ("master@staging", "master@staging"),
        ("tone@prod", "tone@prod"),  # another prompt's label
        ("master@2026-02-26-final", "master@2026-02-"),
        ("@2", "@2"),
        ("@prod", "@prod"),
        ("team@mail@2", "team@mail@2"),
    ],
)
def test_a_reference_is_labelled_with_its_version(reference: str, label: str) -> None:
    assert RESOLVER.label(reference) == label


def test_without_a_name_the_only_prompt_is_meant() -> None:
    only = Resolver([RegistryVersion("master", 1, ONE), RegistryVersion("master", 2, TWO)])
    assert (only.label("@2"), only.label(f"@{ONE[:12]}")) == ("master@2", "master@1")


def test_without_a_name_the_prompt_that_holds_the_others_is_meant() -> None:
    versions = [RegistryVersion("master", 1, ONE), RegistryVersion("tone", 1, TONE)]
    assert Resolver(versions).label("@1") == "@1"
    assert Resolver(versions, main="master").label("@1") == "master@1"


@pytest.mark.parametrize(
    ("during", "version"),
    [
        (days(1, 0), 3),
        (days(2, 1), 3),  # from the very moment of the move
        (days(4, 3), 2),
        (days(5, 2), 2),
        (days(3, 1), None),  # it moved meanwhile
        (days(6, 4), None),  # nobody knows where it stood at first
        (days(9, 8), None),
    ],
)
def test_a_label_means_what_it_pointed_to_at_that_time(during: Window, version: int | None) -> None:
    found = RESOLVER.resolve("master", "prod", during)
    assert (found.version if found else None) == version
    assert found is None or found.by is ToldBy.label


def test_a_label_that_never_moved_needs_no_time() -> None:
    still = Resolver(RESOLVER.versions, moves=RESOLVER.moves[:1])
    assert still.label("master@prod") == "master@3"
    assert RESOLVER.knows("master", "prod")
    assert not RESOLVER.knows("master", "staging")


def test_one_text_under_two_numbers_means_the_one_that_was_there_or_stood_under_a_label() -> None:
    def version(during: Window | None, resolver: Resolver = RESOLVER) -> int | None:
        found = resolver.resolve("master", ONE, during)
        return found.version if found else None

    assert version(days(8, 6)) == 1  # the other was not written yet
    assert version(days(1, 0)) == 3
    assert version(days(3, 1)) is None  # either could have run
    unlabelled = Resolver(RESOLVER.versions)
    assert version(days(1, 0), unlabelled) is None
    assert version(None, unlabelled) is None


def test_a_window_is_cut_where_a_label_that_is_in_use_moved() -> None:
    whole = days(6, 0)
    assert [span.since for span in RESOLVER.spans(whole)] == [NOON - 6 * DAY, NOON - 5 * DAY, NOON - 2 * DAY]
    assert RESOLVER.spans(whole)[-1].until == NOON
    tone = Resolver([RegistryVersion("tone", 1, TONE)], moves=RESOLVER.moves, in_use={("tone", "1")})
    assert tone.spans(whole) == (whole,)
    labelled = Resolver([], moves=RESOLVER.moves, in_use={("", "prod")})
    assert len(labelled.spans(whole)) == 3


def test_windows_are_cut_so_often_and_not_more() -> None:
    moves = [
        LabelMove(prompt="master", label="prod", version=1 + n % 2, moved_at=NOON - n * timedelta(hours=1))
        for n in range(100)
    ]
    spans = Resolver([], moves=moves).spans(days(5, 0))
    assert len(spans) == 13
    assert Resolver([], moves=moves).resolve("master", "prod", spans[0]) is None


def sessions(**said: int) -> Measures:
    rows = {("sessions", labels_of(prompt_version=value)): Measure(n=n, total=n) for value, n in said.items()}
    return Measures({**rows, ("sessions", ()): Measure(n=sum(said.values()), total=sum(said.values()))})


def test_two_references_of_one_version_are_added_up() -> None:
    relabelled = RESOLVER.told(sessions(**{"master@2": 3, f"@{COMPOSED}": 4, "tone@1": 7})).measures
    assert relabelled.by("sessions", "prompt_version") == {
        "master@2": Measure(n=7, total=7),
        "tone@1": Measure(n=7, total=7),  # traces name it themselves: the composed text says nothing more
    }
    assert relabelled.get("sessions").n == 14


def test_what_ran_composed_ran_under_the_includes_too() -> None:
    told = RESOLVER.told(sessions(**{f"master@{COMPOSED}": 4}))
    assert told.measures.by("sessions", "prompt_version") == {
        "master@2": Measure(n=4, total=4),
        "tone@1": Measure(n=4, total=4),
    }
    assert told.by == {"master@2": ToldBy.composed, "tone@1": ToldBy.composed}
    assert RESOLVER.means("master", COMPOSED) == {"master@2", "tone@1"}


def test_one_composed_text_of_several_includes_tells_only_what_they_agree_on() -> None:
    both = Resolver(
        [],
        composed=[
            Composed(COMPOSED, "master", 2, {"tone": 1, "house": 5}),
            Composed(COMPOSED, "master", 2, {"tone": 2, "house": 5}),
        ],
    )
    found = both.resolve("", COMPOSED)
    assert found is not None
    assert (found.version, found.includes) == (2, {"house": 5})


def test_how_a_version_was_told_is_the_least_sure_of_its_ways() -> None:
    def by(*said: str) -> dict[str, ToldBy]:
        return dict(RESOLVER.told(sessions(**dict.fromkeys(said, 1)), days(1, 0)).by)

    assert by("master@3") == {"master@3": ToldBy.number}
    assert by("master@3", f"master@{ONE}") == {"master@3": ToldBy.hash}
    assert by("master@3", f"master@{ONE}", "master@prod") == {"master@3": ToldBy.label}
    assert by("master@prod", "master@3") == {"master@3": ToldBy.label}
    assert by("master@unheard-of") == {}


def test_a_name_that_appeared_stands_for_a_version_in_its_time_only() -> None:
    appeared = Resolver([], appearances=[Appearance("master", "3f9c2ab", 4, days(3, 1))])
    assert appeared.label("master@3f9c2ab", days(2, 1)) == "master@4"
    assert appeared.label("master@3f9c2ab", days(2, 0)) == "master@3f9c2ab"
    assert [span.until for span in appeared.spans(days(4, 0))] == [NOON - 3 * DAY, NOON - DAY, NOON]


def test_spans_become_one_again() -> None:
    first = RESOLVER.told(sessions(**{"master@prod": 4}), days(4, 3))
    second = RESOLVER.told(sessions(**{"master@prod": 3, "master@2": 2}), days(2, 1))
    merged = Told.merged([first, second])
    assert {version: one.n for version, one in merged.measures.by("sessions", "prompt_version").items()} == {
        "master@2": 6,
        "master@3": 3,
    }
    assert merged.by == {"master@2": ToldBy.label, "master@3": ToldBy.label}


@pytest.mark.parametrize(
    ("references", "named", "known"),
    [
        ({}, 0, 0),
        ({("master", "2"): 70}, 70, 70),
        ({("master", "2"): 70, ("master", "3"): 50}, 100, 100),  # some sessions saw both
        ({("master", "v2-final"): 70, ("tone", "1"): 100}, 70, 0),
        ({("", "3f9c2ab"): 100}, 100, 0),
        ({("master", "prod"): 60}, 60, 60),
        ({("master", "canary"): 60}, 60, 0),  # a label, but not the one that deploying moves
        ({("tone", "1"): 100}, 0, 0),
        ({("", COMPOSED): 80}, 80, 80),
    ],
)
def test_how_many_sessions_name_a_version(references: dict[tuple[str, str], int], named: int, known: int) -> None:
    moves = [*RESOLVER.moves, LabelMove(prompt="master", label="canary", version=2, moved_at=NOON - 9 * DAY)]
    resolver = Resolver(RESOLVER.versions, RESOLVER.composed, moves)
    ran = {said: Ran(n, NOON, NOON) for said, n in references.items()}
    traced = resolver.traced("master", "prod", [Segment(days(1, 0), 100, ran, complete=True)], 1)
    assert (traced.sessions, traced.named, traced.known) == (100, named, known)
    included = resolver.traced("tone", "prod", [Segment(days(1, 0), 100, ran, complete=True)], 1)
    assert included.known == max(references.get(("tone", "1"), 0), references.get(("", COMPOSED), 0))
