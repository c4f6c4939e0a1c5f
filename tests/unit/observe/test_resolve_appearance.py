"""A name that no registry knows, told by when it first appeared: only where there is one reading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from optimizer.observe.appearance import EVE, Publication, appearances, cuts_of
from optimizer.observe.resolve import Appearance
from optimizer.records.traced import Ran, Segment
from optimizer.records.window import Window
from tests.builders import NOON

DAY = timedelta(days=1)
NOW = NOON + 10 * DAY
FIRST = Publication("master", 1, 2, NOON, NOW)
Traffic = Mapping[str, tuple[float, float, int]]  # reference -> first and last day from noon, sessions a day


def told(
    traffic: Traffic,
    *published: Publication,
    known: frozenset[str] = frozenset(),
    ran_before: Mapping[datetime, set[tuple[str, str]]] | None = None,
    complete: bool = True,
) -> dict[tuple[str, int], tuple[float, float]]:
    """(reference, version) -> the days between which it is told."""
    cut = segments(traffic, *published, complete=complete)
    found = appearances(published, cut, ran_before or {}, lambda said, _: said not in known, ("",))
    return {(one.reference, one.version): _days(one) for one in found if _days(one)[0] < _days(one)[1]}


def _days(one: Appearance) -> tuple[float, float]:
    return (one.window.since - NOON) / DAY, (one.window.until - NOON) / DAY


def segments(traffic: Traffic, *published: Publication, complete: bool = True) -> list[Segment]:
    cuts = cuts_of(published, NOON - 20 * DAY, NOW)
    found: list[Segment] = []
    for since, until in pairwise(cuts):
        references: dict[tuple[str, str], Ran] = {}
        for reference, (first, last, rate) in traffic.items():
            begins, ends = max(since, NOON + first * DAY), min(until, NOON + last * DAY)
            if n := round(rate * ((ends - begins) / DAY)) if begins < ends else 0:
                references["", reference] = Ran(n, begins, ends)
        found.append(Segment(Window(since=since, until=until), 100, references, complete))
    return found


def test_one_new_name_that_takes_over_is_the_new_version_and_the_old_one_the_base() -> None:
    assert told({"abc": (-20, 0.2, 50), "def": (0.2, 10, 50)}, FIRST) == {
        ("abc", 1): (0, 10),  # later spans win in the dict; both are told
        ("def", 2): (0, 10),
    }
    found = appearances(
        [FIRST], segments({"abc": (-20, 0.2, 50), "def": (0.2, 10, 50)}, FIRST), {}, lambda *_: True, ("",)
    )
    assert {(one.reference, one.version, _days(one)) for one in found} == {
        ("abc", 1, (-20, 0)),
        ("abc", 1, (0, 10)),
        ("def", 2, (0, 10)),
    }


def test_the_old_one_may_fade_slowly() -> None:
    assert ("def", 2) in told({"abc": (-20, 4, 50), "def": (1, 10, 50)}, FIRST)


def test_one_that_stays_a_small_part_is_not_the_new_version_yet() -> None:
    assert told({"abc": (-20, 10, 50), "def": (1, 10, 5)}, FIRST) == {}


def test_it_took_over_late_but_the_others_stopped() -> None:
    assert ("def", 2) in told({"abc": (-20, 9.5, 50), "def": (9.5, 10, 50)}, FIRST)


def test_several_new_names_are_not_told_apart() -> None:
    assert told({"abc": (-20, 0.2, 50), "def": (0.2, 10, 50), "ghi": (0.2, 10, 2)}, FIRST) == {}


def test_no_new_name_tells_nothing() -> None:
    assert told({"abc": (-20, 10, 50)}, FIRST) == {}


def test_a_name_that_ran_before_is_not_new() -> None:
    traffic = {"abc": (-20, 0.2, 50), "def": (0.2, 10, 50)}
    assert told({**traffic, "old": (-20, -19, 5)}, FIRST) != {}
    assert told({"abc": (-20, 0, 50), "def": (-15, -14, 1)} | {"def": (-15, 10, 50)}, FIRST) == {}
    # Its session began on the eve and may have named it after: then the traces of that day say when.
    assert told(traffic | {"def": (-0.5, 10, 50)}, FIRST) != {}
    assert told(traffic, FIRST, ran_before={NOON: {("", "def")}}) == {}


def test_a_name_that_is_known_otherwise_is_not_told_by_its_appearance() -> None:
    assert told({"abc": (-20, 0.2, 50), "2": (0.2, 10, 50)}, FIRST, known=frozenset({"2"})) == {}


def test_of_several_old_names_none_is_the_base() -> None:
    found = told({"abc": (-20, 0.2, 25), "xyz": (-20, 0.2, 25), "def": (0.2, 10, 50)}, FIRST)
    assert found == {("def", 2): (0, 10)}


def test_names_without_end_tell_nothing() -> None:
    assert told({"abc": (-20, 0.2, 50), "def": (0.2, 10, 50)}, FIRST, complete=False) == {}


def test_a_second_deployment_ends_what_was_told_unless_it_is_told_apart_too() -> None:
    first = Publication("master", 1, 2, NOON, NOON + 5 * DAY)
    second = Publication("master", 2, 3, NOON + 5 * DAY, NOW)
    traffic = {"abc": (-20, 0.2, 50), "def": (0.2, 5.2, 50)}
    assert told({**traffic, "ghi": (5.2, 10, 50)}, first, second) == {
        ("abc", 1): (5, 10),
        ("def", 2): (5, 10),
        ("ghi", 3): (5, 10),
    }
    # No new name after the second: what `def` runs now is anybody's guess.
    assert told({**traffic, "def": (0.2, 10, 50)}, first, second) == {("abc", 1): (0, 5), ("def", 2): (0, 5)}


def test_what_ran_through_a_deployment_unchanged_is_told_anew_by_the_next() -> None:
    first = Publication("master", 1, 2, NOON, NOON + 3 * DAY)
    second = Publication("master", 2, 3, NOON + 3 * DAY, NOON + 6 * DAY)
    third = Publication("master", 3, 4, NOON + 6 * DAY, NOW)
    traffic = {"abc": (-20, 0.2, 50), "def": (0.2, 6.2, 50), "ghi": (6.2, 10, 50)}
    found = told(traffic, first, second, third)
    assert found["def", 3] == (6, 10)  # what ran before the third was the third's base, not the version of the first
    assert found["def", 2] == (0, 3)


def test_cuts_lie_on_the_eve_and_at_the_moment() -> None:
    assert cuts_of([FIRST], NOON - 20 * DAY, NOW) == [NOON - 20 * DAY, NOON - EVE, NOON, NOW]
