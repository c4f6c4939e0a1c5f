"""Characters to tokens: words, numbers, symbols and line ends, whatever the language.

A token that is not plain (a digit with a mark over it, `3.5`, `3adn`) is one word that no vocabulary knows,
so that it stops the reply instead of being read as less than what was written.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum, auto

CHARACTERS_MAX = 2_000
_DIGITS = frozenset("0123456789")
_APOSTROPHES = frozenset("'\u2019\u02bc")
_EMOJI_MODIFIERS = frozenset("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_NUMBER_DIGITS_MAX = 3
_UNREADABLE = frozenset({"Cc", "Cs"})


class TokenKind(Enum):
    WORD = auto()
    NUMBER = auto()
    SYMBOL = auto()
    LINE = auto()


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str  # lower case, straight apostrophes
    start: int
    end: int
    glued: bool  # no space before it


def tokenize(text: str) -> tuple[Token, ...]:
    """The tokens of `text`, with their places in it; lines that start with `>` (quotes) are left out."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if _opens_line(tokens) and text[at] == ">":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end + 1
            continue
        if _is_space(text[at]):
            at += 1
            continue
        token = _next_token(text, at)
        tokens.append(token)
        at = token.end
    return tuple(tokens)


def readable(text: str) -> str:
    """`text` with what no store or screen can hold (NUL, lone surrogates) as U+FFFD, every place unmoved."""
    return "".join(
        "\ufffd" if unicodedata.category(char) in _UNREADABLE and char not in "\n\t\r" else char for char in text
    )


def has_quoted_line(text: str) -> bool:
    return any(line.lstrip().startswith(">") for line in text.split("\n"))


def _opens_line(tokens: list[Token]) -> bool:
    return not tokens or tokens[-1].kind is TokenKind.LINE


def _next_token(text: str, at: int) -> Token:
    glued = at > 0 and not _is_space(text[at - 1]) and text[at - 1] != "\n"
    first = text[at]
    if first == "\n":
        return Token(TokenKind.LINE, "\n", at, at + 1, glued)
    if _in_word(first):
        end = _word_end(text, at)
        word = _plain(text[at:end])
        kind = TokenKind.NUMBER if _is_number(word) else TokenKind.WORD
        return Token(kind, word, at, end, glued)
    end = at + 1
    while end < len(text) and (text[end] in _EMOJI_MODIFIERS or (first == "." and text[end] == ".")):
        end += 1
    return Token(TokenKind.SYMBOL, "..." if first == "." and end - at > 1 else first, at, end, glued)


def _word_end(text: str, at: int) -> int:
    end = at + 1
    while end < len(text):
        char, following = text[end], text[end + 1 : end + 2]
        inside = (char in _APOSTROPHES and text[end - 1].isalpha() and following.isalpha()) or (
            char == "." and text[end - 1] in _DIGITS and following in _DIGITS
        )
        if not (_in_word(char) or (inside and following)):
            break
        end += 1
    return end


def _plain(word: str) -> str:
    return "".join("'" if char in _APOSTROPHES else char for char in word).lower()


def _is_number(word: str) -> bool:
    return set(word) <= _DIGITS and len(word) <= _NUMBER_DIGITS_MAX and (word == "0" or not word.startswith("0"))


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char).startswith("M") or char == "_"


def _is_space(char: str) -> bool:
    return char in "\t\r" or unicodedata.category(char) == "Zs"
