"""How an agent loads its prompts, as far as its traces show it: by a label, the newest version, or pinned. Pure.

Where a label and the newest version differ, what the sessions ran tells the two apart; where they do not, nothing does.
What traces of a time say counts only where they name a number or a hash: a label that they name shows itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from optimizer.observe.resolve import Resolver
from optimizer.records.deployment import Follow, LabelMove, PromptRef
from optimizer.records.verdict import ToldBy
from optimizer.records.watched import Loading, Span
from optimizer.records.window import Window
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import count

CHANGES_MAX = 10  # of one prompt, the newest
SESSIONS_MIN = 5  # that could tell, of one span
SHARE_MIN = 0.8  # of them that agree
CACHES_LAST = timedelta(minutes=5)  # what runs so soon after a change may be a cache's
SETTLED = timedelta(days=1)  # no cache holds a version for longer: the agent is pinned to it
LATEST = "latest"
_SURE = frozenset({ToldBy.number, ToldBy.hash, ToldBy.composed})
_NAME_CHARACTERS_MAX = 80


class _Way(NamedTuple):
    follow: Follow
    label: str


@dataclass(frozen=True)
class Versions:
    """What one prompt's registry held and where its labels stood, by time."""

    prompt: str
    ref: PromptRef
    made: Mapping[int, datetime]  # version -> when it was published
    sha256: Mapping[int, str]
    moves: Mapping[str, Sequence[LabelMove]]  # label -> oldest first; of labels that stand where they were put last

    @classmethod
    def of(cls, prompt: str, ref: PromptRef, resolver: Resolver, standing: Mapping[str, int]) -> Versions:
        """`standing`: the labels as the registry holds them now. One that stands where no known move has put it was
        moved at a time that nobody knows: it tells nothing."""
        own = [one for one in resolver.versions if one.prompt == prompt]
        moves: dict[str, list[LabelMove]] = {}
        for move in sorted(resolver.moves, key=lambda move: move.moved_at):
            if move.prompt == prompt:
                moves.setdefault(move.label, []).append(move)
        return cls(
            prompt,
            ref,
            made={one.version: one.created_at for one in own if one.created_at is not None},
            sha256={one.version: one.sha256 for one in own},
            moves={label: many for label, many in moves.items() if standing.get(label) == many[-1].version},
        )

    def changes(self) -> list[datetime]:
        """When a version was published or a label moved, oldest first."""
        moved = (move.moved_at for many in self.moves.values() for move in many)
        return sorted({*self.made.values(), *moved})

    def newest(self, at: datetime) -> int | None:
        return max((version for version, made in self.made.items() if made <= at), default=None)

    def stood(self, label: str, at: datetime) -> int | None:
        return next((move.version for move in reversed(self.moves.get(label, ())) if move.moved_at <= at), None)

    def given(self, at: datetime) -> dict[_Way, int]:
        """The version that each way of loading gave at that time, where it is known."""
        ways = {_Way("label", label): self.stood(label, at) for label in self.moves}
        ways[_Way("latest", self.ref.label)] = self.newest(at)
        return {way: version for way, version in ways.items() if version is not None}


def follow_windows(versions: Versions, since: datetime, until: datetime) -> list[Window]:
    """The spans in which nothing changed, without those in which caches still hold what was there before."""
    changes = [at for at in versions.changes() if at < until][-CHANGES_MAX:]
    first = since if len(changes) < CHANGES_MAX else max(since, changes[0])
    inside = [at for at in changes if at >= first]
    windows: list[Window] = []
    for begin, end in pairwise(sorted({first, *inside, until})):
        warm = begin + CACHES_LAST if begin in inside else begin
        settled = begin + SETTLED
        cuts = [warm, settled, end] if warm < settled < end else [warm, end]
        windows += [Window(since=left, until=right) for left, right in pairwise(cuts) if left < right]
    return windows


def loading_of(versions: Versions, spans: Sequence[Span], resolver: Resolver) -> Loading | None:
    """What the newest span that can tell shows; None where none can, or where it is not clear."""
    for span in sorted(spans, key=lambda span: span.window.since, reverse=True):
        ran, named = _ran(versions, span, resolver)
        found = _by_name(versions, span, named, sum(ran.values())) or _by_version(versions, span, ran)
        if found is not None:
            return found if found.agreeing >= SHARE_MIN * found.sessions else None
    return None


def _ran(versions: Versions, span: Span, resolver: Resolver) -> tuple[Counter[int], Counter[str]]:
    """Sessions by the version that they surely ran, and by the label that they name."""
    ran: Counter[int] = Counter()
    named: Counter[str] = Counter()
    for (name, reference), one in span.names.items():
        found = resolver.resolve(name, reference, span.window)
        own = name == versions.prompt or (not name and resolver.main == versions.prompt)
        if own and (reference in versions.moves or reference in (versions.ref.label, LATEST)):
            named[reference] += one.n
        elif found is not None and found.by in _SURE:
            version = found.version if found.prompt == versions.prompt else found.includes.get(versions.prompt)
            if version is not None:
                ran[version] += one.n
    return ran, named


