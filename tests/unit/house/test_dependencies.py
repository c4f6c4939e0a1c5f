"""What pyproject.toml asks for is what the lock files pin."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.house.tree import ROOT

PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def pins(lock: str) -> dict[str, list[str]]:
    """Package -> its pinned versions (several, where they differ by Python version)."""
    found: dict[str, list[str]] = {}
    for name, version, _ in PIN.findall((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def asked_for(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [requirement for line in lines if (requirement := Requirement(line)).name != project["name"]]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ("install",)), ("requirements-dev.lock", ("install", "dev"))]
)
def test_the_lock_is_not_behind_the_project(lock: str, extras: tuple[str, ...]) -> None:
    """A dependency was added, the lock forgotten: it worked on one machine only. `scripts/lock` mends it."""
    pinned = pins(lock)
    behind = [
        str(requirement)
        for requirement in asked_for(*extras)
        if not (versions := pinned.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in versions)
    ]
    assert behind == []


def test_what_is_tested_is_what_runs() -> None:
    """The tests ran on one version of a package, the demo on another, and only one of them worked."""
    tested = pins("requirements-dev.lock")
    assert {
        name: versions for name, versions in pins("requirements.lock").items() if tested.get(name) != versions
    } == {}
