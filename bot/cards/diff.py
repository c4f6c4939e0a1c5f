"""Word-level differences of prompts, line by line, with hidden characters spelled out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.cards.card import Block, DiffKind, DiffLine, DiffPart, Heading, Note
from bot.cards.words import safe
from optimizer.errors import InputError
from optimizer.prompts.diff import Hunk, Part, elision, prompt_diff, word_diff
from optimizer.prompts.edits import compose
from optimizer.prompts.hidden import visible
from optimizer.records.base import sha256_of
from optimizer.records.session import Item

_CONTEXT_WORDS = 8
_LINE_CHARACTERS_MAX = 400  # of one part: longer ones go on in a line of their own, so that pages can break
_TAB = "    "


def item_diff(item: Item, texts: Mapping[str, str]) -> Iterator[Block]:
    """What the item changes, prompt by prompt.

    `texts` are the prompts as they are now. Where one is missing, or is not the text that the item was made
    for, the edits are shown by themselves, and so is the reason.
    """
    for prompt in item.prompts:
        edits = [edit for edit in item.edits if edit.prompt == prompt]
        base = texts.get(prompt)
        yield Heading(f"{safe(prompt)}:")
        if base is not None and sha256_of(base) == item.base_sha256.get(prompt):
            try:
                yield from text_diff(base, compose(base, edits))
                continue
            except InputError as error:
                yield Note(safe(str(error), 200))
        elif base is not None:
            yield Note("The prompt was changed since: these edits were made for the text before.")
        for edit in edits:
            yield from diff_lines(word_diff(edit.find, edit.replace, context_words=_CONTEXT_WORDS))


def text_diff(old: str, new: str) -> Iterator[Block]:
    """The hunks, below the message of the template in which they stand where it has several."""
    for message, hunks in prompt_diff(old, new, context_words=_CONTEXT_WORDS):
        if message:
            yield Heading(f"{message}:")
        yield from diff_lines(hunks)


def diff_lines(hunks: Sequence[Hunk]) -> Iterator[DiffLine | Note]:
    """The hunks, one block for each line of the text; unchanged words between them are counted."""
    for hunk in hunks:
        if hunk.words_skipped:
            yield Note(elision(hunk.words_skipped))
        line: list[DiffPart] = []
        for part in hunk.parts:
            *whole, rest = _text(part).split("\n")
            for text in whole:
                yield DiffLine((*line, *_parts(part.kind, text)))
                line = []
            if part.kind == "removed" and rest and not rest[-1].isspace() and _replaced(hunk, part):
                rest += " "
            for text in _chunks(rest):
                if sum(len(one.text) for one in line) > _LINE_CHARACTERS_MAX:
                    yield DiffLine(tuple(line))
                    line = []
                line.append(DiffPart(part.kind, text))
        if line:
            yield DiffLine(tuple(line))


def _replaced(hunk: Hunk, part: Part) -> bool:
    """Whether what follows stands in its place, so that a blank has to keep the two apart."""
    following = hunk.parts[hunk.parts.index(part) + 1 :]
    return bool(following) and following[0].kind == "added"


def _parts(kind: DiffKind, text: str) -> tuple[DiffPart, ...]:
    return tuple(DiffPart(kind, chunk) for chunk in _chunks(text))


def _text(part: Part) -> str:
    """The part's text without what a terminal would act on; a change of blanks alone is made visible."""
    text = _seen(part.text)
    if part.words_elided:
        text = f"{text.rstrip()} {elision(part.words_elided)} {_seen(part.tail).lstrip()}"
    if part.kind != "same" and not text.strip():
        return text.replace("\n", "\u23ce\n").replace(" ", "\u00b7") if text else text
    return text


def _seen(text: str) -> str:
    return visible(text.replace("\r\n", "\n").replace("\r", "\\r").replace("\t", _TAB))


def _chunks(text: str) -> Iterator[str]:
    """The text in pieces of at most `_LINE_CHARACTERS_MAX`, cut after a blank where there is one."""
    while len(text) > _LINE_CHARACTERS_MAX:
        cut = text.rfind(" ", 0, _LINE_CHARACTERS_MAX) + 1 or _LINE_CHARACTERS_MAX
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text
