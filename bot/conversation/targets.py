"""What a clause is about: the numbers and words that pick items, read but not yet looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from bot.conversation.commands import ItemType
from bot.conversation.vocabulary import Entry, Lexeme, Role

_END = Lexeme(Entry(Role.END), "", 0, 0, False)
_JOINERS = (Role.COMMA, Role.AND, Role.LINE)


class Scope(Enum):
    BARE = auto()  # no target at all
    LIST = auto()  # numbers and positions
    ALL = auto()
    WHOLE = auto()  # "ship it"
    REST = auto()
    BOTH = auto()
    KIND = auto()
    PRONOUN = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """`positions` count from 1, or from -1 backwards; numbers are as written, with ranges opened."""

    scope: Scope
    numbers: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    item_type: ItemType | None = None
    plural: bool = True
    excluded: Target | None = None


BARE = Target(Scope.BARE)


@dataclass(slots=True)
class Cursor:
    """A place in the lexemes. A reading that fails returns None; `furthest` is where it got stuck."""

    lexemes: tuple[Lexeme, ...]
    at: int = 0
    furthest: int = field(default=0)

    def peek(self, ahead: int = 0) -> Lexeme:
        place = self.at + ahead
        return self.lexemes[place] if place < len(self.lexemes) else _END

    def take(self, *roles: Role) -> Lexeme | None:
        lexeme = self.peek()
        if lexeme.role not in roles:
            self.furthest = max(self.furthest, self.at)
            return None
        self.at += 1
        self.furthest = max(self.furthest, self.at)
        return lexeme

    def skip(self, *roles: Role) -> int:
        start = self.at
        while self.take(*roles):
            pass
        return self.at - start

    def ended(self) -> bool:
        return self.at >= len(self.lexemes)


def read_target(cursor: Cursor) -> Target | None:
    """The target at the cursor; BARE where none begins, None where one begins and does not hold."""
    if cursor.peek().role is Role.LINE and _starts_element(cursor, 1) and _alone_on_line(cursor, 1):
        cursor.take(Role.LINE)
    only = cursor.take(Role.ONLY, Role.JUST)
    if only and _is_bare_one(cursor.peek()):
        return None  # "only one" is any one
    start = cursor.at
    article = cursor.take(Role.ARTICLE)
    if kind := cursor.take(Role.KIND):
        return _with_exception(cursor, Scope.KIND, kind)
    if article:
        cursor.at = start
    else:
        plain = _read_plain(cursor)
        if plain or cursor.at > start:
            return plain  # None here is a target that broke off: "everything except" is not everything
    if not _starts_element(cursor):
        return None if only or article else BARE
    return read_list(cursor)


def _read_plain(cursor: Cursor) -> Target | None:
    if cursor.take(Role.NOTHING):
        return Target(Scope.NOTHING)
    if cursor.take(Role.ALL):
        if cursor.peek(1).role is Role.KIND:
            cursor.take(Role.ARTICLE)
        return _with_exception(cursor, Scope.ALL, cursor.take(Role.KIND))
    if cursor.take(Role.REST):
        return Target(Scope.REST)
    if cursor.take(Role.BOTH):
        kind = cursor.take(Role.KIND)
        cursor.take(Role.NOUN)
        return Target(Scope.BOTH, item_type=kind.entry.item_type if kind else None)
    if cursor.take(Role.PRONOUN):
        return Target(Scope.PRONOUN)
    return None


def _with_exception(cursor: Cursor, scope: Scope, kind: Lexeme | None) -> Target | None:
    item_type = kind.entry.item_type if kind else None
    plural = scope is Scope.ALL or (kind is not None and kind.entry.plural)
    scope = Scope.KIND if kind else scope
    if not cursor.take(Role.EXCEPT):
        return Target(scope, item_type=item_type, plural=plural)
    excluded = read_list(cursor)
    return excluded and Target(scope, item_type=item_type, plural=plural, excluded=excluded)


def read_list(cursor: Cursor) -> Target | None:
    numbers: list[int] = []
    positions: list[int] = []
    spelled = _starts_spelled(cursor)
    if not _read_element(cursor, numbers, positions):
        return None
    while True:
        start = cursor.at
        joined = _skip_joiners(cursor)
        if not _starts_element(cursor) or (not joined and (spelled or _starts_spelled(cursor))):
            cursor.at = start
            break
        spelled = _starts_spelled(cursor)
        if joined is Role.LINE and not _alone_on_line(cursor):
            cursor.at = start
            break
        if not _read_element(cursor, numbers, positions):
            return None
    return Target(Scope.LIST, tuple(sorted(set(numbers))), tuple(positions))


def _skip_joiners(cursor: Cursor) -> Role | None:
    """Whether the list may go on; LINE when the next element stands on a line of its own."""
    joined = None
    while lexeme := cursor.take(*_JOINERS):
        joined = Role.LINE if Role.LINE in (lexeme.role, joined) else lexeme.role
    return joined


def _alone_on_line(cursor: Cursor, ahead: int = 0) -> bool:
    """A number under the order belongs to it; a number that opens a sentence of its own does not."""
    if cursor.peek(ahead).role in (Role.NOUN, Role.ARTICLE):
        ahead += 1
    return cursor.peek(ahead + 1).role in (Role.LINE, Role.COMMA, Role.END)


def _starts_element(cursor: Cursor, ahead: int = 0) -> bool:
    role = cursor.peek(ahead).role
    if role is Role.ARTICLE:
        return cursor.peek(ahead + 1).role is Role.ORDINAL
    if role is Role.OPEN:
        return cursor.peek(ahead + 1).role is Role.NUMBER
    return role in (Role.NUMBER, Role.NOUN, Role.ORDINAL)


def _starts_spelled(cursor: Cursor) -> bool:
    return cursor.peek().role is not Role.NOUN and cursor.peek().entry.spelled


def _read_element(cursor: Cursor, numbers: list[int], positions: list[int]) -> bool:
    article = cursor.take(Role.ARTICLE)
    if ordinal := cursor.take(Role.ORDINAL):
        return _read_position(cursor, ordinal, bool(article), positions)
    if article:
        return False
    if cursor.take(Role.NOUN):
        cursor.take(Role.NOUN)  # "item #3"
    bracket = cursor.take(Role.OPEN)
    first = cursor.take(Role.NUMBER)
    if not first or (bracket and not cursor.take(Role.CLOSE)):
        return False
    low = first.entry.number or 0
    high = low
    if cursor.peek().role in (Role.DASH, Role.TO) and cursor.peek(1).role is Role.NUMBER:
        if cursor.peek().glued != cursor.peek(1).glued:
            return False  # "3 -4" is not a range
        cursor.take(Role.DASH, Role.TO)
        last = cursor.take(Role.NUMBER)
        high = last.entry.number or 0 if last else 0
    numbers.extend(range(low, high + 1))
    return low <= high


def _read_position(cursor: Cursor, ordinal: Lexeme, article: bool, positions: list[int]) -> bool:
    """ "the second one", "the 4th", "the first two" and "the last two"; a lone "first" may mean "before"."""
    position = ordinal.entry.number or 0
    count = cursor.take(Role.NUMBER)
    noun = count or cursor.take(Role.NOUN)
    if not article and not noun:
        return False
    size = count.entry.number or 0 if count else 1
    if size != 1 and position not in (1, -1):
        return False
    positions.extend(range(1, size + 1) if position == 1 else range(-size, 0) if position < 0 else (position,))
    return size > 0


def _is_bare_one(lexeme: Lexeme) -> bool:
    return lexeme.role is Role.NUMBER and lexeme.entry.spelled and lexeme.entry.number == 1
