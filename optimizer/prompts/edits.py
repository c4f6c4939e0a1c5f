"""Edits and their composition: any subset of edits that do not overlap gives one result, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

from optimizer.errors import InputError
from optimizer.prompts.messages import message_around, messages_of, same_messages
from optimizer.prompts.placeholders import (
    missing_placeholders,
    new_placeholders,
    new_syntax_problems,
    placeholders,
)
from optimizer.prompts.spans import Span, shorten
from optimizer.records.edits import Edit

OCCURRENCES_COUNTED_MAX = 100


class EditProblem(NamedTuple):
    """Why an edit cannot be used as it is; `edit` and `other` are positions in the edits that were given."""

    kind: Literal["missing", "ambiguous", "overlap", "placeholder", "prompt", "message"]
    edit: int
    sentence: str
    other: int | None = None


class EditError(InputError):
    """Edits that do not apply; `problems` says which and why."""

    def __init__(self, problems: Sequence[EditProblem]) -> None:
        super().__init__(problems[0].sentence)
        self.problems: tuple[EditProblem, ...] = tuple(problems)


def occurrences(text: str, part: str, at_most: int = OCCURRENCES_COUNTED_MAX) -> int:
    """How often `part` stands in the text, overlapping places too, up to `at_most`; 0 for an empty part."""
    count, position = 0, text.find(part) if part else -1
    while position >= 0 and count < at_most:
        count += 1
        position = text.find(part, position + 1)
    return count


def locate(base: str, edit: Edit) -> Span:
    """Where the edit's anchor stands in the base; raises `EditError` unless it stands there exactly once."""
    found = _find(base, edit, 0)
    if isinstance(found, EditProblem):
        raise EditError([found])
    return found


def problems(base: str, edits: Sequence[Edit]) -> tuple[EditProblem, ...]:
    """All that keeps these edits of one prompt from being applied together, in the order of the edits.

    An overlap is told once, with the later edit as `other`. An edit breaks a placeholder when, by itself or
    with the others, it drops the last one of its name, leaves half of one, or brings one that nothing fills.
    In a template with several messages an edit stays within the text of one, and leaves the lines that name them.
    """
    located, found = _located(base, edits)
    found.extend(_overlaps(located, edits))
    found.extend(_broken_messages(base, edits, located, found))
    if located:
        found.extend(_broken_placeholders(base, edits, located, found))
    return tuple(sorted(found, key=lambda problem: (problem.edit, problem.other or 0)))


def compose(base: str, edits: Collection[Edit]) -> str:
    """The base with all edits applied; raises `EditError` if an anchor does not fit or two edits overlap.

    Anchors are located in the base alone, so the order of the edits is of no account.
    """
    ordered = list(edits)
    located, found = _located(base, ordered)
    found.extend(_overlaps(located, ordered))
    if found:
        raise EditError(found)
    return _apply(base, [(span, ordered[index].replace) for index, span in located.items()])


def _find(base: str, edit: Edit, index: int) -> Span | EditProblem:
    count = occurrences(base, edit.find)
    if count == 1:
        start = base.find(edit.find)
        return Span(start, start + len(edit.find))
    anchor = f"The text {shorten(edit.find)!r}"
    if count == 0:
        sentence = f"{anchor} is not in {edit.prompt!r}; write the edit for the current text."
        return EditProblem("missing", index, sentence)
    times = f"{count} times or more" if count == OCCURRENCES_COUNTED_MAX else f"{count} times"
    sentence = f"{anchor} stands {times} in {edit.prompt!r}; take in more of the text around it."
    return EditProblem("ambiguous", index, sentence)


def _located(base: str, edits: Sequence[Edit]) -> tuple[dict[int, Span], list[EditProblem]]:
    located: dict[int, Span] = {}
    found: list[EditProblem] = []
    for index, edit in enumerate(edits):
        place = _find(base, edit, index)
        if edit.prompt != edits[0].prompt:
            sentence = f"This edit is for {edit.prompt!r}, not {edits[0].prompt!r}; compose each prompt by itself."
            found.append(EditProblem("prompt", index, sentence, other=0))
        elif isinstance(place, EditProblem):
            found.append(place)
        else:
            located[index] = place
    return located, found


def _overlaps(located: dict[int, Span], edits: Sequence[Edit]) -> Iterator[EditProblem]:
    by_start = sorted(located.items(), key=lambda entry: (entry[1].start, entry[0]))
    for position, (index, span) in enumerate(by_start):
        for other, other_span in by_start[position + 1 :]:
            if not span.overlaps(other_span):
                break
            first, second = sorted((index, other))
            shared = shorten(edits[second].find)
            sentence = f"Two edits of {edits[first].prompt!r} change the same text {shared!r}; keep one of them."
            yield EditProblem("overlap", first, sentence, other=second)


def _broken_messages(
    base: str, edits: Sequence[Edit], located: dict[int, Span], known: Sequence[EditProblem]
) -> Iterator[EditProblem]:
    messages = messages_of(base)
    sound: dict[int, Span] = {}
    for index, span in located.items():
        prompt = edits[index].prompt
        if messages and message_around(messages, span) is None:
            named = next((one for one in messages if one.marker.overlaps(span)), messages[0])
            sentence = f"This edit of {prompt!r} reaches over the line that names {named.name}; edit one message alone."
            yield EditProblem("message", index, sentence)
        elif not same_messages(base, _apply(base, [(span, edits[index].replace)])):
            sentence = f"This edit of {prompt!r} writes or drops a line as those that name messages; word it otherwise."
            yield EditProblem("message", index, sentence)
        else:
            sound[index] = span
    if len(sound) < 2 or any(problem.kind == "overlap" for problem in known):
        return
    if not same_messages(base, _apply(base, [(span, edits[index].replace) for index, span in sound.items()])):
        prompt, last = edits[0].prompt, max(sound)
        sentence = f"Together the edits of {prompt!r} write or drop a line as those that name messages; keep one."
        yield EditProblem("message", last, sentence)


def _broken_placeholders(
    base: str, edits: Sequence[Edit], located: dict[int, Span], known: Sequence[EditProblem]
) -> Iterator[EditProblem]:
    before = placeholders(base)
    lost: dict[int, Counter[str]] = {}
    for index, span in located.items():
        edit = edits[index]
        alone = _apply(base, [(span, edit.replace)])
        lost[index] = before - placeholders(alone)
        reasons = [
            *(f"drops {name}" for name in missing_placeholders(base, alone)),
            *(f"adds {name}, which nothing fills" for name in new_placeholders(base, alone)),
            *(f"breaks the template ({problem.sentence})" for problem in new_syntax_problems(base, alone)),
        ]
        if reasons:
            sentence = f"This edit of {edit.prompt!r} {' and '.join(reasons)}; leave placeholders as they are."
            yield EditProblem("placeholder", index, sentence)
            del lost[index]
    if any(problem.kind == "overlap" for problem in known):
        return
    together = _apply(base, [(span, edits[index].replace) for index, span in located.items()])
    for name in missing_placeholders(base, together):
        for index in (index for index, names in lost.items() if names[name]):
            sentence = f"Together the edits of {edits[index].prompt!r} drop {name}; keep one of its places."
            yield EditProblem("placeholder", index, sentence)


def _apply(base: str, replacements: Sequence[tuple[Span, str]]) -> str:
    pieces: list[str] = []
    end = 0
    for span, replacement in sorted(replacements, key=lambda entry: entry[0]):
        pieces += (base[end : span.start], replacement)
        end = span.end
    return "".join([*pieces, base[end:]])
