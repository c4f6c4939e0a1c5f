"""Sections of a prompt that no edit may touch: between markers in the text, or what the policy's patterns match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optimizer.prompts.edits import EditError, locate
from optimizer.prompts.hidden import visible
from optimizer.prompts.spans import Span, shorten
from optimizer.records.edits import Edit

# <!-- ratchet:frozen --> ... <!-- /ratchet:frozen -->; where it is not closed, to the end of the text.
_MARKER = re.compile(r"<!--\s{0,20}(/?)\s{0,5}ratchet:frozen\s{0,20}-->", re.IGNORECASE)
_SHOWN_CHARACTERS_MAX = 40


class Protected(NamedTuple):
    """A stretch of the base that stays as it is; `pattern`: what of the policy matches it, None between markers."""

    span: Span
    pattern: str | None = None


def frozen_sections(text: str) -> tuple[Protected, ...]:
    """The sections between markers, markers included, in their order. A closing marker without an opening is one."""
    found: list[Protected] = []
    opened: int | None = None
    for match in _MARKER.finditer(text):
        if match[1]:
            found.append(Protected(Span(match.start() if opened is None else opened, match.end())))
            opened = None
        elif opened is None:
            opened = match.start()
    if opened is not None:
        found.append(Protected(Span(opened, len(text))))
    return tuple(found)


def protection_problems(base: str, new: str, edits: Sequence[Edit], matched: Sequence[Protected] = ()) -> Iterator[str]:
    """A sentence for each protected section that the edits touch, and one where the new text has other sections.

    `edits` are those that make the new text of the base; `matched` is what the policy's patterns match in the base.
    """
    sections = [*frozen_sections(base), *matched]
    changed = [span for edit in edits if (span := _changed(base, edit)) is not None]
    touched = [section for section in sections if any(_touches(span, section.span) for span in changed)]
    for section in touched:
        yield f"It changes {_named(base, section)}, which is protected; take that out of the edit."
    if not touched and not _stand(base, new, sections):
        yield "It moves, adds or takes away a section that is protected, or its markers; leave them as they are."


def _changed(base: str, edit: Edit) -> Span | None:
    """Where the edit really changes something: its anchor without what it puts back at both ends."""
    try:
        start, end = locate(base, edit)
    except EditError:
        return None
    old, new = base[start:end], edit.replace
    shorter = min(len(old), len(new))
    head = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    tail = next((n for n in range(shorter - head) if old[-1 - n] != new[-1 - n]), shorter - head)
    return Span(start + head, end - tail)


def _touches(changed: Span, section: Span) -> bool:
    if changed.start == changed.end:
        return section.start < changed.start < section.end
    return changed.overlaps(section)


def _stand(base: str, new: str, sections: Sequence[Protected]) -> bool:
    """Whether the marked sections are the same in the same order, and what the patterns match still stands."""
    if _texts(base, frozen_sections(base)) != _texts(new, frozen_sections(new)):
        return False
    position = 0
    for text in _texts(base, sorted(one for one in sections if one.pattern is not None)):
        found = new.find(text, position)
        if found < 0:
            return False
        position = found + 1  # matches of several patterns may overlap
    return True


def _texts(text: str, sections: Sequence[Protected]) -> list[str]:
    return [text[section.span.start : section.span.end] for section in sections]


def _named(base: str, section: Protected) -> str:
    start, end = section.span
    if section.pattern is not None:
        shown = visible(shorten(base[start:end], _SHOWN_CHARACTERS_MAX))
        return f"{shown!r} (the policy's pattern {shorten(section.pattern, _SHOWN_CHARACTERS_MAX)!r})"
    line = base.count("\n", 0, start) + 1
    shown = visible(shorten(_MARKER.sub("", base[start:end]), _SHOWN_CHARACTERS_MAX))
    return f"the frozen section in line {line} ({shown!r})"
