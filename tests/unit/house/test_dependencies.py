"""What pyproject.toml asks for is what the lock files pin."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from optimizer.registries.mlflow.client import VERSION_MIN
from tests.unit.house.tree import ROOT

PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)


def pins(lock: str) -> dict[str, list[str]]:
    """Package -> its pinned versions (several, where they differ by Python version)."""
    found: dict[str, list[str]] = {}
    for name, version, _ in PIN.findall((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def asked_for(*extras: str) -> list[Requirement]:
    project = pyproject()["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [requirement for line in lines if (requirement := Requirement(line)).name != project["name"]]


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("requirements.lock", asked_for("install")),
        ("requirements-dev.lock", asked_for("install", "dev")),
        ("requirements-mlflow.lock", [Requirement(line) for line in pyproject()["dependency-groups"]["mlflow"]]),
    ],
)
def test_the_lock_is_not_behind_the_project(lock: str, asked: list[Requirement]) -> None:
    """A dependency was added, the lock forgotten: it worked on one machine only. `scripts/lock` mends it."""
    pinned = pins(lock)
    behind = [
        str(requirement)
        for requirement in asked
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


def test_what_mlflow_is_tested_beside_is_what_runs() -> None:
    """It is installed beside the other packages and hides them: a version of its own would be tested, and not run."""
    tested = pins("requirements-dev.lock")
    differing = {
        name: versions
        for name, versions in pins("requirements-mlflow.lock").items()
        if name in tested and tested[name] != versions
    }
    assert differing == {}


def test_the_client_of_mlflow_and_the_server_of_its_tests_are_asked_for_alike() -> None:
    """The adapter refuses a client that is older than what it was tried with."""
    ((small,), (whole,)) = (
        pyproject()["project"]["optional-dependencies"]["mlflow"],
        pyproject()["dependency-groups"]["mlflow"],
    )
    assert Requirement(small).specifier == Requirement(whole).specifier
    assert f">={'.'.join(map(str, VERSION_MIN))}" in small