def _by_name(versions: Versions, span: Span, named: Counter[str], others: int) -> Loading | None:
    if sum(named.values()) < SESSIONS_MIN:
        return None
    label, n = named.most_common(1)[0]
    is_label = label in versions.moves or label == versions.ref.label
    return Loading(
        prompt=versions.prompt,
        follow="label" if is_label else "latest",
        label=label if is_label else versions.ref.label,
        sessions=sum(named.values()) + others,
        agreeing=n,
        since=span.window.since,
    )


def _by_version(versions: Versions, span: Span, ran: Counter[int]) -> Loading | None:
    given = versions.given(span.window.since)
    total = sum(ran.values())
    if total < SESSIONS_MIN or not given:
        return None
    texts = {way: versions.sha256.get(version) for way, version in given.items()}
    by_text: Counter[str | None] = Counter()
    for version, n in ran.items():
        by_text[versions.sha256.get(version)] += n
    text, n = by_text.most_common(1)[0]
    agreeing = [way for way, other in texts.items() if other == text]
    changed = max((at for at in versions.changes() if at <= span.window.since), default=None)
    if not agreeing:
        # Neither: a version that was left behind by a change, longer ago than any cache holds.
        settled = changed is not None and span.window.since >= changed + SETTLED
        known = _Way("label", versions.ref.label) in given
        way = _Way("pinned", versions.ref.label) if settled and known else None
    elif len(set(texts.values())) < 2 or len(given) < 2:
        return None  # every way gives the same
    else:
        configured = _Way("latest" if versions.ref.follow == "latest" else "label", versions.ref.label)
        way = configured if configured in agreeing else agreeing[0] if len(agreeing) == 1 else None
    if way is None:
        return None
    return Loading(
        prompt=versions.prompt,
        follow=way.follow,
        label=way.label,
        sessions=total,
        agreeing=n,
        since=span.window.since,
        version=next(version for version, _ in ran.most_common() if versions.sha256.get(version) == text),
        newest=versions.newest(span.window.since),
        stood=versions.stood(versions.ref.label, span.window.since),
    )


def is_as_configured(loading: Loading, ref: PromptRef) -> bool:
    return loading.follow == ref.follow and (ref.follow != "label" or loading.label == ref.label)


def evidence(loading: Loading, ref: PromptRef) -> str:
    """`9 of 10 sessions after 2026-02-26 14:05 UTC ran v3, the newest, while prod stood at v2`"""
    label = one_line(ref.label, _NAME_CHARACTERS_MAX)
    of = f"{loading.agreeing:,} of {count(loading.sessions, 'session')} after {loading.since:%Y-%m-%d %H:%M} UTC"
    if loading.version is None:
        named = one_line(loading.label, _NAME_CHARACTERS_MAX) if loading.follow == "label" else LATEST
        return f"{of} name {named!r} as what they loaded"
    stood = f"{label} stood at v{loading.stood}" if loading.stood is not None else f"nobody knows where {label} stood"
    match loading.follow:
        case "latest":
            return f"{of} ran v{loading.version}, the newest, while {stood}"
        case "label":
            where = "" if loading.label == ref.label else f", while {stood}"
            label = one_line(loading.label, _NAME_CHARACTERS_MAX)
            return f"{of} ran v{loading.version}, where {label} stood{where}, and v{loading.newest} was the newest"
        case "pinned":
            return f"{of} ran v{loading.version}, while {stood} and v{loading.newest} was the newest"


_UNREACHED = "a deployment does not reach the agent until somebody changes the version that it is pinned to"
_BY_HAND = "changes of it could be deployed, and are left to a person"
_MEANS: dict[tuple[Follow, Follow], str] = {  # what is configured, what the traces show
    ("label", "latest"): "what is published runs at once, before the label moves, and moving it back changes nothing",
    ("label", "label"): "moving the label that is configured reaches nobody",
    ("label", "pinned"): _UNREACHED,
    ("latest", "label"): "a version that is published does not run until somebody moves the label",
    ("latest", "pinned"): _UNREACHED,
    ("pinned", "label"): _BY_HAND,
    ("pinned", "latest"): _BY_HAND,
}


def contradictions(
    agent: str, loadings: Iterable[Loading], refs: Mapping[str, PromptRef], given: frozenset[str]
) -> tuple[str, ...]:
    """A sentence for each prompt whose traces show another way of loading than the one that deploying assumes.

    `given`: the prompts of which the owner said how they are loaded.
    """
    found: list[str] = []
    for loading in loadings:
        ref = refs[loading.prompt]
        if is_as_configured(loading, ref):
            continue
        prompt = one_line(loading.prompt, _NAME_CHARACTERS_MAX)
        said = "ratchet.toml says" if loading.prompt in given else "it is assumed"
        name = one_line(agent, _NAME_CHARACTERS_MAX)
        configured = ref.follow if ref.follow != "label" else f"the label {one_line(ref.label, _NAME_CHARACTERS_MAX)}"
        found.append(
            f"{said} that {name} loads {prompt} by {configured}, and its traces show otherwise "
            f"({evidence(loading, ref)}): {_MEANS[ref.follow, loading.follow]}"
        )
    return tuple(found)
