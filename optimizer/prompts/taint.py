"""Text that came into a prompt out of traces, word for word.

What traces hold was written by users, tools and the web: a sentence of it that an edit puts into the prompt may be
an order that somebody planted. Compared are words alone, so that case, blanks, quotes, line breaks, forms of
Unicode and hidden characters hide nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from optimizer.prompts.hidden import without_hidden

WORDS_MIN = 8  # in a row: as many equal words are no chance
SENTENCE_WORDS_MIN = 6  # of a sentence that is shorter than that
CHARACTERS_MIN = 30
_IDEOGRAPH_CHARACTERS = 2  # a sign that no blank parts from the next says as much as two letters

Run = tuple[str, ...]  # words in a row, in small letters
Place = TypeVar("Place")

_IDEOGRAPH = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+")
_ASCII_WORD = re.compile(r"[a-z\d]+", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_END = re.compile('[.!?\n;:"\u201c\u201d\u00ab\u00bb\u3002]+')
_ESCAPED = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[nrtbf]?)")


def words_of(text: str) -> list[str]:
    """The words in small letters; where blanks do not part words, each sign. Escapes of JSON are read."""
    return _words(_plain(text))


def runs_of(text: str) -> frozenset[Run]:
    """All runs by which the text would be known again: 8 words or more in a row, or a whole sentence of 6 or 7.

    Each has 30 characters or more: fewer could be chance.
    """
    plain = _plain(text)
    found = set(_windows(_words(plain)))
    for sentence in _END.split(plain):
        words = tuple(_words(sentence))
        if SENTENCE_WORDS_MIN <= len(words) < WORDS_MIN and sum(map(_weight, words)) >= CHARACTERS_MIN:
            found.add(words)
    return frozenset(found)


def added_runs(new: str, known: Iterable[str]) -> frozenset[Run]:
    """The runs of the new text that none of the known texts has anywhere."""
    texts = [f" {' '.join(words_of(text))} " for text in known]
    return frozenset(run for run in runs_of(new) if not any(f" {' '.join(run)} " in text for text in texts))


class Search(Generic[Place]):
    """Looks for runs in one text after the other; `found` keeps the first place of each."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = frozenset(runs)
        self._lengths: dict[str, set[int]] = {}
        for run in self._runs:
            self._lengths.setdefault(run[0], set()).add(len(run))
        self._found: dict[Run, Place] = {}

    @property
    def found(self) -> Mapping[Run, Place]:
        return self._found

    def look_into(self, text: str, place: Place) -> None:
        words = words_of(text)
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                run = tuple(words[start : start + length])
                if run in self._runs:
                    self._found.setdefault(run, place)


def _plain(text: str) -> str:
    if "\\" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)) if match[1] else " ", text)
    if text.isascii():  # most of what is searched, and twice as fast
        return _CONTROLS.sub("", text).lower()
    return unicodedata.normalize("NFKC", without_hidden(text)).casefold()


def _words(plain: str) -> list[str]:
    return (_ASCII_WORD if plain.isascii() else _WORD).findall(plain)


def _windows(words: list[str]) -> Iterator[Run]:
    """From each word on, as many as a run needs."""
    end = weight = 0
    for start, word in enumerate(words):
        while end < len(words) and (end - start < WORDS_MIN or weight < CHARACTERS_MIN):
            weight += _weight(words[end])
            end += 1
        if end - start < WORDS_MIN or weight < CHARACTERS_MIN:
            return
        yield tuple(words[start:end])
        weight -= _weight(word)


def _weight(word: str) -> int:
    """Its characters, with the blank that parts it from the next."""
    return _IDEOGRAPH_CHARACTERS if len(word) == 1 and not word.isascii() else len(word) + 1
