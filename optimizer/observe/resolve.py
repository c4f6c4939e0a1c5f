"""What a trace says about its prompt -> the registry's version of it, and how that is known."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from optimizer.records.deployment import LabelMove
from optimizer.records.facts import NOTHING, Labels, Measure, Measures
from optimizer.records.traced import Segment, Traced
from optimizer.records.verdict import Told, ToldBy
from optimizer.records.window import Window

PREFIX_CHARACTERS_MIN = 7  # what git abbreviates a hash to
SHOWN_CHARACTERS = 8  # of a reference that is not resolved
CUTS_MAX = 12  # of one window: the newest moves; before them a label that moved is not resolved
_NUMBER = re.compile(r"[0-9]{1,18}")
_HASH = re.compile(rf"[0-9a-f]{{{PREFIX_CHARACTERS_MIN},64}}")


@dataclass(frozen=True)
class RegistryVersion:
    prompt: str
    version: int
    sha256: str  # of its text, lower-case hex
    created_at: datetime | None = None


@dataclass(frozen=True)
class Composed:
    """A version's text with its includes in it."""

    sha256: str
    prompt: str
    version: int
    includes: Mapping[str, int] = field(default_factory=dict[str, int])  # prompt -> version


@dataclass(frozen=True)
class Appearance:
    """A reference that no registry knows stands for a version, in this span: it took over when that went live."""

    prompt: str
    reference: str
    version: int
    window: Window


@dataclass(frozen=True)
class Resolved:
    """The version that a reference means; a composed text also tells the versions of its includes."""

    prompt: str
    version: int
    by: ToldBy
    includes: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass
