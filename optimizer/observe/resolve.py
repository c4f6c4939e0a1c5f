"""What a trace says about its prompt -> the registry's version of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.records.facts import Labels, Measure, Measures

PREFIX_CHARACTERS_MIN = 8
_HASH = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class RegistryVersion:
    prompt: str
    version: int
    sha256: str  # of its text, lower-case hex


@dataclass
class Resolver:
    """Maps references to (prompt, version): a number, a content hash, the hash of a composed text, or a
    prefix of at least 8 characters of either hash that belongs to one text only.

    A reference without a prompt's name is looked up among all prompts by hash; a number without a name means
    the only prompt, where there is one.
    """

    versions: Sequence[RegistryVersion] = ()
    composed: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])

    def __post_init__(self) -> None:
        self._numbers = {(known.prompt, known.version) for known in self.versions}
        self._prompts = {known.prompt for known in self.versions}
        self._hashes = [(known.sha256, (known.prompt, known.version)) for known in self.versions]
        self._hashes += self.composed.items()

    def resolve(self, prompt: str, reference: str) -> tuple[str, int] | None:
        """The version, or None where the reference is unknown or could mean several."""
        named = next(iter(self._prompts)) if not prompt and len(self._prompts) == 1 else prompt
        if reference.isascii() and reference.isdecimal() and len(reference) < PREFIX_CHARACTERS_MIN:
            wanted = (named, int(reference))
            return wanted if wanted in self._numbers else None
        if _HASH.fullmatch(reference.lower()) is None:
            return None
        prefix = reference.lower()
        found = {(sha256, target) for sha256, target in self._hashes if sha256.startswith(prefix)}
        if named:
            # A trace that names its prompt means that one, also where another has the same text.
            found = {(sha256, target) for sha256, target in found if target[0] == named}
        if len({sha256 for sha256, _ in found}) != 1 or len({target[0] for _, target in found}) != 1:
            return None
        # One text, published twice: the later version is what runs now.
        return max(target for _, target in found)

    def label(self, reference: str) -> str:
        """`name@reference`, as rollups label it -> `name@version`, or `name@` and 8 characters of it."""
        prompt, _, said = reference.rpartition("@")
        found = self.resolve(prompt, said)
        if found is not None:
            return f"{found[0]}@{found[1]}"
        return f"{prompt}@{said[:PREFIX_CHARACTERS_MIN]}"

    def relabel(self, measures: Measures) -> Measures:
        """The measures with resolved prompt versions; two references of one version are added up."""
        rows: dict[tuple[str, Labels], Measure] = {}
        for (name, labels), measure in measures.rows.items():
            resolved = tuple(
                (key, self.label(value)) if key == "prompt_version" else (key, value) for key, value in labels
            )
            row = (name, resolved)
            rows[row] = rows[row] + measure if row in rows else measure
        return Measures(rows)
