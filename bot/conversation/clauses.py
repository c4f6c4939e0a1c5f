"""Lexemes to clauses, by recursive descent: syntax only, nothing is known of the pending items here.

    message  = opening [clause {separator clause}] closing
    clause   = [just | only] verb [target] [only]  |  roll back [prompt] [to version]
             | split list particle  |  list state  |  list thumb
             | thumb [on] list  |  don't verb [target]  |  snooze [time]  |  edit list ":" free text
             | freeze [":" free text]
    target   = nothing | all [except list] | kind [except list] | both [kind] | rest | pronoun | [only] list
    list     = element {[joiner] element}
    element  = [noun] number [("-" | "to") number]  |  [the] ordinal [number | noun]

What does not fit is not guessed at: the reading stops there, and the lexeme is named to the person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from bot.conversation.commands import Action
from bot.conversation.targets import BARE, Cursor, Scope, Target, read_list, read_target
from bot.conversation.vocabulary import Lexeme, Role

_PAUSES = (Role.COMMA, Role.STOP, Role.BANG, Role.LINE)
_SEPARATORS = (*_PAUSES, Role.AND, Role.THEN)
_MANNERS = (Role.GREETING, Role.POLITE, Role.FILLER, Role.YES, Role.EMOJI)
_CLOSING = (*_PAUSES, Role.POLITE, Role.THANKS, Role.NOW, Role.EMOJI, Role.ASKING)
_NO_ORDER = (*_CLOSING, *_MANNERS, Role.CHEER, Role.NO)
THUMB_UP = "\U0001f44d"
_BACK = "back"
# "history last week", "did you deploy 3 yesterday": a time changes nothing about the answer.
_LOOKS_BACK = frozenset({Action.HISTORY, Action.STATUS})


@dataclass(frozen=True, slots=True)
class Clause:
    """One order as it was written, not yet looked up in the pending items."""

    action: Action
    target: Target = BARE
    denied: bool = False  # "don't deploy ..."
    prompt: str | None = None  # "roll back core ..."
    version: int | None = None  # "... to v3"
    unclear: int | None = None  # "roll back to 3": an item, or a version
    only: bool = False  # "take back only 3"
    needs_target: bool = False
    duration: timedelta | None = None
    reason: tuple[int, int] | None = None  # of a freeze: where it stands in the text
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole message; `stuck` is the lexeme that did not fit, None when all of them did."""

    clauses: tuple[Clause, ...]
    opening: tuple[Lexeme, ...]  # greetings, thanks and acknowledgements before the first order
    asked: bool = False  # it ends with a question mark
    stuck: Lexeme | None = None
    complete: bool = True


def read_message(lexemes: tuple[Lexeme, ...]) -> Reading:
    cursor = Cursor(lexemes)
    _skip_opening(cursor)
    opening = lexemes[: cursor.at]
    clauses: list[Clause] = []
    if all(lexeme.role in _NO_ORDER for lexeme in lexemes[cursor.at :]):
        return Reading((), lexemes, any(lexeme.role is Role.ASKING for lexeme in lexemes))
    while True:
        clause = _read_clause(cursor)
        if clause is None:
            break
        clauses.append(clause)
        if _closes(cursor, clause):
            asked = any(lexeme.role is Role.ASKING for lexeme in lexemes[cursor.at :])
            return Reading(tuple(clauses), opening, asked)
        if not cursor.skip(*_SEPARATORS):
            break  # "skip one deploy" is not two orders
        cursor.skip(Role.POLITE)
    place = min(max(cursor.furthest, cursor.at), len(lexemes))
    stuck = lexemes[place] if place < len(lexemes) else None
    return Reading(tuple(clauses), opening, stuck=stuck, complete=False)


def _skip_opening(cursor: Cursor) -> None:
    """Politeness before the first order. Praise and "no" need a pause: "great deploy" is no order."""
    while True:
        start = cursor.at
        if cursor.take(*_MANNERS):
            cursor.skip(*_PAUSES)
            continue
        if cursor.take(Role.CHEER, Role.NO, Role.THANKS) and (cursor.skip(*_PAUSES) or cursor.ended()):
            continue
        cursor.at = start
        if cursor.peek().role is Role.THUMB and cursor.peek().text == THUMB_UP and _decorates(cursor):
            cursor.take(Role.THUMB)
            continue
        return


def _decorates(cursor: Cursor) -> bool:
    return cursor.peek(1).role in (Role.VERB, Role.END)


def _closes(cursor: Cursor, clause: Clause) -> bool:
    """Nothing but manners is left.

    An emoji does not close "deploy \u2705", which is a report, nor "deploy 3, 4 \U0001f44d", where it may be
    for 4 alone.
    """
    rest = cursor.lexemes[cursor.at :]
    target = clause.target
    open_to_emoji = target.scope is not Scope.BARE and len(target.numbers) < 2
    for place, lexeme in enumerate(rest):
        praised = lexeme.role is Role.EMOJI or (lexeme.role is Role.THUMB and lexeme.text == THUMB_UP)
        if praised and clause.action is Action.DEPLOY and not open_to_emoji:
            return False
        named = lexeme.role is Role.GREETING and place > 0 and rest[place - 1].role is Role.COMMA
        if not (praised or named or lexeme.role in _CLOSING):
            return False
    ends = [lexeme.role for lexeme in rest if lexeme.role not in (Role.STOP, Role.BANG, Role.LINE)]
    return not ends or ends[-1] is not Role.COMMA


def _read_clause(cursor: Cursor) -> Clause | None:
    start = cursor.peek().start
    clause = _read_action(cursor)
    if clause is None:
        return None
    return replace(clause, start=start, end=cursor.lexemes[cursor.at - 1].end)


