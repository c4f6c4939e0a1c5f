"""The shape of a language's vocabulary, and tokens to lexemes: the longest phrase that it knows wins."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from bot.conversation.commands import Action, ItemType
from bot.conversation.tokens import Token, TokenKind

_VERSION = re.compile(r"v[1-9][0-9]{0,5}")
_NAME_LEXEMES_MAX = 12  # of a prompt's name


class Role(Enum):
    """What part a word plays in the grammar."""

    VERB = auto()  # an action
    SPLIT = auto()  # "put" of "put 3 back"; its particle follows the numbers
    PARTICLE = auto()
    STATE = auto()  # "is done" of "1 is done": an action after the numbers
    THUMB = auto()
    ON = auto()
    NUMBER = auto()
    ORDINAL = auto()
    ALL = auto()
    NOTHING = auto()
    REST = auto()
    BOTH = auto()
    EXCEPT = auto()
    ONLY = auto()
    JUST = auto()
    NOUN = auto()
    KIND = auto()  # "prompt changes"
    PRONOUN = auto()
    PROMPT = auto()  # the name of one, where a version may follow
    VERSION = auto()  # "v3" with its number, or the word before one
    ARTICLE = auto()
    AND = auto()
    THEN = auto()
    TO = auto()
    DASH = auto()
    COMMA = auto()
    STOP = auto()
    BANG = auto()
    LINE = auto()
    COLON = auto()
    OPEN = auto()
    CLOSE = auto()
    MENTION = auto()
    GREETING = auto()
    POLITE = auto()
    THANKS = auto()
    FILLER = auto()
    NOW = auto()
    CHEER = auto()  # an acknowledgement that is weaker than a yes
    EMOJI = auto()  # the same without words
    YES = auto()
    NO = auto()
    UNIT = auto()
    DURATION = auto()  # "2h"
    PREPOSITION = auto()  # before a time
    DONT = auto()
    NEGATION = auto()
    ASKING = auto()
    CONDITION = auto()
    HEDGE = auto()
    TIME = auto()
    OR = auto()
    RELAY = auto()
    FREEZE = auto()
    QUOTE = auto()
    UNKNOWN = auto()
    END = auto()


# A reply that holds one of these never deploys, whatever else it says.
GUARDS = frozenset(
    {
        Role.NO, Role.DONT, Role.NEGATION, Role.NOTHING, Role.ASKING, Role.CONDITION, Role.HEDGE, Role.TIME,
        Role.OR, Role.RELAY, Role.QUOTE, Role.FREEZE, Role.PREPOSITION, Role.UNIT, Role.DURATION,
    }
)  # fmt: skip
DENIALS = frozenset({Role.NO, Role.DONT, Role.NEGATION, Role.NOTHING, Role.FREEZE})


@dataclass(frozen=True, slots=True)
class Entry:
    """What one phrase means."""

    role: Role
    action: Action | None = None
    number: int | None = None
    item_type: ItemType | None = None
    duration: timedelta | None = None
    whole: bool = False  # a verb that already says what it is about: "ship it"
    needs_target: bool = False  # a verb that means nothing bare: "approve"
    spelled: bool = False  # a number in letters
    plural: bool = False
    guard: Role | None = None  # what else the word is, where it plays another part: "never" denies
    particle: str = ""  # of a split verb, or the particle itself
    back: Action | None = None  # of a split verb that means another thing with "back"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    entries: Mapping[tuple[str, ...], Entry]
    units: Mapping[str, timedelta]
    ordinal_suffixes: frozenset[str]
    names: frozenset[str]  # what the bot is called
    verbs: tuple[str, ...]  # single words that a typo may have meant
    longest: int
    prompts: tuple[str, ...] = ()  # the names of the agent's prompts


@dataclass(frozen=True, slots=True)
class Lexeme:
    entry: Entry
    text: str
    start: int
    end: int
    glued: bool

    @property
    def role(self) -> Role:
        return self.entry.role


SYMBOLS: Mapping[str, Entry] = {
    symbol: entry
    for entry, symbols in (
        (Entry(Role.COMMA), ",;"),
        (Entry(Role.STOP), "."),
        (Entry(Role.BANG), "!"),
        (Entry(Role.ASKING), "?\uff1f\xbf\u061f"),
        (Entry(Role.AND), "&+"),
        (Entry(Role.DASH), "-\u2013"),
        (Entry(Role.NOUN), "#"),
        (Entry(Role.COLON), ":"),
        (Entry(Role.OPEN), "["),
        (Entry(Role.CLOSE), "]"),
        (Entry(Role.MENTION), "@"),
        (Entry(Role.LINE), "\n"),
        (Entry(Role.THUMB), "\U0001f44d\U0001f44e"),
        (Entry(Role.EMOJI), "\U0001f680\u2705\U0001f389\U0001f64f\U0001f44c"),
        (Entry(Role.QUOTE), "\"'`\u2018\u2019\u201c\u201d\u201e\xab\xbb<>{}"),
    )
    for symbol in symbols
}


def build_vocabulary(
    table: Iterable[tuple[Entry, str]],
    numbers: Iterable[str],
    ordinals: Iterable[str],
    units: Mapping[str, timedelta],
    ordinal_suffixes: Iterable[str],
    names: Iterable[str],
) -> Vocabulary:
    """A vocabulary from a table of comma-separated phrases; "don't" also stands for "dont"."""
    entries: dict[tuple[str, ...], Entry] = {}
    for entry, phrases in table:
        for phrase in phrases.split(","):
            entries[tuple(phrase.split())] = entry
            entries[tuple(phrase.replace("'", "").split())] = entry
    for number, word in enumerate(numbers, 1):
        entries[(word,)] = Entry(Role.NUMBER, number=number, spelled=True)
    for number, word in enumerate(ordinals, 1):
        entries[(word,)] = Entry(Role.ORDINAL, number=number, spelled=True)
    for word, duration in units.items():
        entries.setdefault((word,), Entry(Role.UNIT, duration=duration))
    verbs = tuple(sorted(key[0] for key, e in entries.items() if len(key) == 1 and e.role in (Role.VERB, Role.ALL)))
    return Vocabulary(entries, units, frozenset(ordinal_suffixes), frozenset(names), verbs, max(map(len, entries)))


def read_lexemes(tokens: tuple[Token, ...], vocabulary: Vocabulary) -> tuple[Lexeme, ...]:
    """One lexeme per known phrase, number or symbol; whatever is not known keeps the role UNKNOWN."""
    lexemes: list[Lexeme] = []
    at = 0
    while at < len(tokens):
        length, entry = _longest_phrase(tokens, at, vocabulary)
        first, last = tokens[at], tokens[at + length - 1]
        text = " ".join(token.text for token in tokens[at : at + length])
        lexemes.append(Lexeme(entry, text, first.start, last.end, first.glued))
        at += length
    return tuple(lexemes)


def mark_prompts(lexemes: tuple[Lexeme, ...], text: str, names: Collection[str]) -> tuple[Lexeme, ...]:
    """The same lexemes, with the name of a prompt as one of them where it follows a verb that takes back.

    `text` is what they were read from. A name whose words mean something else is a name only before "to".
    """
    known = {name.lower(): name for name in names}
    marked: list[Lexeme] = []
    at = 0
    while at < len(lexemes):
        here = lexemes[at]
        marked.append(here)
        at += 1
        if here.role is not Role.VERB or here.entry.action is not Action.ROLLBACK:
            continue
        if at < len(lexemes) and lexemes[at].role is Role.ARTICLE:
            at += 1
            marked.append(lexemes[at - 1])
        for end in range(min(len(lexemes), at + _NAME_LEXEMES_MAX), at, -1):
            run = lexemes[at:end]
            name = known.get(text[run[0].start : run[-1].end].lower())
            before_to = end < len(lexemes) and lexemes[end].role is Role.TO
            if name is not None and (before_to or any(one.role is Role.UNKNOWN for one in run)):
                marked.append(Lexeme(Entry(Role.PROMPT), name, run[0].start, run[-1].end, run[0].glued))
                at = end
                break
    return tuple(marked)


def guard_in(tokens: tuple[Token, ...], vocabulary: Vocabulary) -> Role | None:
    """A role that forbids a deploy, a no first; looked for word by word, so that no phrase can hide it."""
    found: Role | None = None
    for token in tokens:
        entry = vocabulary.entries.get((token.text,)) or SYMBOLS.get(token.text)
        role = (entry.guard or entry.role) if entry else Role.UNKNOWN
        if role in DENIALS:
            return role
        if role in GUARDS:
            found = found or role
    return found


def _longest_phrase(tokens: tuple[Token, ...], at: int, vocabulary: Vocabulary) -> tuple[int, Entry]:
    token = tokens[at]
    if token.kind is TokenKind.NUMBER:
        return 1, Entry(Role.NUMBER, number=int(token.text))
    if token.kind is not TokenKind.WORD:
        return 1, SYMBOLS.get(token.text, Entry(Role.UNKNOWN))
    words: list[str] = []
    for following in tokens[at : at + vocabulary.longest]:
        if following.kind is not TokenKind.WORD:
            break
        words.append(following.text)
    for length in range(len(words), 0, -1):
        entry = vocabulary.entries.get(tuple(words[:length]))
        if entry:
            return length, entry
    return 1, _number_with_suffix(token.text, vocabulary)


def _number_with_suffix(word: str, vocabulary: Vocabulary) -> Entry:
    """ "4th" and "2h", where three digits are enough; and "v12"."""
    if _VERSION.fullmatch(word):
        return Entry(Role.VERSION, number=int(word[1:]))
    suffix = word.lstrip("0123456789")
    digits = word[: len(word) - len(suffix)]
    if not digits or len(digits) > 3 or digits.startswith("0"):
        return Entry(Role.UNKNOWN)
    if suffix in vocabulary.ordinal_suffixes:
        return Entry(Role.ORDINAL, number=int(digits))
    if suffix in vocabulary.units:
        return Entry(Role.DURATION, duration=int(digits) * vocabulary.units[suffix])
    return Entry(Role.UNKNOWN)