class Resolver:
    """Maps references to versions: a number, a content hash or the hash of a composed text (each also as a prefix
    of at least 7 characters that belongs to one text only), a label, or a name that was first seen after a deployment.

    `moves`: where labels were put; where an agent loads the latest version, "latest" is such a label. `main`: the
    prompt that a reference without a name means; hashes without a name are looked up among all prompts. What could
    mean several versions is not resolved. `in_use`: the references that traces name, where that is known; it keeps
    windows from being cut at moves that concern none of them.
    """

    versions: Sequence[RegistryVersion] = ()
    composed: Sequence[Composed] = ()
    moves: Sequence[LabelMove] = ()
    appearances: Sequence[Appearance] = ()
    main: str | None = None
    in_use: Collection[tuple[str, str]] | None = None

    def __post_init__(self) -> None:
        self._numbers = {(known.prompt, known.version): known for known in self.versions}
        prompts = {known.prompt for known in self.versions}
        self._main = self.main or (next(iter(prompts)) if len(prompts) == 1 else None)
        self._labels: dict[tuple[str, str], list[LabelMove]] = {}
        for move in sorted(self.moves, key=lambda move: move.moved_at):
            self._labels.setdefault((move.prompt, move.label), []).append(move)

    def resolve(self, prompt: str, reference: str, during: Window | None = None) -> Resolved | None:
        """The version that the reference means throughout `during` (None: whenever it was said), or None."""
        named = prompt or self._main
        number = int(reference) if _NUMBER.fullmatch(reference) else None
        if named is not None and number is not None and (named, number) in self._numbers:
            return Resolved(named, number, ToldBy.number)
        if _HASH.fullmatch(reference.lower()):
            by_hash = self._by_hash(prompt, reference.lower(), during)
            if by_hash is not None:
                return by_hash
        if named is None:
            return None
        label = self._labels.get((named, reference), [])
        # Without a time a label means something only where it never moved.
        version = self._under(named, reference, during) if during or len({one.version for one in label}) == 1 else None
        if version is not None:
            return Resolved(named, version, ToldBy.label)
        return self._by_appearance(named, reference, during)

    def knows(self, prompt: str, reference: str) -> bool:
        """Whether the reference means something at some time: it is no name that nobody ever heard of."""
        named = prompt or self._main
        return (named, reference) in self._labels or self.resolve(prompt, reference) is not None

    def _by_hash(self, prompt: str, prefix: str, during: Window | None) -> Resolved | None:
        found = [
            (one.sha256, Resolved(one.prompt, one.version, ToldBy.hash))
            for one in self.versions
            if one.sha256.startswith(prefix)
        ]
        found += [
            (one.sha256, Resolved(one.prompt, one.version, ToldBy.composed, one.includes))
            for one in self.composed
            if one.sha256.startswith(prefix)
        ]
        if prompt:
            # A trace that names its prompt means that one, also where another has the same text.
            found = [(sha256, one) for sha256, one in found if one.prompt == prompt]
        if len({sha256 for sha256, _ in found}) != 1 or len({one.prompt for _, one in found}) != 1:
            return None
        name = found[0][1].prompt
        version = self._that_ran(name, {one.version for _, one in found}, during)
        if version is None:
            return None
        by = min((one.by for _, one in found), key=list(ToldBy).index)
        ways = [one.includes for _, one in found if one.by is by and one.version == version]
        agreed = {include: way for include, way in ways[0].items() if all(one.get(include) == way for one in ways)}
        return Resolved(name, version, by, agreed)

    def _that_ran(self, prompt: str, versions: set[int], during: Window | None) -> int | None:
        """Of versions with one text the one that ran: the only one that was there, or that a label pointed to."""
        there = {
            version
            for version in versions
            if during is None
            or (made := self._numbers.get((prompt, version))) is None
            or made.created_at is None
            or made.created_at < during.until
        }
        if len(there) > 1:
            there &= {
                version
                for named, label in self._labels
                if named == prompt and (version := self._under(prompt, label, during)) is not None
            }
        return next(iter(there)) if len(there) == 1 else None

    def _under(self, prompt: str, label: str, during: Window | None) -> int | None:
        """Where the label pointed all the time; None where it moved meanwhile, or nobody knows."""
        moves = self._labels.get((prompt, label), [])
        if during is None:
            return moves[-1].version if moves else None
        before = [move for move in moves if move.moved_at <= during.since]
        within = {move.version for move in moves if during.since < move.moved_at < during.until}
        return before[-1].version if before and within <= {before[-1].version} else None

    def _by_appearance(self, prompt: str, reference: str, during: Window | None) -> Resolved | None:
        found = {
            one.version
            for one in self.appearances
            if (one.prompt, one.reference) == (prompt, reference)
            and (during is None or (one.window.since <= during.since and during.until <= one.window.until))
        }
        return Resolved(prompt, found.pop(), ToldBy.first_seen) if len(found) == 1 else None

    def spans(self, window: Window) -> tuple[Window, ...]:
        """The window cut where a reference changes its meaning, oldest first: each is read and told by itself."""
        cuts = {one.moved_at for one in self.moves if self._concerns(one)}
        cuts |= {end for one in self.appearances for end in (one.window.since, one.window.until)}
        inside = sorted(cut for cut in cuts if window.since < cut < window.until)[-CUTS_MAX:]
        return tuple(
            Window(since=since, until=until) for since, until in pairwise([window.since, *inside, window.until])
        )

    def _concerns(self, move: LabelMove) -> bool:
        """Whether a trace may mean something else after this move."""
        if self.in_use is None:
            return True
        if {(move.prompt, move.label), ("", move.label)} & set(self.in_use):
            return True
        texts = [one.sha256 for one in self.versions if one.prompt == move.prompt]
        return len(set(texts)) < len(texts)

    def label(self, said: str, during: Window | None = None) -> str:
        """`name@reference`, as rollups label it -> `name@version`, or `name@` and 8 characters of it."""
        prompt, _, reference = said.rpartition("@")
        found = self.resolve(prompt, reference, during)
        if found is not None:
            return f"{found.prompt}@{found.version}"
        return f"{prompt}@{reference[:SHOWN_CHARACTERS]}"

    def means(self, prompt: str, reference: str, during: Window | None = None) -> frozenset[str]:
        """`name@version` of all that ran under the reference; empty where it is unknown."""
        found = self.resolve(prompt, reference, during)
        if found is None:
            return frozenset()
        return frozenset(
            f"{name}@{version}" for name, version in {**found.includes, found.prompt: found.version}.items()
        )

    def told(self, measures: Measures, during: Window | None = None) -> Told:
        """The measures by the versions that their references mean, and how that is known.

        What ran under a composed text ran under the versions in it, too, where no trace names those itself.
        """
        said = {value for _, labels in measures.rows for key, value in labels if key == "prompt_version"}
        named = {value.rpartition("@")[0] for value in said}
        means = {value: tuple(self._versions(value, named, during)) for value in said}
        rows: dict[tuple[str, Labels], Measure] = {}
        by: dict[str, ToldBy] = {}
        for (name, labels), measure in measures.rows.items():
            for resolved in _each(labels, means):
                rows[name, resolved] = rows.get((name, resolved), NOTHING) + measure
        for version, told_by in (pair for pairs in means.values() for pair in pairs):
            if told_by is not None:
                by[version] = told_by.or_less_sure(by.get(version, told_by))
        return Told(Measures(rows), by)

    def _versions(
        self, said: str, named: Collection[str], during: Window | None
    ) -> Iterator[tuple[str, ToldBy | None]]:
        """`name@version` of one reference, with how it is known; more than one for a composed text."""
        prompt, _, reference = said.rpartition("@")
        found = self.resolve(prompt, reference, during)
        yield self.label(said, during), found.by if found else None
        if found is not None:
            for include, version in found.includes.items():
                if include not in named:
                    yield f"{include}@{version}", found.by

    def traced(self, prompt: str, label: str, segments: Iterable[Segment], days: int) -> Traced:
        """How many agent sessions of the segments name a version of the prompt, and how many a known one.

        A label counts where it is the one that deploying moves. A session that names several counts once at most
        in all, so that both numbers are never larger than the sessions.
        """
        sessions = named = known = 0
        for segment in segments:
            told = unknown = 0
            others = {name for name, _ in segment.references}
            for (name, reference), ran in segment.references.items():
                found = self.resolve(name, reference, segment.window)
                if found is None:
                    unknown += ran.n if name == prompt or not name else 0
                elif found.prompt == prompt or (prompt in found.includes and prompt not in others):
                    follows = found.by is not ToldBy.label or reference == label
                    told, unknown = (told + ran.n, unknown) if follows else (told, unknown + ran.n)
            sessions += segment.sessions
            known += min(told, segment.sessions)
            named += min(told + unknown, segment.sessions)
        return Traced(prompt=prompt, days=days, sessions=sessions, named=named, known=known)


def _each(labels: Labels, means: Mapping[str, Sequence[tuple[str, ToldBy | None]]]) -> Iterator[Labels]:
    """The labels, once for each version that their reference means."""
    said = dict(labels).get("prompt_version")
    if said is None:
        yield labels
        return
    for version in dict.fromkeys(version for version, _ in means[said]):
        yield tuple((key, version if key == "prompt_version" else value) for key, value in labels)
