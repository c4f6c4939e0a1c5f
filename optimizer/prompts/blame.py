"""Where each sentence of a prompt comes from: an origin carried through its versions. Pure.

A sentence names the version in which it came to stand where it stands, in these words. One that only moved keeps
its origin; of one that stands twice, each copy has its own. What a version took away leaves a mark.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from rapidfuzz.distance import Indel

from optimizer.prompts.edits import EditError, compose, locate
from optimizer.prompts.sentences import sentences
from optimizer.prompts.spans import Span
from optimizer.records.edits import Edit


class Source(NamedTuple):
    """One version, made from the one before it in a line of versions.

    `edits`: what made it, where that is known. `restores`: it takes something back, so that a sentence which it
    brings and which stood in the line before is the old one.
    """

    version: int
    text: str
    edits: tuple[Edit, ...] = ()
    restores: bool = False


class Origin(NamedTuple):
    """The version that brought a sentence, and the places of the edits that did, in its list; none: not known."""

    version: int
    edits: tuple[int, ...] = ()


class Sentence(NamedTuple):
    """`text` with the blanks and line breaks after it."""

    text: str
    origin: Origin


class Gone(NamedTuple):
    """What a version took away, nothing taking its place: it stood before the sentence at `before`, or at the end."""

    before: int
    text: str
    origin: Origin


class Blame(NamedTuple):
    """All of a text, in its order."""

    sentences: tuple[Sentence, ...]
    gone: tuple[Gone, ...] = ()

    @property
    def text(self) -> str:
        return "".join(sentence.text for sentence in self.sentences)


class _Change(NamedTuple):
    """`old[old_from:old_to]` of the sentences before became `new[new_from:new_to]`; both may be empty."""

    old_from: int
    old_to: int
    new_from: int
    new_to: int


class _Place(NamedTuple):
    """Where an edit stands in the text before and after."""

    old: Span
    new: Span
    edit: int


def blame(line: Sequence[Source]) -> Blame:
    """The origins of the last text of the line, which begins with the oldest version; nothing for an empty line."""
    known = Blame(())
    stood: dict[str, Origin] = {}
    for place, source in enumerate(line):
        known = _carried(known, source, stood) if place else _all_of(source)
        stood |= {one.text.strip(): one.origin for one in known.sentences}
    return known


def likeness(text: str, other: str) -> int:
    """How many characters of the text are sentences that stand in the other one, too."""
    there = {other[span.start : span.end].strip() for span in sentences(other)}
    own = (text[span.start : span.end].strip() for span in sentences(text))
    return sum(len(sentence) for sentence in own if sentence in there)


def _all_of(source: Source) -> Blame:
    pieces = (source.text[span.start : span.end] for span in sentences(source.text))
    return Blame(tuple(Sentence(piece, Origin(source.version)) for piece in pieces))


def _carried(before: Blame, source: Source, stood: Mapping[str, Origin]) -> Blame:
    old_text, spans = before.text, sentences(source.text)
    old = [sentence.text.strip() for sentence in before.sentences]
    new = [source.text[span.start : span.end].strip() for span in spans]
    places = _places(old_text, source)
    pairs = _pairs(old, new, _kept(old_text, source.text, places))
    changes = list(_changes(pairs, len(old), len(new)))
    origins = {at: before.sentences[was].origin for at, was in pairs.items()}
    moved = _moved(changes, old, new)
    origins |= {at: before.sentences[was].origin for at, was in moved.items()}
    if source.restores:
        origins |= {at: stood[core] for at, core in enumerate(new) if at not in origins and core in stood}
    brought = {
        at: Origin(source.version, _edits_at(span, [(place.new, place.edit) for place in places]))
        for at, span in enumerate(_cores(source.text))
        if at not in origins
    }
    origins |= brought
    told = tuple(Sentence(source.text[span.start : span.end], origins[at]) for at, span in enumerate(spans))
    arrived = tuple(sentence for at, sentence in enumerate(new) if at not in pairs and at not in moved)
    left = [mark for mark in before.gone if not _is_back(mark, arrived, old_text, source.text)]
    gone = _gone(before, source.version, changes, places, frozenset(moved.values()), brought, spans)
    return Blame(told, tuple(sorted((*_moved_on(left, pairs, len(new)), *gone), key=lambda mark: mark.before)))


def _places(old_text: str, source: Source) -> list[_Place]:
    """Where the edits stand; nothing where they are not what made this text of that one."""
    try:
        if not source.edits or compose(old_text, source.edits) != source.text:
            return []
    except EditError:
        return []
    places: list[_Place] = []
    shift = 0
    for span, number in sorted((locate(old_text, edit), number) for number, edit in enumerate(source.edits)):
        length = len(source.edits[number].replace)
        places.append(_Place(span, Span(span.start + shift, span.start + shift + length), number))
        shift += length - (span.end - span.start)
    return places


def _kept(old_text: str, new_text: str, places: Sequence[_Place]) -> dict[int, int]:
    """The sentences that no edit touched: place in the new text -> place in the old one. Empty without edits."""
    if not places:
        return {}
    at = {core: number for number, core in enumerate(_cores(old_text))}
    found: dict[int, int] = {}
    ahead = 0  # of the places that end before the sentence
    for number, core in enumerate(_cores(new_text)):
        while ahead < len(places) and places[ahead].new.end <= core.start:
            ahead += 1
        if ahead < len(places) and places[ahead].new.start < core.end:
            continue
        shift = places[ahead - 1].new.end - places[ahead - 1].old.end if ahead else 0
        was = at.get(Span(core.start - shift, core.end - shift))
        if was is not None:
            found[number] = was
    return found


def _cores(text: str) -> Iterator[Span]:
    """The sentences without the blanks around them."""
    for span in sentences(text):
        piece = text[span.start : span.end]
        start = span.start + len(piece) - len(piece.lstrip())
        yield Span(start, start + len(piece.strip()))


def _pairs(old: Sequence[str], new: Sequence[str], kept: Mapping[int, int]) -> dict[int, int]:
    """New -> old, both rising: what is kept, and between it the longest sequence of sentences that both have."""
    ids: dict[str, int] = {}
    old_ids, new_ids = ([ids.setdefault(sentence, len(ids)) for sentence in side] for side in (old, new))
    pairs = dict(kept)
    for change in _changes(kept, len(old), len(new)):
        sides = old_ids[change.old_from : change.old_to], new_ids[change.new_from : change.new_to]
        for code in Indel.opcodes(*sides):
            if code.tag == "equal":
                run = range(code.dest_end - code.dest_start)
                pairs |= {change.new_from + code.dest_start + n: change.old_from + code.src_start + n for n in run}
    return pairs


def _changes(pairs: Mapping[int, int], old_count: int, new_count: int) -> Iterator[_Change]:
    """What lies between neighbouring pairs."""
    old_from = new_from = 0
    for at, was in (*sorted(pairs.items()), (new_count, old_count)):
        if was > old_from or at > new_from:
            yield _Change(old_from, was, new_from, at)
        old_from, new_from = was + 1, at + 1


def _moved(changes: Sequence[_Change], old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """New -> old, of sentences that went from one place to another."""
    left: defaultdict[str, list[int]] = defaultdict(list)
    for change in reversed(changes):
        for was in reversed(range(change.old_from, change.old_to)):
            left[old[was]].append(was)
    arrived = (at for change in changes for at in range(change.new_from, change.new_to))
    return {at: left[new[at]].pop() for at in arrived if left.get(new[at])}


def _edits_at(span: Span, places: Sequence[tuple[Span, int]]) -> tuple[int, ...]:
    """The edits that touch the span: those that share a character with it, else the nearest."""
    if touching := [number for place, number in places if place.overlaps(span)]:
        return tuple(sorted(touching))
    nearest = min(places, key=lambda one: max(one[0].start - span.end, span.start - one[0].end), default=None)
    return (nearest[1],) if nearest else ()


def _gone(
    before: Blame,
    version: int,
    changes: Sequence[_Change],
    places: Sequence[_Place],
    moved: frozenset[int],
    brought: Mapping[int, Origin],
    spans: Sequence[Span],
) -> Iterator[Gone]:
    starts = [0, *accumulate(len(sentence.text) for sentence in before.sentences)]
    old_places = [(place.old, place.edit) for place in places]
    ends = {place.edit: place.new.end for place in places}

    def edits_of(was: int) -> tuple[int, ...]:
        return _edits_at(Span(starts[was], starts[was + 1]), old_places)

    for change in changes:
        new = range(change.new_from, change.new_to)
        left = (was for was in range(change.old_from, change.old_to) if was not in moved)
        for edits, group in groupby(left, edits_of):
            # What came in their place says which version it was.
            if any(at in brought and (not edits or set(edits) & set(brought[at].edits)) for at in new):
                continue
            end = max((ends[edit] for edit in edits), default=0)
            at = next((at for at in new if edits and spans[at].start >= end), change.new_to)
            text = "".join(before.sentences[was].text for was in group)
            yield Gone(at, text, Origin(version, edits))


def _moved_on(marks: Sequence[Gone], pairs: Mapping[int, int], new_count: int) -> Iterator[Gone]:
    """The marks, each before the sentence that follows it now."""
    at = [*sorted(pairs), new_count]
    was = sorted(pairs.values())
    for mark in marks:
        yield mark._replace(before=at[bisect_left(was, mark.before)])


def _is_back(mark: Gone, arrived: tuple[str, ...], old_text: str, new_text: str) -> bool:
    what = mark.text.strip()
    return what.startswith(arrived) and new_text.count(what) > old_text.count(what)
