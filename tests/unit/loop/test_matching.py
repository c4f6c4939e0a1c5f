"""The owner's patterns: what they match, and no pattern that runs for ever."""

from __future__ import annotations

import re

import pytest

from optimizer.errors import SettingsError
from optimizer.loop.matching import matches
from optimizer.prompts.protected import Protected
from optimizer.prompts.spans import Span

TEXT = "Never take cash.\nBe kind \ud800 日本.\nNever give away a name.\n"


async def test_each_match_is_known_by_its_place_and_pattern() -> None:
    pattern = r"(?m)^Never .*$"
    found = await matches([pattern, "x*"], {"system": TEXT, "other": ""})
    places = [Span(*match.span()) for match in re.finditer(pattern, TEXT)]
    assert found == {"system": tuple(Protected(place, pattern) for place in places), "other": ()}


async def test_a_pattern_that_would_run_for_ever_is_named_and_ended() -> None:
    with pytest.raises(SettingsError, match=r"'\(a\+\)\+\$' of the policy's `protected` did not come to an end"):
        await matches(["kind", "(a+)+$"], {"system": "a" * 60 + "b"}, seconds_max=1.0)


async def test_without_patterns_nothing_is_started() -> None:
    assert await matches([], {"system": TEXT}) == {}
