"""Documents whose commands and links work: a page that lies is worse than none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.house.tree import ROOT, project_files, relative

COMMAND = re.compile(r"(?:^|[\s|`(])((?:scripts|\.ci)/[a-z_]+(?:\.py)?)(?=[\s`).,;:|]|$)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
DECISION = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def pages() -> list[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in project_files(".md") if "tests" not in path.parts]


def scripts() -> Iterator[Path]:
    yield ROOT / ".ci/run"
    yield from project_files(under="scripts")


def test_every_command_of_a_page_is_there_and_can_be_run() -> None:
    """The first thing that a newcomer types comes out of these pages."""
    missing = [
        f"{relative(page)}: {command}"
        for page, text in pages()
        for command in COMMAND.findall(text)
        if not os.access(ROOT / command, os.X_OK)
    ]
    assert missing == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    """Files move; the page that led to them stays behind and nobody notices."""
    broken = [
        f"{relative(page)}: {target}"
        for page, text in pages()
        for target in LINK.findall(text)
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_shows_the_two_commands_that_the_build_tries() -> None:
    """The build runs what the README says: without these two it would run nothing."""
    fenced = "".join(re.findall(r"^```.*?\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S))
    assert {"scripts/demo", "scripts/test"} <= set(COMMAND.findall(fenced))


def test_every_script_can_be_run_and_says_what_it_does() -> None:
    """One line at the top is all the documentation that a one-word command needs."""
    poor = []
    for path in scripts():
        if path.suffix in ("", ".sh"):
            first, second = path.read_text(encoding="utf-8").splitlines()[:2]
            if not (os.access(path, os.X_OK) and first == "#!/usr/bin/env bash" and second.startswith("# ")):
                poor.append(relative(path))
    assert poor == []


def test_every_decision_has_its_number_and_its_line_in_the_index() -> None:
    """A decision that the index does not name is taken a second time, otherwise."""
    folder = ROOT / "docs/adr"
    names = [path.name for path in sorted(folder.glob("*.md"))]
    numbers = [match.group(1) for name in names if (match := DECISION.fullmatch(name))]
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert numbers == [f"{number:04d}" for number in range(len(names))]
    assert [name for name in names if f"(adr/{name})" not in index] == []
