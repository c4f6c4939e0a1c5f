"""Word-level differences of two prompts, for a phone and a terminal.

Everything that is added is shown in full, because that is what a person agrees to. Long stretches that stay
or go are shown by their ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from optimizer.prompts.hidden import visible
from optimizer.prompts.messages import Message, messages_of

PartKind = Literal["same", "removed", "added"]

_TOKEN = re.compile(r"\S+|\n|[^\S\n]+")
# Equal words that are not more than the changed ones around them are chance ("the", "of").
_CHANCE_WORDS_MAX = 8


class Part(NamedTuple):
    """A stretch of words; where `words_elided` is not 0, these are left out between `text` and `tail`."""

    kind: PartKind
    text: str
    words_elided: int = 0
    tail: str = ""


class Hunk(NamedTuple):
    """Changes that stand close together, with the words around them."""

    words_skipped: int  # unchanged words between the hunk before, or the text's start, and this one
    parts: tuple[Part, ...]


class MessageDiff(NamedTuple):
    """What changes in one message of a template, or in a text that has none."""

    message: str  # "message 2 (user)"; empty for a text of one block
    hunks: tuple[Hunk, ...]


class _Run(NamedTuple):
    """Tokens `old[old_start:old_end]` that stay the same or become `new[new_start:new_end]`."""

    same: bool
    old_start: int
    old_end: int
    new_start: int
    new_end: int


def word_diff(old: str, new: str, *, context_words: int = 8) -> tuple[Hunk, ...]:
    """What changes from old to new, in hunks with `context_words` around each; nothing for equal texts.

    Words, line breaks and the blanks between words are compared. Of a removed stretch of more than four times
    `context_words`, twice `context_words` are kept at each end.
    """
    old_tokens, new_tokens = _TOKEN.findall(old), _TOKEN.findall(new)
    runs = list(_runs(old_tokens, new_tokens))
    hunks: list[Hunk] = []
    parts: list[Part] = []
    skipped = 0
    for position, run in enumerate(runs):
        if not run.same:
            parts.extend(_changed(run, old_tokens, new_tokens, 2 * context_words))
            continue
        before, after = (context_words if position else 0), (context_words if run is not runs[-1] else 0)
        head, left_out, tail = _ends(old_tokens[run.old_start : run.old_end], before, after)
        if parts and not left_out:
            parts.append(Part("same", head + tail))
            continue
        if parts:
            hunks.append(_hunk(skipped, [*parts, Part("same", head)]))
        else:
            tail = tail if left_out else head + tail
        skipped, parts = left_out, [Part("same", tail)]
    if any(part.kind != "same" for part in parts):
        hunks.append(_hunk(skipped, parts))
    return tuple(hunks)


def prompt_diff(old: str, new: str, *, context_words: int = 8) -> tuple[MessageDiff, ...]:
    """`word_diff`, message by message where the text is that of a template with several; those that change.

    The lines that name the messages are in no hunk: they are no text of the prompt.
    """
    before, after = messages_of(old), messages_of(new)
    if not before or [one.name for one in before] != [one.name for one in after]:
        hunks = word_diff(old, new, context_words=context_words)
        return (MessageDiff("", hunks),) if hunks else ()
    found = (
        MessageDiff(here.name, word_diff(_text(old, here), _text(new, there), context_words=context_words))
        for here, there in zip(before, after, strict=True)
    )
    return tuple(one for one in found if one.hunks)


def _text(text: str, message: Message) -> str:
    return text[message.body.start : message.body.end]


def render_plain(hunks: Sequence[Hunk]) -> str:
    """The hunks as text: `[-removed-]`, `{+added+}`, `... 412 words ...`; hidden characters spelled out."""
    pieces: list[str] = []
    for hunk in hunks:
        if hunk.words_skipped:
            start = "\n" if pieces and not pieces[-1].endswith("\n") else ""
            pieces.append(f"{start}{elision(hunk.words_skipped)}\n")
        elif pieces and not pieces[-1].endswith("\n"):
            pieces.append("\n")
        for position, part in enumerate(hunk.parts):
            text = _render(part)
            following = hunk.parts[position + 1 : position + 2]
            if part.kind == "removed" and following and following[0].kind == "added":
                # What replaces it stands beside it; a break that both end with is shown once.
                same_break = _break(part.tail or part.text) == _break(following[0].text)
                text = text.rstrip() + " " if same_break else text
            pieces.append(text)
    return "".join(pieces)


def elision(words: int) -> str:
    return f"... {words:,} {'word' if words == 1 else 'words'} ..."


def _break(text: str) -> str:
    return text[len(text.rstrip()) :]


def _render(part: Part) -> str:
    text = visible(part.text)
    if part.words_elided:
        text = f"{text.rstrip()} {elision(part.words_elided)} {visible(part.tail).lstrip()}"
    if part.kind == "same":
        return text
    opening, closing = ("[-", "-]") if part.kind == "removed" else ("{+", "+}")
    kept = text.strip()
    if not kept:
        # Only whitespace changes: it is shown, or nobody sees what changed.
        return f"{opening}{text.replace(chr(10), '⏎')}{closing}"
    start = text.index(kept)
    return f"{text[:start]}{opening}{kept}{closing}{text[start + len(kept) :]}"


def _hunk(skipped: int, parts: Sequence[Part]) -> Hunk:
    return Hunk(skipped, tuple(part for part in parts if part.text))


def _changed(run: _Run, old: Sequence[str], new: Sequence[str], ends: int) -> Iterator[Part]:
    if run.old_end > run.old_start:
        yield Part("removed", *_ends(old[run.old_start : run.old_end], ends, ends))
    if run.new_end > run.new_start:
        yield Part("added", "".join(new[run.new_start : run.new_end]))


def _ends(tokens: Sequence[str], first: int, last: int) -> tuple[str, int, str]:
    """The first and the last words with the number of words between them; the whole where none is."""
    words = [index for index, token in enumerate(tokens) if not token.isspace()]
    if len(words) <= first + last:
        return "".join(tokens), 0, ""
    head = tokens[: words[first]]
    tail = tokens[words[-last] :] if last else tokens[words[-1] + 1 :]
    return "".join(head), len(words) - first - last, "".join(tail)


def _runs(old: Sequence[str], new: Sequence[str]) -> Iterator[_Run]:
    """Runs of same and changed tokens in turn, from the start of both texts to their ends."""
    runs: list[_Run] = []
    for run in _raw_runs(old, new):
        if runs and runs[-1].same == run.same:
            runs[-1] = runs[-1]._replace(old_end=run.old_end, new_end=run.new_end)
        else:
            runs.append(run)
    merged: list[_Run] = []
    for index, run in enumerate(runs):
        inner = run.same and 0 < index < len(runs) - 1
        chance = inner and _words(run, old, new) <= min(
            _CHANCE_WORDS_MAX, _words(merged[-1], old, new), _words(runs[index + 1], old, new)
        )
        if merged and not merged[-1].same and (chance or not run.same):
            merged[-1] = merged[-1]._replace(old_end=run.old_end, new_end=run.new_end)
        else:
            merged.append(run)
    yield from merged


def _raw_runs(old: Sequence[str], new: Sequence[str]) -> Iterator[_Run]:
    # What both texts begin and end with needs no search, which keeps small changes of large texts fast.
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    rest = shorter - start
    end = next((index for index in range(rest) if old[-1 - index] != new[-1 - index]), rest)
    old_end, new_end = len(old) - end, len(new) - end
    if start:
        yield _Run(True, 0, start, 0, start)
    for code in Levenshtein.opcodes(old[start:old_end], new[start:new_end]):
        yield _Run(
            code.tag == "equal",
            code.src_start + start,
            code.src_end + start,
            code.dest_start + start,
            code.dest_end + start,
        )
    if end:
        yield _Run(True, old_end, len(old), new_end, len(new))


def _words(run: _Run, old: Sequence[str], new: Sequence[str]) -> int:
    """The words of the run, of the text that has more of them; counted up to a little above what is chance."""
    sides = old[run.old_start : run.old_end], new[run.new_start : run.new_end]
    return max(sum(not token.isspace() for token in side[: 4 * _CHANCE_WORDS_MAX]) for side in sides)
