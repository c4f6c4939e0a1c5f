"""Which numbers of the pending session a clause covers. What is not certain is asked, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.conversation import asking
from bot.conversation.clauses import Clause
from bot.conversation.commands import Action, Command, PendingItem, Question
from bot.conversation.targets import Scope, Target

TAKES_OUT = frozenset({Action.REMOVE, Action.MUTE, Action.DONE})
CHANGES_ITEMS = TAKES_OUT | {Action.RESTORE}
SHOWS = frozenset({Action.SHOW, Action.EXPLAIN})
# The numbers of these may be about what is deployed already, so they are not looked up in the session.
_LOOKS_ELSEWHERE = frozenset({Action.ROLLBACK, Action.STATUS, Action.HISTORY})
_TAKES_ITEMS = CHANGES_ITEMS | SHOWS | {Action.DEPLOY, Action.FEEDBACK, Action.EDIT}
_SNOOZE_MIN, _SNOOZE_MAX = timedelta(minutes=1), timedelta(days=30)
_CHOICES_MAX = 4


@dataclass(frozen=True, slots=True)
class Ledger:
    """The pending items as they were shown, and as the reply has left them so far."""

    shown: tuple[PendingItem, ...]
    items: tuple[PendingItem, ...]
    denied: bool  # the reply holds a no: nothing that deploys is offered

    def ask(self, text: str, numbers: Sequence[int] = ()) -> Question:
        return asking.ask(text, self.shown, numbers, denied=self.denied)


@dataclass(frozen=True, slots=True)
class Picked:
    numbers: tuple[int, ...]
    everything: bool = False


def pick(clause: Clause, ledger: Ledger, before: Command | None) -> Picked | Question:
    """The numbers of `clause`; `before` is the command that the same reply gave first."""
    bare = clause.target.scope in (Scope.BARE, Scope.WHOLE)
    if clause.action is Action.SNOOZE and clause.duration is not None:
        if not _SNOOZE_MIN <= clause.duration <= _SNOOZE_MAX:
            return Question(asking.SNOOZE_HOW_LONG, ("snooze 2h", "snooze 1d"))
        return Picked(())
    if clause.action in _LOOKS_ELSEWHERE:
        return Picked(()) if bare else _pick_elsewhere(clause, ledger)
    if clause.action not in _TAKES_ITEMS:
        return _pick_nothing(clause, ledger)
    return _pick_bare(clause, ledger) if bare else _pick_items(clause, ledger, before)


def _pick_elsewhere(clause: Clause, ledger: Ledger) -> Picked | Question:
    target = clause.target
    if target.scope is Scope.LIST and not target.positions:
        return Picked(target.numbers)
    if target.scope is Scope.ALL and not target.excluded:
        return Picked((), True)
    return ledger.ask(asking.WHICH_BY_NUMBER)


def _pick_nothing(clause: Clause, ledger: Ledger) -> Picked | Question:
    """The target of a verb that takes none: "skip all" is "skip", "run 3" is nothing."""
    scope = clause.target.scope
    whole = scope is Scope.ALL or (scope is Scope.PRONOUN and len(ledger.items) == 1)
    skipped = clause.action is Action.SKIP and whole
    if scope in (Scope.BARE, Scope.WHOLE) or skipped:
        return Picked((), skipped)
    return ledger.ask(asking.TWO_READINGS, clause.target.numbers)


def _pick_bare(clause: Clause, ledger: Ledger) -> Picked | Question:
    action = clause.action
    numbers = _candidates(clause, ledger)
    if action is Action.SHOW or (action is Action.DEPLOY and not clause.needs_target):
        return Picked(numbers, True)
    if action in (Action.EXPLAIN, Action.RESTORE) and len(numbers) == 1:
        return Picked(numbers)
    if not numbers and action is Action.RESTORE:
        return ledger.ask(asking.NOTHING_REMOVED)
    if not numbers or action not in CHANGES_ITEMS | SHOWS:
        return ledger.ask(asking.WHICH)
    verbs = {Action.EXPLAIN: "tell me more about", Action.MUTE: "never"}
    choices = (f"{verbs.get(action, action.value)} {number}" for number in numbers[:_CHOICES_MAX])
    return Question(asking.WHICH, tuple(choices))


def _pick_items(clause: Clause, ledger: Ledger, before: Command | None) -> Picked | Question:
    target = clause.target
    numbers = _candidates(clause, ledger)
    match target.scope:
        case Scope.LIST:
            return _pick_list(target, ledger)
        case Scope.ALL | Scope.KIND:
            return _pick_all(clause, ledger)
        case Scope.PRONOUN if len(numbers) == 1:
            return Picked(numbers)
        case Scope.BOTH if len(numbers) == 2:
            return Picked(numbers)
        case Scope.REST if before and before.items and before.action in TAKES_OUT | {Action.DEPLOY}:
            return Picked(tuple(number for number in numbers if number not in before.items))
        case _:
            return ledger.ask(asking.WHICH)


def _pick_all(clause: Clause, ledger: Ledger) -> Picked | Question:
    target = clause.target
    numbers = _candidates(clause, ledger)
    if target.excluded:
        left_out = _pick_list(target.excluded, ledger)
        if isinstance(left_out, Question):
            return left_out
        return Picked(tuple(number for number in numbers if number not in left_out.numbers))
    if not target.plural and len(numbers) != 1:
        return ledger.ask(asking.WHICH, numbers)
    return Picked(numbers, target.scope is Scope.ALL)


def _candidates(clause: Clause, ledger: Ledger) -> tuple[int, ...]:
    """The items that the verb can be about: what is removed can be shown and restored, nothing else."""
    kinds = [item for item in ledger.items if clause.target.item_type in (None, item.type)]
    if clause.action is Action.SHOW:
        return tuple(item.n for item in kinds)
    return tuple(item.n for item in kinds if item.removed is (clause.action is Action.RESTORE))


def _pick_list(target: Target, ledger: Ledger) -> Picked | Question:
    known = [item.n for item in ledger.items]
    unknown = [number for number in target.numbers if number not in known]
    if unknown:
        return ledger.ask(asking.no_such_item(unknown), target.numbers)
    # A place in the list is a number only while the list is 1, 2, 3, ... with nothing taken out.
    counted = known == list(range(1, len(known) + 1)) and not any(item.removed for item in ledger.items)
    places = {place if place > 0 else len(known) + 1 + place for place in target.positions}
    if places and not (counted and places <= set(known)):
        return ledger.ask(asking.WHICH_BY_NUMBER, target.numbers)
    return Picked(tuple(sorted({*target.numbers, *places})))
