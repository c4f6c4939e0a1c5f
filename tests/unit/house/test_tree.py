"""A tree that anyone can clone: nothing in it points to the machine on which it was written."""

from __future__ import annotations

import re

import pytest

from tests.unit.house.tree import project_files, relative

# Spelt with brackets, so that this file does not find itself.
OTHER_PLACES = re.compile(
    r"p[y]pi\.org|pythonh[o]sted\.org|npmj[s]\.org|deb\.debi[a]n\.org|files\.pyth[o]n"
    r"|/hom[e]/\w+/|/roo[t]/|/User[s]/\w+/|/tm[p]/[\w.]+_jobs|/wor[k]/\w"
)
TEXT_SUFFIXES_NOT = {".png", ".gz", ".ico", ".woff2"}


def places(text: str) -> list[str]:
    return [match.group() for match in OTHER_PLACES.finditer(text)]


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    """A lock file that named its index could not be used behind a mirror, and a path told who wrote it."""
    found = [
        f"{relative(path)}: {place}"
        for path in project_files()
        if path.suffix not in TEXT_SUFFIXES_NOT
        for place in places(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "place", ["https://p" + "ypi.org/simple", "/ro" + "ot/x", "/ho" + "me/ann/x", "/wo" + "rk/main"]
)
def test_such_a_place_is_recognised(place: str) -> None:
    assert places(f"see {place} for more")


@pytest.mark.parametrize("text", ["the /home page", "/workflows/main.yml", "public.ratchet_x", "tests/workers"])
def test_ordinary_words_are_not(text: str) -> None:
    assert places(text) == []
