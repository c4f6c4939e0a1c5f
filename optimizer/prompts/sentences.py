"""A prompt in sentences, its line breaks kept. Pure."""

from __future__ import annotations

import re

from optimizer.prompts.spans import Span

_LINE = re.compile(r"[^\n]*\n?")
# The end of a sentence within a line: what follows does not begin with a small letter ("e.g. this" goes on), and what
# stands before is no number ("then 2. Answer").
_END = re.compile(r"(?:(?<!\d)\.|[!?\u2026])[\"'\u201d\u2019)\]*_`]*[^\S\n]+(?=[^\s\W]|[\"'\u201c\u2018(\[*_`{<])")
_LEAD = re.compile(r"\s*(?:[-*+\u2022]|\(?\d{1,3}[.)]|#{1,6})\s+")


def sentences(text: str) -> tuple[Span, ...]:
    """Spans that follow each other and hold the whole text; each but that of a blank text has something to read.

    One is a sentence, or as much of it as stands on its line, with the blanks, line breaks and blank lines after it.
    """
    if not text:
        return ()
    starts = [start for line in _LINE.finditer(text) if line[0].strip() for start in _starts(line)]
    starts[:1] = [0]
    return tuple(Span(start, end) for start, end in zip(starts, [*starts[1:], len(text)], strict=True))


def _starts(line: re.Match[str]) -> list[int]:
    lead = _LEAD.match(line[0])
    ends = (end.end() for end in _END.finditer(line[0], lead.end() if lead else 0))
    return [line.start(), *(line.start() + end for end in ends if not line[0][end].islower())]