def _read_action(cursor: Cursor) -> Clause | None:
    if cursor.take(Role.DONT):
        verb = cursor.take(Role.VERB)
        target = read_target(cursor) if verb and verb.entry.action is Action.DEPLOY else None
        return target and Clause(Action.DEPLOY, target, denied=True)
    if split := cursor.take(Role.SPLIT):
        return _read_split(cursor, split)
    if cursor.peek().role is Role.THUMB:
        cursor.take(Role.THUMB)
        cursor.take(Role.ON)
        target = read_list(cursor)
        return target and Clause(Action.FEEDBACK, target)
    only = cursor.take(Role.ONLY, Role.JUST)
    if verb := cursor.take(Role.VERB):
        return _read_verb(cursor, verb, only)
    return None if only else _read_state(cursor)


def _read_split(cursor: Cursor, split: Lexeme) -> Clause | None:
    target = read_target(cursor)
    particle = cursor.take(Role.PARTICLE)
    if target is None or particle is None or target.scope is Scope.BARE or split.entry.action is None:
        return None
    if particle.entry.particle == split.entry.particle:
        return Clause(split.entry.action, target)
    return Clause(split.entry.back, target) if split.entry.back and particle.entry.particle == _BACK else None


def _read_state(cursor: Cursor) -> Clause | None:
    """ "1 is done", "3 \U0001f44d": what the numbers are comes after them."""
    target = read_list(cursor)
    if target is None:
        return None
    if cursor.take(Role.STATE) or (cursor.peek().entry.action is Action.DONE and cursor.take(Role.VERB)):
        return Clause(Action.DONE, target)
    return Clause(Action.FEEDBACK, target) if cursor.take(Role.THUMB) else None


def _read_verb(cursor: Cursor, verb: Lexeme, only: Lexeme | None) -> Clause | None:
    action = verb.entry.action
    if action is None:
        return None
    if verb.entry.whole:
        return Clause(action, Target(Scope.WHOLE))
    if action is Action.SNOOZE:
        return _read_snooze(cursor)
    if action is Action.FREEZE and cursor.take(Role.COLON):
        return _read_reason(cursor)
    if action is Action.ROLLBACK:
        return _read_rollback(cursor, only)
    if action is Action.RUN:
        cursor.take(Role.NOW)
    target = read_target(cursor)
    if target is None:
        return None
    if action is Action.EDIT:
        return _read_edit(cursor, target)
    if action in _LOOKS_BACK:
        cursor.skip(Role.TIME)
    narrowed = target.scope in (Scope.LIST, Scope.KIND)
    if only and only.role is Role.ONLY and not narrowed:
        return None
    if narrowed:
        cursor.take(Role.ONLY)
    return Clause(action, target, needs_target=verb.entry.needs_target)


def _read_rollback(cursor: Cursor, only: Lexeme | None) -> Clause | None:
    """ "roll back", "roll back 3", "roll back core to v3", "roll back to version 3"."""
    if cursor.peek().role is Role.ARTICLE and cursor.peek(1).role is Role.PROMPT:
        cursor.take(Role.ARTICLE)
    named = cursor.take(Role.PROMPT)
    prompt = named.text if named else None
    if cursor.take(Role.TO):
        word = cursor.take(Role.VERSION)
        number = word if word and word.entry.number is not None else cursor.take(Role.NUMBER)
        if only or number is None or number.entry.number is None:
            return None
        if named or word:
            return Clause(Action.ROLLBACK, prompt=prompt, version=number.entry.number)
        return Clause(Action.ROLLBACK, unclear=number.entry.number)
    if named:
        number = cursor.take(Role.VERSION, Role.NUMBER)
        return None if only else Clause(Action.ROLLBACK, prompt=prompt, unclear=number and number.entry.number)
    alone = cursor.peek().role in (Role.ONLY, Role.JUST)
    target = read_target(cursor)
    listed = target is not None and target.scope is Scope.LIST
    before = only is not None and only.role is Role.ONLY
    if target is None or (before and not listed):
        return None
    after = listed and cursor.take(Role.ONLY) is not None
    return Clause(Action.ROLLBACK, target, only=before or alone or after)


def _read_snooze(cursor: Cursor) -> Clause | None:
    preposition = cursor.take(Role.PREPOSITION)
    if spoken := cursor.take(Role.DURATION):
        return Clause(Action.SNOOZE, duration=spoken.entry.duration)
    amount = cursor.take(Role.NUMBER, Role.ARTICLE)
    if amount:
        unit = cursor.take(Role.UNIT)
        if not unit or unit.entry.duration is None:
            return None
        count = 1 if amount.entry.number is None else amount.entry.number
        return Clause(Action.SNOOZE, duration=count * unit.entry.duration)
    named = cursor.skip(Role.TIME)
    return None if preposition and not named else Clause(Action.SNOOZE)


def _read_reason(cursor: Cursor) -> Clause | None:
    """Everything after "freeze:" is why, whatever it says: a freeze never deploys."""
    if cursor.ended():
        return None
    start = cursor.peek().start
    cursor.at = len(cursor.lexemes)
    return Clause(Action.FREEZE, reason=(start, cursor.lexemes[-1].end))


def _read_edit(cursor: Cursor, target: Target) -> Clause | None:
    """Everything after "edit 3:" is the person's wording, whatever it says: an edit never deploys."""
    if target.scope is not Scope.LIST or not cursor.take(Role.COLON, Role.TO) or cursor.ended():
        return None
    cursor.at = len(cursor.lexemes)
    return Clause(Action.EDIT, target)
