"""What traces say about their prompt, and the version that it means."""

from __future__ import annotations

import pytest

from optimizer.observe.resolve import RegistryVersion, Resolver
from optimizer.records.base import sha256_of
from optimizer.records.facts import Measure, Measures, labels_of

ONE, TWO, TONE, COMPOSED = (sha256_of(text) for text in ("one", "two", "tone", "composed"))
RESOLVER = Resolver(
    [
        RegistryVersion("master", 1, ONE),
        RegistryVersion("master", 2, TWO),
        RegistryVersion("master", 3, ONE),
        RegistryVersion("tone", 1, TONE),
        RegistryVersion("copy", 4, TWO),
    ],
    composed={COMPOSED: ("master", 2)},
)


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ("master@2", "master@2"),
        (f"master@{TWO}", "master@2"),
        (f"master@{TWO.upper()[:8]}", "master@2"),
        (f"master@{ONE}", "master@3"),  # published again: the later one runs
        (f"copy@{TWO}", "copy@4"),
        (f"@{TONE}", "tone@1"),
        (f"@{COMPOSED}", "master@2"),
        (f"@{TWO}", f"@{TWO[:8]}"),  # two prompts have this text
        (f"master@{TWO[:7]}", f"master@{TWO[:7]}"),  # too short for a hash
        (f"tone@{TWO}", f"tone@{TWO[:8]}"),
        ("master@9", "master@9"),
        ("master@2026-02-26-final", "master@2026-02-"),
        ("@2", "@2"),
        ("team@mail@2", "team@mail@2"),
    ],
)
def test_a_reference_is_labelled_with_its_version(reference: str, label: str) -> None:
    assert RESOLVER.label(reference) == label


def test_without_a_name_the_only_prompt_is_meant() -> None:
    only = Resolver([RegistryVersion("master", 1, ONE), RegistryVersion("master", 2, TWO)])
    assert (only.label("@2"), only.label(f"@{ONE[:12]}")) == ("master@2", "master@1")


def test_two_references_of_one_version_are_added_up() -> None:
    measures = Measures(
        {
            ("sessions", labels_of(prompt_version="master@2")): Measure(n=3, total=3),
            ("sessions", labels_of(prompt_version=f"@{COMPOSED}")): Measure(n=4, total=4),
            ("sessions", ()): Measure(n=7, total=7),
        }
    )
    relabelled = RESOLVER.relabel(measures)
    assert relabelled.by("sessions", "prompt_version") == {"master@2": Measure(n=7, total=7)}
    assert relabelled.get("sessions").n == 7
