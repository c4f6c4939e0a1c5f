"""Anchors: text that stands exactly once, as little of it as needed, and the edits built on them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from optimizer.errors import InputError
from optimizer.prompts.edits import occurrences
from optimizer.prompts.messages import message_around, messages_of
from optimizer.prompts.spans import Span
from optimizer.records.edits import Edit


def edit_for_span(
    prompt: str, base: str, start: int, end: int, replacement: str, *, clear_of: Sequence[Span] = ()
) -> Edit:
    """The edit that puts `replacement` in the place of `base[start:end]` and leaves everything else.

    The anchor reaches into the neighbouring text where the span's own text is empty or stands elsewhere too.
    Raises `InputError` for an empty base, which has no text to hold on to.
    """
    if not base:
        raise InputError(f"The prompt {prompt!r} is empty, so that no edit can be anchored; write its text first.")
    return _edit(prompt, base, Span(start, end), replacement, [_clear(base, Span(start, end), clear_of)])


def removal_span(base: str, start: int, end: int) -> Span:
    """The whole lines `base[start:end]` with the gap that goes with them.

    What stood before and after the lines stays apart by the wider gap of the two, not by both.
    """
    body = _body(base, Span(start, end))
    before, after = base[body.start : start].rstrip(), base[end : body.end].lstrip()
    above, below = body.start + len(before), body.end - len(after)
    if not after:
        return Span(above, end)
    if before and base[above:start].count("\n") < 2:
        return Span(start, base.find("\n", end, body.end) + 1 or body.end)
    next_line = base.rfind("\n", end, below) + 1
    return Span(start, max(next_line, end))


def edit_to_remove(prompt: str, base: str, start: int, end: int, *, clear_of: Sequence[Span] = ()) -> Edit:
    """The edit that removes whole lines and the gap that they leave (`removal_span`).

    `clear_of` are other lines that are to go: their gaps are kept clear of as well, and half of what stands
    between is left to their anchors.
    """
    own = Span(start, end)
    spans = _removals(base, sorted({own, *clear_of}))
    span = spans.pop(own)
    others = list(spans.values())
    shared = [
        Span(min(other.start, _middle(base, span.end, other.start)), other.end)
        if other.start >= span.end
        else Span(other.start, max(other.end, _middle(base, other.end, span.start)))
        for other in others
    ]
    return _edit(prompt, base, span, "", [_clear(base, span, shared), _clear(base, span, others)])


def _removals(base: str, blocks: Sequence[Span]) -> dict[Span, Span]:
    """The removal spans by block; blocks that stand at the end of the text take the gaps above them."""
    found: dict[Span, Span] = {}
    following, at_end = len(base), True
    for block in reversed(blocks):
        body = _body(base, block)
        if following > body.end:  # the first from below in its message
            following, at_end = body.end, True
        at_end = at_end and not base[block.end : following].strip()
        above = body.start + len(base[body.start : block.start].rstrip())
        found[block] = Span(above, block.end) if at_end else removal_span(base, *block)
        following = block.start
    return found


def _edit(prompt: str, base: str, span: Span, replacement: str, limits: Sequence[Span]) -> Edit:
    if not base:
        raise InputError(f"The prompt {prompt!r} is empty, so no edit can be anchored; write its text first.")
    anchor = _anchor(base, span, limits)
    replace = base[anchor.start : span.start] + replacement + base[span.end : anchor.end]
    return Edit(prompt=prompt, find=base[anchor.start : anchor.end], replace=replace)


def _anchor(base: str, span: Span, limits: Sequence[Span]) -> Span:
    """The anchor inside the first of the limits that has one; the whole text, or that of the message, in the end."""
    everything = _body(base, span)
    tried = (_widened(base, span, *limit) for limit in (*limits, everything))
    return next((anchor for anchor in tried if anchor), everything)


def _clear(base: str, span: Span, others: Sequence[Span]) -> Span:
    """How far the span may be widened without touching the others."""
    body = _body(base, span)
    floor = max((other.end for other in others if other.end <= span.start), default=body.start)
    ceiling = min((other.start for other in others if other.start >= span.end), default=body.end)
    return Span(max(floor, body.start), min(ceiling, body.end))


def _body(base: str, span: Span) -> Span:
    """The text of the message that the span stands in; the whole text where there are none."""
    message = message_around(messages_of(base), span)
    return message.body if message else Span(0, len(base))


def _middle(base: str, start: int, end: int) -> int:
    """The middle of the text between two spans, at a line's start if there is one before it."""
    middle = (start + end) // 2
    return base.rfind("\n", start, middle) + 1 or middle


def _widened(base: str, span: Span, floor: int, ceiling: int) -> Span | None:
    def stands_once(start: int, end: int) -> bool:
        return occurrences(base, base[start:end], at_most=2) == 1

    if stands_once(*span):
        return span
    starts = _line_starts(base, span.start, floor)
    ends = _line_ends(base, span.end, ceiling)
    before = after = 0
    step = 1
    while not stands_once(starts[before], ends[after]):
        if before == len(starts) - 1 and after == len(ends) - 1:
            return None
        before, after = min(before + step, len(starts) - 1), min(after + step, len(ends) - 1)
        step *= 2
    # More text never makes an anchor less unique, so both sides shrink back by bisection.
    before = _fewest(before, lambda lines: stands_once(starts[lines], ends[after]))
    after = _fewest(after, lambda lines: stands_once(starts[before], ends[lines]))
    return Span(starts[before], ends[after])


def _fewest(at_most: int, enough: Callable[[int], bool]) -> int:
    return bisect_left(range(at_most), True, key=enough)


def _line_starts(base: str, position: int, floor: int) -> list[int]:
    starts = [max(base.rfind("\n", 0, position) + 1, floor)]
    while starts[-1] > floor:
        starts.append(max(base.rfind("\n", 0, starts[-1] - 1) + 1, floor))
    return starts


def _line_ends(base: str, position: int, ceiling: int) -> list[int]:
    def line_end(at: int) -> int:
        found = base.find("\n", at)
        return ceiling if found < 0 else min(found, ceiling)

    ends = [line_end(position)]
    while ends[-1] < ceiling:
        ends.append(line_end(ends[-1] + 1))
    return ends
